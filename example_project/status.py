"""The status page: the cache calls of this process, and the credential in use.

The page makes no cache call. So it does not count itself, and it works during an outage of the cache. It
shows no part of the API key.
"""

import os
from collections import Counter
from datetime import datetime, timezone
from time import time
from typing import NamedTuple

from django.core.cache import caches
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from django_momento.cache import MomentoCache
from django_momento.monitoring import stats

from .activity import activity
from .figures import CHARTED, Chart, Figures


class CredentialFacts(NamedTuple):
    """The facts of a credential that may be shown. ``expires`` is empty if its expiry is unknown."""

    source: str
    kind: str
    endpoint: str
    fetched: datetime
    age: str
    expires: str


@require_safe
@never_cache
def status(request: HttpRequest) -> HttpResponse:
    cache = caches["default"]
    snapshot = activity.snapshot()
    failure = snapshot.last_failure
    charted = snapshot.latest[-CHARTED:]
    outcomes = Counter(call.outcome for call in charted)
    context = {
        "observed": isinstance(cache, MomentoCache),
        "cache_name": cache.options.cache_name if isinstance(cache, MomentoCache) else "",
        "backend": type(cache).__name__,
        "process": os.getpid(),
        "now": moment(time()),
        "since": moment(snapshot.since),
        "figures": Figures.of(snapshot),
        "chart": Chart.of(charted),
        "latest": [(moment(call.at), call) for call in reversed(charted)],
        "hits": outcomes["hit"],
        "misses": outcomes["miss"],
        "errors": outcomes["error"],
        "others": outcomes["done"],
        "failure": failure,
        "failed_at": moment(failure.at) if failure else None,
        "failed_lately": outcomes["error"] > 0,
        "credential": credential_facts() if isinstance(cache, MomentoCache) else None,
    }
    return render(request, "example/status.html", context)


def credential_facts() -> CredentialFacts | None:
    """Return the facts of the credential in use, or None before the first cache call."""
    facts = stats("default")
    source, kind, endpoint = facts["credential_source"], facts["credential_kind"], facts["endpoint"]
    age, left = facts["credential_age"], facts["credential_expires_in"]
    if source is None or kind is None or endpoint is None or age is None:
        return None
    expires = "" if left is None else in_words(left)
    return CredentialFacts(source, kind, endpoint, moment(time() - age), in_words(age), expires)


def moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, timezone.utc)


def in_words(seconds: float) -> str:
    """Return a length of time in its largest whole unit: ``"1 second"``, ``"5 minutes"``."""
    for name, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= length:
            return count_with_unit(int(seconds / length), name)
    return count_with_unit(max(0, int(seconds)), "second")


def count_with_unit(number: int, name: str) -> str:
    return f"{number} {name}{'' if number == 1 else 's'}"
