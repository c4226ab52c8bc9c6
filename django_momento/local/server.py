"""The life of a server: it listens, serves in the foreground or in a thread, and stops."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from functools import partial
from types import TracebackType

import grpc
import grpc.aio

from . import admin
from .address import check_free, format_address
from .clock import Clock, keep_real_time, monotonic_ms
from .dispatch import Dispatcher
from .errors import ServerStopping
from .limits import NO_LIMITS, UNLIMITED, Limits, RateLimit
from .proxy import Proxy
from .storage.retention import DEFAULT_MAX_MEMORY, Retention
from .storage.store import Store
from .tls import TlsFiles

OPTIONS = (
    # Without it a second server on the same port starts without an error and gets half of the connections.
    ("grpc.so_reuseport", 0),
    # More than the largest item, so that a larger one is refused with a text of ours.
    ("grpc.max_receive_message_length", 16 * 1024 * 1024),
    ("grpc.max_send_message_length", -1),
    # The SDKs ping every 5 s, idle or not. By default gRPC takes that for abuse and closes the connection.
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", 1000),
    ("grpc.http2.max_ping_strikes", 0),
    # By default gRPC cancels calls at random while more than a thousand wait to be begun.
    ("grpc.server.max_pending_requests", 1_000_000),
    ("grpc.server.max_pending_requests_hard_limit", 1_000_000),
)

# Seconds. A call takes less than a millisecond, and a large batch may take longer to send.
GRACE = 0.5

# Expired items are removed in portions, and calls are served between two portions.
SWEEP_INTERVAL = 1.0
SWEEP_PORTION = 1000

_GRPC_LOGGER = logging.getLogger("grpc._cython.cygrpc")
_HANGUP_MESSAGE = "ExecuteBatchError raised in core by servicer method"


class LocalServer:
    """A Momento Local server. If ``port`` is 0, it takes a free one, and ``port`` is set once it listens.

    ``api_keys`` are the keys to accept. Without them any key is accepted. With ``create_missing_caches`` a
    cache is created when it is first used. ``max_memory`` is in bytes and covers items and topics. With
    ``tls`` the server speaks TLS only. ``admin_port`` is the port of the admin commands. If it is given, a
    proxy stands in front of the server.

    ``replica_lag`` is in milliseconds: reads see the state so long ago, unless their read concern is
    ``consistent``. ``evict`` is the probability, 0 to 1, that an item is gone when a call looks for it.
    ``clock`` returns milliseconds and must never go back.

    A process that runs a server should not fork children that use the cache, because gRPC cannot prepare such
    a process for a fork. Run the server in a process of its own instead, with ``momento_local``.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        api_keys: Iterable[str] = (),
        caches: Iterable[str] = (),
        create_missing_caches: bool = False,
        max_memory: int = DEFAULT_MAX_MEMORY,
        limits: Limits = NO_LIMITS,
        replica_lag: int = 0,
        evict: float = 0.0,
        tls: TlsFiles | None = None,
        admin_port: int | None = None,
        clock: Clock = monotonic_ms,
    ) -> None:
        self.host = host
        self.port: int = port
        self.admin_port = admin_port
        retention = Retention(clock, max_memory, limits, evict=evict)
        self._store = Store(retention, create_missing_caches=create_missing_caches, replica_lag=replica_lag)
        for name in dict.fromkeys(caches):
            if not name:
                raise ValueError("A cache name must not be empty")
            self._store.create(name)
        rate_limit = None
        if limits.operations_per_second != UNLIMITED:
            rate_limit = RateLimit(limits.operations_per_second, clock)
        self._dispatcher = Dispatcher(self._store, api_keys, rate_limit)
        self._credentials = None if tls is None else tls.credentials()
        self._grace = GRACE
        self._lifecycle = threading.Lock()
        self._thread: threading.Thread | None = None
        self._request_stop: Callable[[], object]

    @property
    def address(self) -> str:
        return format_address(self.host, self.port)

    @property
    def is_running(self) -> bool:
        """Whether the server was started and not stopped since."""
        return self._thread is not None

    @property
    def calls(self) -> Counter[str]:
        """Return how often each RPC was called, by its name on the wire. Refused calls are included."""
        return self._dispatcher.calls

    @property
    def operations(self) -> Counter[str]:
        """Return the operations that Momento would count for the data calls, by RPC.

        A call costs at least one operation, unless its key is wrong or it is over the limit of operations.
        """
        return self._dispatcher.operations

    @property
    def memory_used(self) -> int:
        """Return the bytes that items and topics take of ``max_memory``."""
        return self._store.memory_used()

    @property
    def subscriptions(self) -> int:
        """Return how many subscriptions to topics are open, over all caches."""
        return self._store.subscription_count()

    def reset_calls(self) -> None:
        """Count calls and operations from 0."""
        self._dispatcher.reset_counts()

    def accept_only(self, *api_keys: str) -> None:
        """Refuse all keys but these from now on, as after a rotation. Without keys, accept all."""
        self._dispatcher.accept_only(api_keys)

    def delay(self, milliseconds: int = 0) -> None:
        """Delay every call from now on, streams too. 0 ends the delay. Raises ValueError."""
        self._dispatcher.faults.delay(milliseconds)

    def fail(self, status: str = "", share: float = 1.0) -> None:
        """Refuse this share of all calls from now on with a status such as ``unavailable``.

        Without a status, stop refusing. Raises ValueError.
        """
        self._dispatcher.faults.fail(status, share)

    def start(self) -> LocalServer:
        """Serve in a daemon thread. Return once clients can connect.

        Raises an OSError that names the address if it cannot be listened on. A server that was stopped can be
        started again. It has the port and the items that it had before.
        """
        with self._lifecycle:
            if self._thread is not None:
                raise RuntimeError(f"This server is already listening on {self.address}")
            listening: Future[None] = Future()
            thread = threading.Thread(target=self._run, args=(listening,), name="momento-local", daemon=True)
            thread.start()
            listening.result()
            self._thread = thread
        return self

    def stop(self, grace: float = GRACE) -> None:
        """End the thread and all connections. Calls in progress have ``grace`` seconds to finish."""
        with self._lifecycle:
            thread, self._thread = self._thread, None
            # A forked child has no such thread, and nothing to stop.
            if thread is not None and thread.is_alive():
                self._grace = grace
                self._request_stop()
                thread.join()

    def __enter__(self) -> LocalServer:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    async def serve(self, stop: asyncio.Event, listening: Callable[[], object] = lambda: None) -> None:
        """Serve on the running loop until ``stop`` is set. Call ``listening`` once clients can connect."""
        check_free(self.host, self.port)
        if self.admin_port is not None:
            check_free(admin.HOST, self.admin_port)
        server = grpc.aio.server(handlers=self._dispatcher.services(), options=OPTIONS)
        proxy = Proxy()
        commands = admin.Admin(self._dispatcher, proxy)
        if self.admin_port is None:
            self.port = self._bind(server, self.address)
            await server.start()
        else:
            backend_port = self._bind(server, format_address("127.0.0.1", 0))
            await server.start()
            self.port = await proxy.start(self.host, self.port, backend_port)
            self.admin_port = await commands.start(self.admin_port)
        sweeping = asyncio.create_task(self._sweep())
        with ignore_hangups():
            try:
                listening()
                await stop.wait()
            finally:
                sweeping.cancel()
                # If gRPC ended the subscriptions, each would log a traceback.
                self._store.end_subscriptions(ServerStopping())
                await server.stop(self._grace)
                await commands.stop()
                await proxy.stop()

    def _bind(self, server: grpc.aio.Server, address: str) -> int:
        try:
            if self._credentials is None:
                return int(server.add_insecure_port(address))
            return int(server.add_secure_port(address, self._credentials))
        except RuntimeError as error:
            raise OSError(f"Cannot listen on {address}: {error}") from error

    async def _sweep(self) -> None:
        while True:
            dropped = self._store.drop_expired(SWEEP_PORTION)
            await asyncio.sleep(0 if dropped else SWEEP_INTERVAL)

    def _run(self, listening: Future[None]) -> None:
        try:
            # Python's development mode is meant for the code of the site, and would halve this loop's speed.
            asyncio.run(self._serve_until_requested(listening), debug=False)
        except BaseException as error:
            if listening.done():
                raise
            listening.set_exception(error)

    async def _serve_until_requested(self, listening: Future[None]) -> None:
        stop, loop = asyncio.Event(), asyncio.get_running_loop()
        keep_real_time(loop)
        self._request_stop = partial(loop.call_soon_threadsafe, stop.set)
        await self.serve(stop, partial(listening.set_result, None))


@contextmanager
def ignore_hangups(log: logging.Logger = _GRPC_LOGGER) -> Iterator[None]:
    """Keep one message out of gRPC's log: the error of a client that hangs up just as its stream ends.

    The server cannot prevent it, because the client may go between any check and the end of the stream.
    """

    # A filter for each server, so that the first to stop leaves those of the others in place.
    def is_something_else(record: logging.LogRecord) -> bool:
        return not record.getMessage().startswith(_HANGUP_MESSAGE)

    log.addFilter(is_something_else)
    try:
        yield
    finally:
        log.removeFilter(is_something_else)
