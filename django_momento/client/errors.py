"""The one table from what Momento answers to what this package raises, with the words that explain it.

Works on gRPC's status names, so that it serves the SDK's errors and those of our own channel alike.

Source: the SDKs' mapping of status codes, and their ``err`` metadata for the limits.
"""

from __future__ import annotations

from dataclasses import dataclass

from .. import exceptions
from ..exceptions import MomentoCacheError

# By the trailing metadata `err`, or, where a server sends none, by a word in the status details.
_LIMITS = {
    "operations_rate_limit_exceeded": ("operations per second", "operations"),
    "throughput_rate_limit_exceeded": ("throughput", "throughput"),
    "request_size_limit_exceeded": ("request size", "request limit"),
    "item_size_limit_exceeded": ("item size", "item size"),
    "element_size_limit_exceeded": ("element size", "element size"),
}

_KINDS = {
    "UNAUTHENTICATED": exceptions.AuthenticationFailed,
    "PERMISSION_DENIED": exceptions.NotPermitted,
    "NOT_FOUND": exceptions.CacheNotFound,
    "INVALID_ARGUMENT": exceptions.InvalidArgument,
    "OUT_OF_RANGE": exceptions.InvalidArgument,
    "FAILED_PRECONDITION": exceptions.FailedPrecondition,
    "UNAVAILABLE": exceptions.ServerUnavailable,
    "CANCELLED": exceptions.ServerUnavailable,
    "DEADLINE_EXCEEDED": exceptions.CallTimedOut,
}

_TEXTS = {
    "UNAUTHENTICATED": (
        "Momento at {endpoint} refused the API key ({source}): {details}.",
        "Check that the key was not revoked, has not expired and is for this endpoint.",
    ),
    "PERMISSION_DENIED": (
        "The API key ({source}) may not do {rpc} on cache {cache!r}: {details}.",
        "Give the key read and write permission on this cache in Momento's console.",
    ),
    "NOT_FOUND": (
        "Momento at {endpoint} has no cache named {cache!r}.",
        "Check LOCATION, or create the cache: in Momento's console, or `manage.py momento_check --create`.",
    ),
    "UNAVAILABLE": (
        "Momento at {endpoint} cannot be reached: {details}.",
        "Check ENDPOINT, that the server runs if it is a local one, and outbound access to its port.",
    ),
    "DEADLINE_EXCEEDED": (
        "Momento at {endpoint} did not answer {rpc} within {timeout:g} s.",
        "Check the network between here and there, and CLIENT_TIMEOUT.",
    ),
}
_OTHER = ("Momento at {endpoint} answered {rpc} with {status}: {details}.", "")


@dataclass(frozen=True)
class Sent:
    """What was sent where, for the messages. ``timeout`` is in seconds."""

    rpc: str
    cache: str
    endpoint: str
    source: str
    timeout: float

    def failed(self, status: str, details: str, err: str | None = None) -> MomentoCacheError:
        """Answer the exception for a gRPC status; ``err`` is Momento's trailing metadata of that name."""
        failure = self._failure(status, details, err)
        failure.status = status
        return failure

    def _failure(self, status: str, details: str, err: str | None) -> MomentoCacheError:
        if status == "RESOURCE_EXHAUSTED":
            return self._limited(details, err)
        kind = _KINDS.get(status, exceptions.ServerError)
        cause, fix = _TEXTS.get(status, _OTHER)
        return kind(self._filled(cause, status, details), fix)

    def _limited(self, details: str, err: str | None) -> MomentoCacheError:
        limit = _limit(details, err)
        details = _clause(details)
        if limit == "item size":
            return exceptions.ValueTooLarge(
                f"Momento refused the value for its size: {details}.", "Cache less."
            )
        what = "a limit of the Momento account" if limit == "unknown" else f"the limit on {limit}"
        return exceptions.LimitExceeded(
            f"{self.rpc} on cache {self.cache!r} hit {what}: {details}.",
            "Ask Momento for a higher limit, or cache less often: it was not repeated.",
            limit=limit,
        )

    def _filled(self, text: str, status: str, details: str) -> str:
        return text.format(
            rpc=self.rpc,
            cache=self.cache,
            endpoint=self.endpoint,
            source=self.source,
            timeout=self.timeout,
            status=status,
            details=_clause(details),
        )


def _clause(details: str) -> str:
    return details.rstrip(".") or "no details"


def _limit(details: str, err: str | None) -> str:
    for code, (limit, word) in _LIMITS.items():
        if code == err or (not err and word in details.lower()):
            return limit
    return "unknown"
