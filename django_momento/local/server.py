"""The life of a Momento Local server: it listens, serves in the foreground or in a thread, and stops.

The two ways to serve share everything but the event loop they run on. What is served is put together
here and answered elsewhere; nothing in this module knows a single call.
"""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from functools import partial
from types import TracebackType

import grpc
import grpc.aio

from django_momento.local import admin, hangups
from django_momento.local.address import check_free, format_address
from django_momento.local.dispatch import Dispatcher
from django_momento.local.errors import ServerStopping
from django_momento.local.gate import Gate
from django_momento.local.limits import NO_LIMITS, UNLIMITED, Limits, RateLimit
from django_momento.local.retention import DEFAULT_MAX_MEMORY, Clock, Retention, monotonic_ms
from django_momento.local.services import services
from django_momento.local.store import Store
from django_momento.local.tls import TlsFiles

OPTIONS = (
    # Without it a second server on the same port starts without complaint and gets half of the connections.
    ("grpc.so_reuseport", 0),
    # Room above the largest item, so that one too large is refused by name and not by gRPC.
    ("grpc.max_receive_message_length", 16 * 1024 * 1024),
    ("grpc.max_send_message_length", -1),
    # The SDKs ping every 5 s, idle or not; gRPC's defaults take that for abuse and hang up.
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", 1000),
    ("grpc.http2.max_ping_strikes", 0),
)

# Calls are answered in less than a millisecond; the grace is for large batches on their way out.
GRACE = 0.5

# Expired items that nobody asks for are swept out in slices, between which calls get their turn.
SWEEP_INTERVAL = 1.0
SWEEP_SLICE = 1000


class LocalServer:
    """A Momento Local server. Port 0 takes a free port, known from `port` once it listens.

    Without `api_keys` any key is accepted. With `create_missing_caches` a cache exists as soon as it is
    used. `max_memory` is in bytes; `clock` returns milliseconds and must never go back. With `tls` it speaks
    TLS and nothing else. `admin_port` is for ``admin``; with it all traffic goes through a ``gate``.
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
        tls: TlsFiles | None = None,
        admin_port: int | None = None,
        clock: Clock = monotonic_ms,
    ) -> None:
        self.host = host
        self.port: int = port
        self.admin_port = admin_port
        self._store = Store(Retention(clock, max_memory, limits), create_missing_caches=create_missing_caches)
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
    def calls(self) -> Counter[str]:
        """How often each RPC was called, by its name on the wire, refused calls included."""
        return self._dispatcher.calls

    def reset_calls(self) -> None:
        self._dispatcher.calls.clear()

    def accept_only(self, *api_keys: str) -> None:
        """Refuse all keys but these from now on, as after a rotation; without any, accept all."""
        self._dispatcher.accept_only(api_keys)

    def delay(self, milliseconds: int = 0) -> None:
        """Let every call wait so long from now on, streams too; 0 ends it."""
        self._dispatcher.weather.delay(milliseconds)

    def fail(self, status: str = "", share: float = 1.0) -> None:
        """Refuse this share of all calls from now on, with a status such as ``unavailable``; none ends it."""
        self._dispatcher.weather.fail(status, share)

    def start(self) -> LocalServer:
        """Serve in a daemon thread; return once clients can connect.

        Raises an OSError that names the address if it cannot be listened on. A server that was stopped
        can be started again, on the port it had and with what it holds.
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
        """End the thread and all connections; calls in progress get `grace` seconds to finish."""
        with self._lifecycle:
            thread, self._thread = self._thread, None
            # In a forked child the thread does not exist, and there is nothing to stop.
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
        """Serve on the running loop until `stop` is set; call `listening` once clients can connect."""
        check_free(self.host, self.port)
        if self.admin_port is not None:
            check_free(admin.HOST, self.admin_port)
        server = grpc.aio.server(handlers=services(self._dispatcher, self._store), options=OPTIONS)
        gate = Gate()
        commands = admin.Admin(self._dispatcher, gate)
        if self.admin_port is None:
            self.port = self._bind(server, self.address)
            await server.start()
        else:
            hidden_port = self._bind(server, format_address("127.0.0.1", 0))
            await server.start()
            self.port = await gate.start(self.host, self.port, hidden_port)
            self.admin_port = await commands.start(self.admin_port)
        sweeping = asyncio.create_task(self._sweep())
        with hangups.not_logged():
            try:
                listening()
                await stop.wait()
            finally:
                sweeping.cancel()
                # They would last for as long as they may; ended by gRPC, each would leave a traceback.
                self._store.end_subscriptions(ServerStopping())
                await server.stop(self._grace)
                commands.stop()
                await gate.stop()

    def _bind(self, server: grpc.aio.Server, address: str) -> int:
        try:
            if self._credentials is None:
                return int(server.add_insecure_port(address))
            return int(server.add_secure_port(address, self._credentials))
        except RuntimeError as error:
            raise OSError(f"Cannot listen on {address}: {error}") from error

    async def _sweep(self) -> None:
        while True:
            dropped = self._store.drop_expired(SWEEP_SLICE)
            await asyncio.sleep(0 if dropped else SWEEP_INTERVAL)

    def _run(self, listening: Future[None]) -> None:
        try:
            asyncio.run(self._serve_until_requested(listening))
        except BaseException as error:
            if listening.done():
                raise
            listening.set_exception(error)

    async def _serve_until_requested(self, listening: Future[None]) -> None:
        stop = asyncio.Event()
        self._request_stop = partial(asyncio.get_running_loop().call_soon_threadsafe, stop.set)
        await self.serve(stop, partial(listening.set_result, None))
