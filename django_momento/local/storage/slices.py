"""Translate the index and score ranges of requests into slices of a collection.

All reading of the protocol's inclusive, exclusive and unbounded ends happens here. If an end is not set, it
is unbounded.
"""

from __future__ import annotations

from typing import Any

from momento_wire_types import cacheclient_pb2 as pb

from ..validation import require_score
from .collections import SortedSet


def index_slice(request: Any, start: str = "inclusive_start", end: str = "exclusive_end") -> slice:
    """Return the slice of a range of indexes. Python's rules for negative and too large ones apply."""
    return slice(
        getattr(request, start) if request.HasField(start) else None,
        getattr(request, end) if request.HasField(end) else None,
    )


def rank_slice(request: pb._SortedSetFetchRequest._ByIndex) -> slice:
    return index_slice(request, "inclusive_start_index", "exclusive_end_index")


def score_slice(elements: SortedSet, request: pb._SortedSetFetchRequest._ByScore) -> slice:
    start, end = 0, len(elements)
    if request.HasField("min_score"):
        start = elements.below(require_score(request.min_score.score), or_equal=request.min_score.exclusive)
    if request.HasField("max_score"):
        end = elements.below(require_score(request.max_score.score), or_equal=not request.max_score.exclusive)
    return slice(start, end)


def length_slice(elements: SortedSet, request: pb._SortedSetLengthByScoreRequest) -> slice:
    start, end = 0, len(elements)
    lower, upper = request.WhichOneof("min"), request.WhichOneof("max")
    if lower in ("inclusive_min", "exclusive_min"):
        score = require_score(getattr(request, lower))
        start = elements.below(score, or_equal=lower == "exclusive_min")
    if upper in ("inclusive_max", "exclusive_max"):
        score = require_score(getattr(request, upper))
        end = elements.below(score, or_equal=upper == "inclusive_max")
    return slice(start, end)
