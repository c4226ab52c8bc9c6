"""Count the operations of a call, the unit in which Momento limits and bills, and add up those of a verb.

``django_momento.local.metering`` describes the rule, and where Momento's documentation leaves it open. The
local server applies the same rule to the messages on the wire.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from ..exceptions import InvalidArgument, MomentoCacheError, ValueTooLarge
from ..local.metering import CHARGED_STATUSES, READS, SET_IF_FACTOR, item_operations, read_factor
from .call_items import items_of
from .calls import RESERVED, Call, Get, GetBatch, ItemGetTtl, KeysExist, Recount, SetIfAbsent, UpdateTtl


def operations(call: Call[Any], response: Any, read_concern: str = "") -> int:
    """Return the operations that Momento counts for a call, as an estimate of August 2026.

    ``response`` is the result of the call: the value of a Get or None for a miss, the list of values of a
    GetBatch. ``read_concern`` is the request metadata of that name. For a call that failed see
    ``failed_operations``. Control calls have a limit of their own and count 0.
    """
    if call.control:
        return 0
    count = _COUNTS.get(call.rpc)
    total = _one_item(call) if count is None else count(call, response)
    return total * read_factor(read_concern) if call.rpc in READS else total


def failed_operations(call: Call[Any], error: BaseException) -> int:
    """Return the operations of a call that failed: 1 if Momento looked at its item, else 0.

    Nothing is counted for a refused key, a limit that was hit, a server that cannot be reached, a timeout and
    a call that was cancelled. Whether Momento charges for the last two is not documented.
    """
    if call.control or not isinstance(error, MomentoCacheError):
        return 0
    return int(error.status in CHARGED_STATUSES or (isinstance(error, ValueTooLarge) and bool(error.status)))


class Tally:
    """The cost of one call of a verb: each request that was sent for it, retries included.

    ``requests`` counts the requests to Momento. ``bytes_sent`` and ``bytes_received`` count keys and values.
    ``largest`` is the size of the largest value, in bytes. ``hits`` and ``misses`` count the keys that
    were looked up, after all retries. ``served_from`` is ``momento``, or ``near`` if a value came from the
    memory of this process, or ``stale`` if one came from there because Momento could not be reached.
    """

    __slots__ = (
        *("bytes_received", "bytes_sent", "hits", "largest", "misses"),
        *("operations", "requests", "served_from"),
    )

    def __init__(self) -> None:
        self.requests = 0
        self.operations = 0
        self.bytes_sent = 0
        self.bytes_received = 0
        self.largest = 0
        self.hits = 0
        self.misses = 0
        self.served_from = "momento"

    def record_sent(self, call: Any) -> None:
        """Count a request that is sent now."""
        self.requests += 1
        keys, values = _sizes(call)
        self.bytes_sent += keys + sum(values)
        if values:
            self.largest = max(self.largest, *values)

    def record_response(self, call: Any, response: Any, read_concern: str) -> None:
        """Count the operations of a request that succeeded."""
        if not isinstance(call, Call):
            return  # CreateCache
        self.operations += operations(call, response, read_concern)
        for value in response if type(response) is list else (response,):
            if type(value) is bytes:
                self.bytes_received += len(value)
                self.largest = max(self.largest, len(value))

    def record_failure(self, call: Any, error: BaseException) -> None:
        """Count a request that failed. One that was not sent is not counted at all."""
        is_refused = isinstance(error, InvalidArgument) and not error.status  # by gRPC or the SDK
        if is_refused or (isinstance(error, MomentoCacheError) and error.is_unsent):
            self.requests -= 1
            keys, values = _sizes(call)
            self.bytes_sent -= keys + sum(values)
        elif isinstance(call, Call):
            self.operations += failed_operations(call, error)

    def record_lookup(self, request: Any, response: Any) -> None:
        """Count the keys that a request has found and not found."""
        if type(request) is list:
            for call, outcome in zip(request, response, strict=True):
                if not isinstance(outcome, BaseException):
                    self.record_lookup(call, outcome)
        elif isinstance(request, Recount):
            self.hits -= request.keys
            self.misses += request.keys
        elif _first_key(request).startswith(RESERVED):
            return  # No key of the caller.
        elif isinstance(request, Get):
            self._count_found([response is not None])
        elif isinstance(request, GetBatch):
            self._count_found([value is not None for value in response])
        elif isinstance(request, KeysExist):
            self._count_found(response)
        elif isinstance(request, (ItemGetTtl, UpdateTtl)):
            self._count_found([response is not None and response is not False])
        elif isinstance(request, SetIfAbsent):
            self._count_found([not response])

    def _count_found(self, found: list[bool]) -> None:
        hits = sum(found)
        self.hits += hits
        self.misses += len(found) - hits


class BackgroundRequests:
    """The requests of a client that belong to no cache call.

    They are probes, repairs of keys, and the first requests over a new connection or with a new API key.
    """

    def __init__(self) -> None:
        self.requests = 0
        self.operations = 0
        # Probes of several connections end on threads of their own.
        self._lock = threading.RLock()

    def record_sent(self) -> None:
        """Count a request that is sent now."""
        with self._lock:
            self.requests += 1

    def add(self, tally: Tally) -> None:
        """Count the requests of a tally and their operations."""
        with self._lock:
            self.requests += tally.requests
            self.operations += tally.operations

    def record_end(self, call: Call[Any], error: BaseException | None, read_concern: str) -> None:
        """Count the operations of a request that failed with an error, or found nothing."""
        count = operations(call, None, read_concern) if error is None else failed_operations(call, error)
        with self._lock:
            self.operations += count


def _first_key(request: Any) -> bytes:
    key: bytes = getattr(request, "key", b"") or next(iter(getattr(request, "keys", ())), b"")
    return key


def _sizes(call: Any) -> tuple[int, list[int]]:
    """Return the size of all keys of a call, and the size of each of its values."""
    items = items_of(call)
    return sum(len(key) for key, _ in items), [len(value) for _, value in items if value is not None]


def _one_item(call: Any) -> int:
    return item_operations(len(call.key) + len(getattr(call, "value", b"")))


def _get(call: Any, response: bytes | None) -> int:
    return item_operations(len(call.key) + len(response or b""))


def _get_batch(call: Any, response: list[bytes | None] | None) -> int:
    if response is None:
        return 1
    pairs = zip(call.keys, response, strict=True)
    return max(1, sum(item_operations(len(key) + len(value or b"")) for key, value in pairs))


def _set_batch(call: Any, response: list[bool] | None) -> int:
    if response is None:
        return 1
    return max(1, sum(item_operations(len(key) + len(value)) for key, value in call.items))


def _keys_exist(call: Any, response: list[bool] | None) -> int:
    return item_operations(sum(map(len, call.keys)))


def _set_if(call: Any, response: bool | None) -> int:
    return _one_item(call) * SET_IF_FACTOR


def _field(call: Any, response: Any) -> int:
    """Count one element of a dictionary, with its value if the call returns it."""
    value = response if isinstance(response, bytes) else b""
    return item_operations(len(call.field) + len(value))


_COUNTS: dict[str, Callable[[Any, Any], int]] = {
    "DictionaryGet": _field,
    "DictionaryIncrement": _field,
    "Get": _get,
    "GetBatch": _get_batch,
    "SetBatch": _set_batch,
    "KeysExist": _keys_exist,
    "SetIf": _set_if,
}
