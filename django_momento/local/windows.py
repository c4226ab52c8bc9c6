"""Which part of a collection a request means: by index as a Python slice, or by score.

The one place that reads the protocol's inclusive, exclusive and unbounded ends. An end that is not set
is unbounded. Nothing here knows the order in which a window is answered.
"""

from __future__ import annotations

from typing import Any

from momento_wire_types import cacheclient_pb2 as pb

from django_momento.local.arguments import require_score
from django_momento.local.values import SortedSet


def index_window(request: Any, start: str = "inclusive_start", end: str = "exclusive_end") -> slice:
    """Negative indexes count from the end, and those beyond either end are clipped: a slice's own rules."""
    return slice(
        getattr(request, start) if request.HasField(start) else None,
        getattr(request, end) if request.HasField(end) else None,
    )


def ranked_window(request: pb._SortedSetFetchRequest._ByIndex) -> slice:
    return index_window(request, "inclusive_start_index", "exclusive_end_index")


def score_window(elements: SortedSet, request: pb._SortedSetFetchRequest._ByScore) -> slice:
    start, end = 0, len(elements)
    if request.HasField("min_score"):
        start = elements.below(require_score(request.min_score.score), or_equal=request.min_score.exclusive)
    if request.HasField("max_score"):
        end = elements.below(require_score(request.max_score.score), or_equal=not request.max_score.exclusive)
    return slice(start, end)


def counted_window(elements: SortedSet, request: pb._SortedSetLengthByScoreRequest) -> slice:
    start, end = 0, len(elements)
    lower, upper = request.WhichOneof("min"), request.WhichOneof("max")
    if lower in ("inclusive_min", "exclusive_min"):
        score = require_score(getattr(request, lower))
        start = elements.below(score, or_equal=lower == "exclusive_min")
    if upper in ("inclusive_max", "exclusive_max"):
        score = require_score(getattr(request, upper))
        end = elements.below(score, or_equal=upper == "inclusive_max")
    return slice(start, end)
