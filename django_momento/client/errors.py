"""The one table that maps failed calls to the exceptions of this package, with the words that explain them.

gRPC's errors and the errors of Momento's SDK are mapped by their status, so both have the same texts. Other
exceptions that are raised inside a call, such as a thread that cannot be started, become ``ServerError``. An
exception that is raised from outside the call is not mapped: see ``interruption.is_foreign``.

Source: the SDKs' mapping of status codes, and their ``err`` metadata for the limits.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import grpc
from momento.errors import InvalidArgumentException, SdkException, UnknownException

from .. import exceptions
from ..exceptions import InvalidArgument, LimitExceeded, MomentoCacheError, ServerError, ValueTooLarge
from ..interruption import hidden_interruption, is_foreign, is_interruption
from ..redaction import quote
from .decoding import UnreadableResponse, find_cause
from .leaving import hold_thread
from .obstacles import find_fix

TRANSPORT_ERRORS = (SdkException, grpc.RpcError, grpc.FutureCancelledError)
"""The errors of gRPC and of Momento's SDK."""

# By the trailing metadata `err`. If a server sends none, by a word in the status details.
_LIMITS = {
    "operations_rate_limit_exceeded": ("operations per second", "operations"),
    "throughput_rate_limit_exceeded": ("throughput", "throughput"),
    "request_size_limit_exceeded": ("request size", "request limit"),
    "item_size_limit_exceeded": ("item size", "item size"),
    "element_size_limit_exceeded": ("element size", "element size"),
}

# gRPC's own texts for a message or metadata that it refuses for their size.
_MESSAGE_SIZE = re.compile(r"\b(sent|received) message larger than max", re.IGNORECASE)
_METADATA_SIZE = re.compile(r"\bmetadata size exceeds\b.*\blimit", re.IGNORECASE)

_CLASSES = {
    "UNAUTHENTICATED": exceptions.AuthenticationFailed,
    "PERMISSION_DENIED": exceptions.NotPermitted,
    "NOT_FOUND": exceptions.CacheNotFound,
    "INVALID_ARGUMENT": InvalidArgument,
    "OUT_OF_RANGE": InvalidArgument,
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
        "The API key ({source}) may not do {rpc} on cache {cache}: {details}.",
        "Give the key read and write permission on this cache in Momento's console.",
    ),
    "NOT_FOUND": (
        "Momento at {endpoint} has no cache named {cache}.",
        "Check LOCATION, or create the cache: in Momento's console, or `manage.py momento_check --create`.",
    ),
    "UNAVAILABLE": (
        "Momento at {endpoint} cannot be reached: {details}.",
        "",  # see find_fix()
    ),
    "DEADLINE_EXCEEDED": (
        "Momento at {endpoint} did not respond to {rpc} within {timeout:g} s.",
        "Check the network between here and there, and CLIENT_TIMEOUT.",
    ),
}
_OTHER = ("Momento at {endpoint} ended {rpc} with {status}: {details}.", "")


@dataclass(frozen=True)
class Sent:
    """A call and its destination, for the messages.

    ``timeout`` is in seconds: CLIENT_TIMEOUT, unless ``is_control``. ``item`` describes the key and the size
    of the largest item in the call, and ``secrets`` are the texts that no message may repeat.
    """

    rpc: str
    cache: str
    endpoint: str
    source: str
    timeout: float
    item: str = "no key"
    secrets: tuple[str, ...] = ()
    is_control: bool = False

    def error_for_status(self, status: str, details: str, err: str | None = None) -> MomentoCacheError:
        """Return the exception for a gRPC status; ``err`` is Momento's trailing metadata of that name."""
        # A long text is cut here, so that the words below are looked for in a bounded text.
        details = details[:10_000]
        if status == "RESOURCE_EXHAUSTED":
            failure = self._size_error(details) or self._limit_error(details, err)
        else:
            cause, fix = _TEXTS.get(status, _OTHER)
            if status == "UNAVAILABLE":
                fix = find_fix(self.endpoint, details)
            elif status == "DEADLINE_EXCEEDED" and self.is_control:
                fix = "Check the network between here and there. The timeout of this call is fixed."
            failure = _CLASSES.get(status, ServerError)(self._format(cause, status, details), fix)
        failure.status = status
        return failure

    def error_before_sending(self, error: BaseException) -> MomentoCacheError:
        """Return the exception for an error that is raised while a call is built, sent or read."""
        name = type(error).__name__
        details = self._clause(str_or_type(error))
        if isinstance(error, UnreadableResponse):
            failure = ServerError(f"Momento's response to {self.rpc} cannot be read: {details}.")
            failure.status = "INTERNAL"  # as gRPC's own for it, after which a read is repeated
            return failure
        if isinstance(error, SdkException):
            kind = InvalidArgument if isinstance(error, InvalidArgumentException) else ServerError
            return kind(f"{self.rpc} of {self.item}: Momento's SDK refused the call: {details}.")
        if isinstance(error, (OverflowError, ValueError, TypeError)):
            return InvalidArgument(f"{self.rpc} of {self.item} cannot be sent: {name}: {details}.")
        if isinstance(error, AttributeError):
            return ServerError(f"Momento's response to {self.rpc} cannot be read: {name}: {details}.")
        return ServerError(
            f"{self.rpc} on cache {quote(self.cache)!r} failed inside the client: {name}: {details}.",
            "Check that this process may start threads, open files and use memory.",
        )

    def _size_error(self, details: str) -> MomentoCacheError | None:
        if found := _MESSAGE_SIZE.search(details):
            is_value = self.rpc in {"Set", "SetIfNotExists", "SetBatch"} or found[1].lower() == "received"
            error = ValueTooLarge if is_value else InvalidArgument
            return error(
                f"gRPC refused {self.rpc} of {self.item} for its size: {self._clause(details)}.",
                "Cache less under one key, or use shorter keys.",
            )
        if _METADATA_SIZE.search(details):
            size = len(self.cache.encode(errors="replace"))
            return InvalidArgument(
                f"gRPC refused the metadata of {self.rpc} of {self.item} for its size: the name of the cache "
                f"takes {size:,} bytes, the API key {sum(map(len, self.secrets)):,}: "
                f"{self._clause(details)}.",
                "Use a shorter name in LOCATION, and check that the secret holds an API key alone.",
            )
        return None

    def _limit_error(self, details: str, err: str | None) -> MomentoCacheError:
        limit = _limit(details, err)
        details = self._clause(details)
        if limit == "item size":
            return ValueTooLarge(f"Momento refused the value for its size: {details}.", "Cache less.")
        reason = "a limit of the Momento account" if limit == "unknown" else f"the limit on {limit}"
        return LimitExceeded(
            f"{self.rpc} on cache {quote(self.cache)!r} hit {reason}: {details}.",
            "Ask Momento for a higher limit, or cache less often: it was not repeated.",
            limit=limit,
        )

    def _format(self, text: str, status: str, details: str) -> str:
        return text.format(
            rpc=self.rpc,
            cache=repr(quote(self.cache)),
            endpoint=self.endpoint,
            source=self.source,
            timeout=self.timeout,
            status=quote(status),
            details=self._clause(details),
        )

    def _clause(self, details: str) -> str:
        return quote(details, secrets=self.secrets).rstrip(".") or "no details"


def map_error(sent: Sent, error: BaseException) -> MomentoCacheError:
    """Return the exception of this package for an error that a call ended with.

    Raises the exception of a signal's handler if the error hides one.

    The error loses its traceback. The frames of the SDK and of gRPC hold the error itself, and with it the
    connection, until the next garbage collection.
    """
    if isinstance(error, MomentoCacheError):
        return error
    if (interruption := hidden_interruption(error)) is not None:
        raise interruption
    hold_thread()
    error = find_cause(details_of(error)) or error
    if isinstance(error, UnknownException):
        error = error.__cause__ or error  # set by sdk_log
    mapped = _map_error(sent, error)
    mapped.__cause__ = error
    seen: set[int] = set()
    inner: BaseException | None = error
    while inner is not None and id(inner) not in seen:
        seen.add(id(inner))
        inner.__traceback__ = None
        inner = inner.__cause__ or inner.__context__
    return mapped


def details_of(error: BaseException) -> str | None:
    """Return the details of a status of gRPC's, or None."""
    if isinstance(error, SdkException):
        return None if error.transport_details is None else error.transport_details.grpc.details
    return error.details() if isinstance(error, grpc.RpcError) and hasattr(error, "details") else None


def _map_error(sent: Sent, error: BaseException) -> MomentoCacheError:
    if isinstance(error, grpc.FutureCancelledError):
        return sent.error_for_status("CANCELLED", "the connection was closed")
    if isinstance(error, grpc.RpcError) and hasattr(error, "code"):
        return sent.error_for_status(
            _status_name(error.code()), _text(error.details()), _err(error.trailing_metadata())
        )
    if isinstance(error, ValueError) and "closed channel" in str(error):
        return sent.error_for_status("CANCELLED", "the connection was closed")
    if isinstance(error, SdkException) and error.transport_details is not None:
        details = error.transport_details.grpc
        return sent.error_for_status(
            _status_name(details.code), _text(details.details), _err(details.metadata)
        )
    return sent.error_before_sending(error)


def is_to_pass(error: BaseException) -> bool:
    """Return whether an exception of a call is to be raised as it is."""
    return isinstance(error, MomentoCacheError) or is_foreign(error)


def str_or_type(error: BaseException) -> str:
    """Return the text of an error, or the name of its type if it has none that can be shown."""
    if isinstance(error, SdkException):
        return str(error.message)
    try:
        return str(error)
    except Exception as failure:  # a foreign error's __str__ may raise anything
        if is_interruption(failure):
            raise
        return type(error).__name__


def _status_name(code: object) -> str:
    return str(getattr(code, "name", code))


def _text(details: object) -> str:
    return "" if details is None else str(details)


def _err(metadata: Any) -> str | None:
    """Return Momento's ``err`` of trailing metadata, which is text if there is one."""
    found = dict(metadata or ()).get("err")
    return found if isinstance(found, str) else None


def _limit(details: str, err: str | None) -> str:
    for code, (limit, word) in _LIMITS.items():
        if code == err or (not err and word in details.lower()):
            return limit
    return "unknown"
