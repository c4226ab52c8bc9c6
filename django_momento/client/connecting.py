"""Wait for a new connection before a call is sent over it that may not be sent twice.

A call on a new connection waits until the connection is made, which may take longer than CLIENT_TIMEOUT. If
the call may be repeated, it is sent again until CONNECT_TIMEOUT. ``add`` and ``incr`` may not be repeated: if
they time out, they may have taken effect. So they are not sent before the connection is made.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from ..clock import monotonic
from ..exceptions import MomentoCacheError
from ..interruption import is_foreign
from .calls import Call, Get, KeysExist, Request
from .metering import BackgroundRequests, Tally
from .retry import Connected, Policy, Send, Sent, recover
from .timers import sleep

if TYPE_CHECKING:
    from .breaker import CircuitBreaker
    from .transport import Transport

# Seconds between two looks at a connection: the first, and at most.
_FIRST_LOOK = 0.0005
_MAX_LOOK = 0.05

_KEY = b"\x00django-momento-connect"
_SAFE_CALLS: tuple[Call[Any], ...] = (KeysExist((_KEY,)), Get(_KEY))


def connect(
    client: Connected, transport: Transport, cache: str, request: Request, background: BackgroundRequests
) -> Policy:
    """Wait for the connection of a request if no call has succeeded over it yet.

    If gRPC does not tell whether it is made, a safe call is sent and counted in ``background``. Raises the
    MomentoCacheError of that call.
    """
    call = yield _AwaitConnection(transport, request)
    if call is None:
        return
    tally, started = Tally(), monotonic()
    try:
        yield Send(transport, cache, call, tally)
    except MomentoCacheError as failure:
        yield from recover(client, cache, call, Sent(transport, started, failure, tally))
    finally:
        background.add(tally)


class _AwaitConnection:
    """Waits for the connection of a request, and returns the safe call that is needed to find out more."""

    def __init__(self, transport: Transport, request: Request) -> None:
        self._transport = transport
        self._request = request

    def run(self) -> Call[Any] | None:
        breaker_of = self._transport.breaker_of
        breaker = breaker_of(self._request)
        waits = self._waits(breaker)
        if waits is None:
            return next(call for call in _SAFE_CALLS if breaker_of(call) is breaker)
        for seconds in waits:
            time.sleep(seconds)
        return None

    async def arun(self) -> Call[Any] | None:
        waits = self._waits(self._transport.async_breaker_of(self._request))
        if waits is None:
            return _SAFE_CALLS[0]
        for seconds in waits:
            await sleep(seconds)
        return None

    def _waits(self, breaker: CircuitBreaker) -> Iterator[float] | None:
        """Return the pauses until the connection is made or has failed, or None if gRPC does not tell."""
        from . import channel, sdk  # loaded with the transport, and not before

        try:
            made = self._transport.connection_of(breaker).get()
        except Exception as error:
            if is_foreign(error):
                raise
            return iter(())  # The request itself will fail as well, with an error that explains it.
        its_channel = made.channel if isinstance(made, channel.Connection) else sdk.channel_of(made)
        if not self._transport.is_connecting(breaker):
            return iter(())
        if channel.is_unconnected(its_channel) is None:
            return None
        return self._pauses(breaker, lambda: channel.is_unconnected(its_channel))

    def _pauses(self, breaker: CircuitBreaker, is_unconnected: Callable[[], object]) -> Iterator[float]:
        pause = _FIRST_LOOK
        while self._transport.is_connecting(breaker) and is_unconnected():
            yield pause
            pause = min(2 * pause, _MAX_LOOK)
