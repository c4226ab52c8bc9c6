"""Async calls that are alone in flight: each is read by a thread of ours, which stays for the next one.

gRPC delivers the ends of async calls on a thread of its own. It starts that thread with the first such call
of a channel and ends it with the last. So calls one after another start and end a thread each. A unary call
and one whose response is a stream of one message are the same on the wire, and any thread may read a stream.
That takes a fifth less of CPU. Others that are sent meanwhile go over gRPC's thread, one for all of them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from . import readers, streams
from .futures import Landing


class LoneCall(Landing):
    """A unary call that was sent as a stream, and that a thread of ours reads, as a future of its response.

    It is in the set ``in_flight`` until its end, of which the functions ``on_done`` are then told. Raises
    RuntimeError, and cancels the call, if the thread cannot be started.
    """

    def __init__(
        self, stream: Any, in_flight: set[Any], on_done: Iterable[Callable[[Any], object]] = ()
    ) -> None:
        self._callbacks = deque((in_flight.discard, *on_done))
        self._stream = stream
        self._messages: list[Any] = []
        self._error: BaseException | None = None
        try:
            in_flight.add(self)
            readers.threads.run(self._run, self.end)
        except BaseException as error:
            in_flight.discard(self)
            if isinstance(error, RuntimeError):
                streams.leave_unread(stream)
            else:
                # The exception of a signal's handler. A thread may have begun to read.
                streams.cancel(stream)
            raise

    def _run(self) -> None:
        try:
            self._messages = streams.deliver(self._stream, is_single=True)
        except BaseException as error:  # noqa: BLE001 - result() raises it
            # Its frames hold this call, which holds the error.
            error.__traceback__ = None
            self._error = error

    def cancel(self) -> None:
        """Cancel the call. The thread that reads takes its last events."""
        streams.cancel(self._stream)

    def result(self, timeout: float | None = None, /) -> Any:
        """Return the response of a call that is done. Raises ``grpc.RpcError``."""
        if self._error is not None:
            raise self._error
        # gRPC returns None for a unary call that ends well without a response.
        return self._messages[0] if self._messages else None


class StreamMethods(dict[str, Any]):
    """The methods of a channel that send a unary RPC as a stream, by its name, or None in place of one.

    ``make`` makes them, each when it is first used.
    """

    def __init__(self, make: Callable[[str], Any]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, rpc: str) -> Any:
        method = self[rpc] = self._make(rpc)
        return method
