"""Our own gRPC channels, for the calls that the SDK lacks, for several at once, and for async.

A channel is made at its first call, from the same values as the SDK's: endpoint, deadline, keepalive and
certificates. The API key comes with each call, so a new key needs no new connection. A call that fails raises
``grpc.RpcError``, which ``transport`` maps.
"""

from __future__ import annotations

import concurrent.futures
import threading
from collections.abc import Callable
from functools import partial
from itertools import count
from threading import get_ident
from time import sleep
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

import grpc
import grpc.experimental
from momento.config.transport.grpc_configuration import GrpcConfiguration
from momento_wire_types import (
    cacheclient_pb2,
    cacheclient_pb2_grpc,
    controlclient_pb2,
    controlclient_pb2_grpc,
)

from ..clock import monotonic, wall
from ..credentials.credential import Credential
from ..endpoint import TLS_PORT, Endpoint
from ..exceptions import ServerError
from ..interruption import hidden_interruption, is_foreign
from . import discarded
from .calls import CONTROL_TIMEOUT, MAX_MESSAGE_BYTES, Call
from .deadlines import timeout_for_grpc
from .decoding import DecodingChannel, check_readable
from .interrupts import is_inside_grpc, release_interrupted_locks
from .lone_calls import LoneCall, StreamMethods
from .readers import Readers
from .streams import Reading, Stream

T = TypeVar("T")
Metadata = tuple[tuple[str, str], ...]

Callbacks = tuple[Callable[[Any], object], ...]


# Seconds. Momento's load balancer drops a connection that was idle for 300. A frozen Lambda container wakes
# to such a connection, and a call over it finds out by its deadline only.
MAX_IDLE = 240.0

# Seconds that a thread waits for another to connect, which takes milliseconds.
MAX_WAIT = 0.5

# Seconds between two looks whether it has.
_POLL = 0.0005

# gRPC's own pause between attempts to connect grows to two minutes: too long for a cache that is back.
_MAX_RECONNECT_BACKOFF_MS = 2000

_UNCONNECTED = [
    state.value[0] for state in (grpc.ChannelConnectivity.IDLE, grpc.ChannelConnectivity.CONNECTING)
]

# Threads of one channel that read responses which are streams, for async calls only.
_MAX_READERS = 32

# gRPC lets channels share a connection, and its pauses between attempts to connect, if all their arguments
# are equal. A connection that is to be new has a generation of its own, which goes into the arguments.
_generations = count()


class Service(NamedTuple):
    """One of Momento's services: its full name, its messages, its stub."""

    name: str
    pb: Any
    stub: Any


CACHE = Service("cache_client.Scs", cacheclient_pb2, cacheclient_pb2_grpc.ScsStub)
CONTROL = Service("control_client.ScsControl", controlclient_pb2, controlclient_pb2_grpc.ScsControlStub)


class Connection(NamedTuple):
    """A channel of gRPC's, its stub, the methods for lone calls, and the async unary calls in flight."""

    channel: grpc.Channel
    stub: Any
    stream_methods: StreamMethods
    in_flight: set[Any]


class Recycled(Generic[T]):
    """Something that connects: made when it is first used, and anew after it was idle for ``MAX_IDLE``.

    ``connect`` takes a generation, and ``close`` closes what ``connect`` returned. A connection that is
    replaced for its idleness is only dropped: gRPC closes it with the last call on it.
    """

    def __init__(
        self, connect: Callable[[int], T], close: Callable[[T], object], generation: int | None = None
    ) -> None:
        self._connect = connect
        self._close = close
        self._current: T | None = None
        # Wall time: a monotonic clock may stand still while a container is frozen.
        self._used = 0.0
        # The thread that connects. There is no lock, because a handler of a signal may interrupt any line.
        self._connecting: dict[None, int] = {}
        self._is_closed = False
        self._is_suspect = False
        # When the connection was made, by ``clock.monotonic``.
        self.opened_at = 0.0
        self.generation = next(_generations) if generation is None else generation

    def get(self) -> T:
        """Return the connection. Raises ServerError after ``close`` and ``retire``."""
        now = wall()
        current = self._current
        if current is None or abs(now - self._used) > MAX_IDLE:
            return self._renew(now)
        self._used = now
        return current

    def peek(self) -> T | None:
        """Return the connection if there is one."""
        return self._current

    def close(self) -> None:
        """Close the connection with all calls on it, and refuse to make another."""
        self.retire()()

    def retire(self) -> Callable[[], object]:
        """Refuse further calls. Return a function that closes the connection with all calls on it."""
        self._is_closed = True
        current, self._current = self._current, None
        return partial(self._close, current) if current is not None else lambda: None

    def discard(self, current: T) -> None:
        """Drop a connection that does not work any more; the next call makes another."""
        if self._current is current:
            self._current = None
            self._is_suspect = True
            self.generation = next(_generations)

    def _renew(self, now: float) -> T:
        """Make a connection, or return the one that another thread makes meanwhile.

        That thread may write log lines, and their handler may wait for this thread. So this one waits for a
        bounded time, and connects itself then.
        """
        us = get_ident()
        until = monotonic() + MAX_WAIT
        while self._connecting.setdefault(None, us) != us and monotonic() < until:
            sleep(_POLL)
        try:
            return self._connect_or_reuse(now)
        finally:
            self._connecting.pop(None, None)

    def _connect_or_reuse(self, now: float) -> T:
        self._check_open()
        if self._is_suspect:
            # A connection without threads would be discarded in turn, and each takes a descriptor.
            _check_threads()
            self._is_suspect = False
            discarded.serve_waiting()
        current = self._current
        if current is not None and abs(now - self._used) > MAX_IDLE:
            self._current = current = None
            self.generation = next(_generations)
        if current is None:
            made = self._connect(self.generation)
            self.opened_at = monotonic()
            # Another thread that connected at the same time may have been first.
            if (current := self._current) is None:
                self._current = current = made
            self._check_open()
        self._used = now
        return current

    def _check_open(self) -> None:
        if self._is_closed:
            self.close()  # What was made meanwhile, if anything.
            error = ServerError("This client of Momento is closed.")
            error.is_unsent = True
            raise error


class PendingCall(Protocol):
    """A call that was sent: a ``grpc.Future``, a ``LoneCall``, or the ``Reading`` of a stream."""

    def result(self, timeout: float | None = None, /) -> Any: ...
    def cancel(self) -> object: ...
    def add_done_callback(self, callback: Callable[[Any], object], /) -> object: ...


class Channel:
    """One connection to one of Momento's services, for any number of threads, event loops and caches."""

    def __init__(self, service: Service, credential: Credential, configuration: GrpcConfiguration) -> None:
        self._service = service
        self.pb = service.pb
        self._host = credential.control_host if service is CONTROL else credential.cache_host
        self._port = credential.port
        self._configuration = configuration
        deadline = configuration.get_deadline().total_seconds()
        self.timeout = CONTROL_TIMEOUT if service is CONTROL else deadline
        self.connection = Recycled(self._open, _close)
        self._readers = Readers(_MAX_READERS)
        # The threads that are about to send a call without waiting.
        self._starting: set[int] = set()

    def __repr__(self) -> str:
        return f"<Channel to {self._host}:{self._port}>"

    def call(self, metadata: Metadata, call: Call[T], timeout: float | None = None) -> T:
        """Send a call and return its result. Raises ``grpc.RpcError``.

        ``timeout`` is in seconds. The default is the configuration's.
        """
        response = self._send(metadata, call, timeout)
        if call.streamed:
            response = Stream(response).result()
        return call.parse(check_readable(response), self.pb)

    def _send(self, metadata: Metadata, call: Call[Any], timeout: float | None) -> Any:
        """Send a call; return its response, or the stream of its responses."""
        method = getattr(self.connection.get().stub, call.rpc)
        return method(
            call.request(self.pb), metadata=metadata, timeout=timeout_for_grpc(timeout or self.timeout)
        )

    def start(self, metadata: Metadata, call: Call[Any], timeout: float | None = None) -> Any:
        """Send a call without waiting. ``result()`` of the returned call blocks this thread."""
        if call.streamed:
            return Stream(self._send(metadata, call, timeout))
        if is_inside_grpc():
            return _send_at_once(partial(self._send, metadata, call, timeout))
        seconds = timeout_for_grpc(timeout or self.timeout)
        return self._start_future(self.connection.get(), metadata, call, seconds)

    def start_async(
        self, metadata: Metadata, call: Call[Any], timeout: float | None = None, on_done: Callbacks = ()
    ) -> PendingCall:
        """Send a call without waiting; return a future that is done on a thread of its own.

        The functions ``on_done`` are told of its end first.
        """
        connection, seconds = self.connection.get(), timeout_for_grpc(timeout or self.timeout)
        if call.streamed:
            method = getattr(connection.stub, call.rpc)
        elif connection.in_flight or (method := connection.stream_methods[call.rpc]) is None:
            # gRPC's own thread delivers it.
            return self._start_future(connection, metadata, call, seconds, on_done)
        request = call.request(self.pb)
        try:
            stream = method(request, metadata=metadata, timeout=seconds)
            if not call.streamed:
                return LoneCall(stream, connection.in_flight, on_done)
            pending = Reading(stream, self._readers)
            for callback in on_done:
                pending.add_done_callback(callback)
        except BaseException as error:
            if is_foreign(error) or hidden_interruption(error) is not None:
                release_interrupted_locks(error)
                self._discard(connection)
            raise
        return pending

    def _start_future(
        self,
        connection: Connection,
        metadata: Metadata,
        call: Call[Any],
        seconds: float,
        on_done: Callbacks = (),
    ) -> PendingCall:
        request = call.request(self.pb)
        method = getattr(connection.stub, call.rpc)
        us = get_ident()
        if us in self._starting:
            # A handler of a signal has interrupted this thread while gRPC holds a lock for it, which is not
            # reentrant. A call that blocks does not need that lock.
            done = _send_at_once(partial(method, request, metadata=metadata, timeout=seconds))
            for callback in on_done:
                done.add_done_callback(callback)
            return done
        self._starting.add(us)
        try:
            pending: PendingCall = method.future(request, metadata=metadata, timeout=seconds)
            if on_done:  # Of an async call. Each moment more in gRPC may be interrupted.
                connection.in_flight.add(pending)
                for callback in (connection.in_flight.discard, *on_done):
                    pending.add_done_callback(callback)
        except grpc.RpcError:
            raise
        except BaseException as error:
            release_interrupted_locks(error)
            self._discard(connection)
            raise
        finally:
            self._starting.discard(us)
        return pending

    def discard(self, generation: int) -> None:
        """Drop the connection of that number: the ends of its calls are not delivered any more."""
        connection = self.connection.peek()
        if connection is not None and self.connection.generation == generation:
            self._discard(connection)

    def _discard(self, connection: Connection) -> None:
        # First, so that no thread but those that have the connection already sends another call over it.
        self.connection.discard(connection)
        discarded.discard(connection.channel, self.timeout)

    def close(self) -> None:
        """Close the connection with all calls on it; further calls are refused."""
        self.connection.close()

    def retire(self) -> Callable[[], object]:
        """Refuse further calls. Return a function that closes the connection with all calls on it."""
        return self.connection.retire()

    def _open(self, generation: int) -> Connection:
        options = self._options(generation)
        if self._port != TLS_PORT:
            channel = grpc.insecure_channel(str(Endpoint(self._host, self._port)), options)
        else:
            certificates = self._configuration.get_root_certificates_pem()
            channel = grpc.secure_channel(self._host, grpc.ssl_channel_credentials(certificates), options)
        decoding = DecodingChannel(channel)
        stub = self._service.stub(decoding)
        return Connection(channel, stub, StreamMethods(decoding.stream_of), in_flight=set())

    def _options(self, generation: int) -> list[tuple[str, Any]]:
        return [
            ("django_momento.generation", generation),
            ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
            ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
            # Calls are sent again by the policy in ``retry``, which is one for all ways to send.
            ("grpc.enable_retries", 0),
            ("grpc.service_config_disable_resolution", 1),
            ("grpc.max_reconnect_backoff_ms", _MAX_RECONNECT_BACKOFF_MS),
            # Responses that are streams are read on the caller's own thread, at a fifth less of CPU.
            (grpc.experimental.ChannelOptions.SingleThreadedUnaryStream, 1),
            *self._keepalive(),
        ]

    def _keepalive(self) -> list[tuple[str, Any]]:
        if self._service is CONTROL:
            return []  # As the SDK does: the control plane is seldom used, and pinging it for ever is abuse.
        configuration = self._configuration
        settings = {
            "grpc.keepalive_permit_without_calls": configuration.get_keepalive_permit_without_calls(),
            "grpc.keepalive_time_ms": _milliseconds(configuration.get_keepalive_time()),
            "grpc.keepalive_timeout_ms": _milliseconds(configuration.get_keepalive_timeout()),
        }
        return [(name, value) for name, value in settings.items() if value is not None]


def is_unconnected(channel: Any) -> bool | None:
    """Return whether a channel is connecting, and let it begin. Return None if gRPC does not tell.

    The public way is a thread that gRPC starts and that looks five times a second.
    """
    check = getattr(getattr(channel, "_channel", None), "check_connectivity_state", None)
    return None if check is None else check(True) in _UNCONNECTED


def _send_at_once(send: Callable[[], Any]) -> concurrent.futures.Future[Any]:
    """Send a call and wait for its end on this thread; return the future of its result, which is done."""
    done: concurrent.futures.Future[Any] = concurrent.futures.Future()
    try:
        done.set_result(send())
    except grpc.RpcError as error:
        done.set_exception(error)
    return done


def _check_threads() -> None:
    """Raise RuntimeError if this process cannot start a thread."""
    threading.Thread(target=int, name="momento-check", daemon=True).start()


def _milliseconds(duration: Any) -> int | None:
    return None if duration is None else int(duration.total_seconds() * 1000)


def _close(connection: Connection) -> None:
    connection.channel.close()
