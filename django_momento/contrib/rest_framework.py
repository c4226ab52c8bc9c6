"""Throttles for Django REST framework, in place of those in ``rest_framework.throttling``.

The framework's own throttles keep a list of times in the cache. They read and write it in two calls, so
requests at the same moment overwrite each other's times, and more requests pass than the rate allows. These
count each request by one atomic call.

Rates, scopes and methods are the framework's. A window begins with the first request of a client and ends
after the period of the rate, where the framework's own window slides.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from rest_framework import throttling

from ..policies.limits import Limit, OnOutage


class CacheRateThrottle(throttling.SimpleRateThrottle):
    """Limit the requests of each key that ``get_cache_key`` of a subclass returns.

    ``cache`` is the cache that counts, Django's default one unless a subclass names another. ``on_outage``
    decides about requests that it cannot count: ``"allow"``, ``"deny"`` or ``"raise"``.
    """

    on_outage: OnOutage = "allow"

    limit: Limit | None = None
    # The times that the framework's own throttles keep.
    history: Sequence[float] = ()

    def allow_request(self, request: Any, view: Any) -> bool:
        """Count a request and return whether it is allowed."""
        if self.rate is None:
            return True
        self.key = self.get_cache_key(request, view)
        if self.key is None:
            return True
        if not hasattr(self.cache, "rate_limit"):
            raise ImproperlyConfigured(
                f"{type(self).__name__}.cache has no rate limits. It must be a cache of "
                "django_momento.cache.MomentoCache."
            )
        # Not the key of the framework's own throttles, whose lists of times may still be stored.
        self.limit = self.cache.rate_limit(
            f"ratelimit:{self.key}", self.num_requests, self.duration, on_outage=self.on_outage
        )
        return bool(self.throttle_success() if self.limit else self.throttle_failure())

    def throttle_success(self) -> bool:
        """Return True. The request is counted already."""
        return True

    def wait(self) -> float | None:
        """Return the seconds until the window ends, or the framework's estimate if no request was counted."""
        return super().wait() if self.limit is None else self.limit.retry_after


class AnonRateThrottle(CacheRateThrottle, throttling.AnonRateThrottle):
    """Limit the requests of anonymous clients by their addresses, with the rate of the scope ``anon``."""


class UserRateThrottle(CacheRateThrottle, throttling.UserRateThrottle):
    """Limit the requests of users, or of addresses if anonymous, with the rate of scope ``user``."""


class ScopedRateThrottle(throttling.ScopedRateThrottle, CacheRateThrottle):
    """Limit the requests to views with a ``throttle_scope``, with the rate of that scope."""
