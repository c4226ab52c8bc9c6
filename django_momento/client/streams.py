"""Responses that are streams: read by a thread, and to the last event of their calls.

gRPC's iterator of a stream ends with the status of the call. If the call is refused or cancelled, other
events of it may come after the status. gRPC keeps a call until all its events are taken, and the call keeps
its connection, even after the channel is closed. So the last events are taken here.

This needs internal names of gRPC. If a version of it lacks one of them, such a connection stays open until
the process ends.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
from collections import deque
from collections.abc import Generator
from typing import Any

from .. import forking
from .fork_gate import gate
from .readers import Readers

# gRPC's number of the status CANCELLED.
_CANCELLED = 1

# Cancelled streams whose threads could not be started. The next thread that reads takes their last events.
_unread: deque[Any] = deque()
forking.register(after_in_child=_unread.clear)


class Reading:
    """A stream that a thread reads, as a future of the list of its messages.

    Raises RuntimeError, and cancels the stream, if the thread cannot be started.
    """

    def __init__(self, stream: Any, readers: Readers) -> None:
        self._stream = stream
        try:
            self._messages: concurrent.futures.Future[list[Any]] = readers.submit(deliver, stream)
        except RuntimeError:
            leave_unread(stream)
            raise
        self.result = self._messages.result
        self.add_done_callback = self._messages.add_done_callback

    def cancel(self) -> None:
        """Cancel the call. The thread that reads takes its last events."""
        cancel(self._stream)


class Stream:
    """A stream that the caller's own thread reads when it wants the result."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._is_read = False

    def cancel(self) -> None:
        """Cancel the call, and take its last events if nobody has read it: whoever reads it takes them."""
        cancel(self._stream)
        if self._is_read:
            return
        # Not before: cancelling may wait for a lock of an interrupted thread, and a fork would wait for both.
        with gate.enter():
            take_last_events(self._stream)

    def result(self, timeout: float | None = None, /) -> list[Any]:
        """Return the messages. Raises ``grpc.RpcError``. The call's own deadline bounds the wait."""
        self._is_read = True
        return _read(self._stream)


def leave_unread(stream: Any) -> None:
    """Cancel a stream that no thread reads. The next thread that reads takes its last events."""
    cancel(stream)
    _unread.append(stream)


def deliver(stream: Any, is_single: bool = False) -> list[Any]:
    """Return the messages of a stream on a thread of our own, by which ``leaving`` finds that thread.

    A stream that ``is_single`` has one message, or none.
    """
    while _unread:
        with contextlib.suppress(IndexError):
            take_last_events(_unread.popleft())
    return _read(stream, is_single)


def _read(stream: Any, is_single: bool = False) -> list[Any]:
    """Return the messages of a stream. Raises ``grpc.RpcError``."""
    try:
        messages = _read_one(stream) if is_single else list(stream)
    except BaseException as error:
        if _has_interrupted_grpc(error):
            # gRPC may have taken an event and not counted it. It would wait for that event for ever.
            cancel(stream)
            raise
        # gRPC raises the call itself. An interceptor may have returned another object in its place.
        take_last_events(error)
        take_last_events(stream)
        raise
    take_last_events(stream)
    return messages


def _read_one(stream: Any) -> list[Any]:
    """Return the first message of a stream after the end of the call, if there is one.

    gRPC's iterator would ask for a second message, which is one event more.
    """
    take_event: Any = getattr(stream, "_consume_next_event", None)
    for message in stream:
        if take_event is None:
            return [message, *stream]
        while not stream.done():
            take_event()
        if stream.code().name != "OK":
            raise stream
        return [message]
    return []


def _has_interrupted_grpc(error: BaseException) -> bool:
    """Return whether an error came while gRPC's native code waited for an event, or counted it."""
    traceback = error.__traceback__
    while traceback is not None:
        if traceback.tb_frame.f_code.co_filename.endswith((".pyx", ".pxi")):
            return True
        traceback = traceback.tb_next
    return False


def take_last_events(call: Any) -> None:
    """Take the events that gRPC still has for a call. If it has not ended, it is cancelled.

    An object that is not a call of gRPC's is left alone.
    """
    take_event: Any = getattr(call, "_consume_next_event", None)
    native: Any = getattr(call, "_call", None)
    if take_event is None or not hasattr(native, "operate"):
        return
    # An interruption, or a response that could not be decoded, ends the iterator, but not the call.
    native.cancel(_CANCELLED, "")
    # gRPC refuses operations once all events of a call are taken. An empty operation is an event as well.
    while native.operate((), None):
        take_event()
        take_event()


def cancel(stream: Any) -> None:
    """Cancel a stream, or leave it to its deadline if it cannot be cancelled.

    OpenTelemetry's interceptor returns a generator in place of gRPC's call. The call behind it ends if the
    generator is closed, but while a thread reads the generator, no other thread can close it.
    """
    if isinstance(stream, Generator):
        with contextlib.suppress(ValueError):
            stream.close()
    else:
        stream.cancel()
