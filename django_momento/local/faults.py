"""Faults that tests ask for: delays and errors, of single requests by their metadata or of all calls at once.

The keys of the metadata are those that Momento's own local image understands.
"""

from __future__ import annotations

import asyncio
import random
import re
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from typing import Any

from grpc import StatusCode

from .casing import kebab_case, status_code
from .errors import InjectedFault, InvalidArgument

KEYS = frozenset({"error-rpcs", "delay-rpcs", "stream-error-rpcs"})

# RPCs that metadata does not name by their own name in kebab case.
ALIASES = {
    "SetIfNotExists": "set-if",
    "ListErase": "list-remove",
    "Publish": "topic-publish",
    "Subscribe": "topic-subscribe",
}

# If more request ids than these have faults, the counters that were used longest ago begin anew.
MAX_COUNTERS = 10_000

# No client waits as long as an hour.
MAX_DELAY_MS = 60 * 60 * 1000

Metadata = Mapping[str, str]


def requests_fault(metadata: Metadata) -> bool:
    """Return whether a request asks for a fault. If not, ``RequestFaults`` has nothing to do."""
    return not KEYS.isdisjoint(metadata)


class RequestFaults:
    """Applies the faults that requests ask for in their metadata, and counts them for each request id."""

    def __init__(self) -> None:
        self._counters: OrderedDict[tuple[str, str, str], int] = OrderedDict()

    async def before(self, rpc: str, metadata: Metadata) -> None:
        """Sleep, and then raise InjectedFault, if the request asks for it and its count is not used up."""
        if _names_rpc("delay-rpcs", rpc, metadata) and self._is_due("delay-count", rpc, metadata):
            await asyncio.sleep(_number("delay-ms", metadata) / 1000)
        if (
            _names_rpc("error-rpcs", rpc, metadata)
            and metadata.get("return-error")
            and self._is_due("error-count", rpc, metadata)
        ):
            raise InjectedFault(_status("return-error", metadata))

    async def during(
        self, rpc: str, metadata: Metadata, responses: AsyncGenerator[Any, None]
    ) -> AsyncGenerator[Any, None]:
        """Yield responses, and raise InjectedFault after as many of them as the request says."""
        fails = _names_rpc("stream-error-rpcs", rpc, metadata) and metadata.get("stream-error")
        left = _number("stream-error-message-limit", metadata) if fails else None
        async with aclosing(responses):
            if left == 0:
                raise InjectedFault(_status("stream-error", metadata))
            async for response in responses:
                yield response
                if left is not None:
                    left -= 1
                    if left == 0:
                        raise InjectedFault(_status("stream-error", metadata))

    def _is_due(self, limit: str, rpc: str, metadata: Metadata) -> bool:
        """Return whether a fault is still to happen for this request id, and count it if so."""
        if not metadata.get(limit):
            return True
        counter = (metadata.get("request-id", ""), limit, metadata_name(rpc))
        done = self._counters.pop(counter, 0)
        due = done < _number(limit, metadata)
        self._counters[counter] = done + due
        if len(self._counters) > MAX_COUNTERS:
            self._counters.popitem(last=False)
        return due


def delay_seconds(milliseconds: int) -> float:
    """Return a delay in seconds. Raises ValueError if it is negative or longer than an hour."""
    if not 0 <= milliseconds <= MAX_DELAY_MS:
        raise ValueError(f"A delay must be 0 to {MAX_DELAY_MS} milliseconds, not {milliseconds}")
    return milliseconds / 1000


class GlobalFaults:
    """Delays or refuses all calls, so that every client sees a slow or failing Momento.

    The faults may change at any time, from any thread. A call that waits already goes on waiting. ``draw``
    returns a number of at least 0 and below 1, as ``random.random`` does.
    """

    def __init__(self, draw: Callable[[], float] = random.random) -> None:
        self._draw = draw
        self._delay = 0.0
        self._share = 0.0
        self._status = StatusCode.UNAVAILABLE

    @property
    def is_active(self) -> bool:
        return bool(self._delay or self._share)

    def delay(self, milliseconds: int = 0) -> None:
        """Delay every call by so many milliseconds before it has any effect. 0 ends the delay.

        Raises ValueError if the delay is negative or longer than an hour.
        """
        self._delay = delay_seconds(milliseconds)

    def fail(self, status: str = "", share: float = 1.0) -> None:
        """Refuse this share of all calls with a status before they have any effect. Without a status, stop.

        The status is named as in metadata, such as ``unavailable``. Raises ValueError if the status is
        unknown or the share is not 0 to 1.
        """
        if not 0 <= share <= 1:
            raise ValueError(f"The share of calls that fail must be 0 to 1, not {share:g}")
        self._status = status_code(status) if status else StatusCode.UNAVAILABLE
        self._share = share if status else 0.0

    async def apply(self) -> None:
        """Delay a call. Raises InjectedFault if this is a call to refuse."""
        if self._delay:
            await asyncio.sleep(self._delay)
        if self._draw() < self._share:
            raise InjectedFault(self._status)


def metadata_name(rpc: str) -> str:
    return ALIASES.get(rpc) or kebab_case(rpc)


def _names_rpc(key: str, rpc: str, metadata: Metadata) -> bool:
    return metadata_name(rpc) in metadata.get(key, "").split()


def _number(key: str, metadata: Metadata) -> int:
    text = metadata.get(key) or "0"
    if not re.fullmatch("[0-9]{1,9}", text):
        raise InvalidArgument(f"{key} must be a whole number, not {text!r}")
    return int(text)


def _status(key: str, metadata: Metadata) -> StatusCode:
    try:
        return status_code(metadata[key])
    except ValueError as error:
        raise InvalidArgument(f"{key} cannot be given: {error}") from error
