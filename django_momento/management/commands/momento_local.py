"""``manage.py momento_local``: serve Momento Local in the foreground until a signal ends it."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from argparse import ArgumentParser
from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError

from django_momento.local.address import is_loopback
from django_momento.local.units import parse_duration, parse_size

if TYPE_CHECKING:
    from django_momento.local import LocalServer
    from django_momento.local.limits import Limits
    from django_momento.local.tls import TlsFiles


class Command(BaseCommand):
    help = (
        "Runs Momento Local, an in-memory server that speaks Momento's wire protocol, for development "
        "and tests. Its items are gone when it stops, and without --tls-cert its connections are not "
        "encrypted: never use it in production."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--host",
            default="127.0.0.1",
            help="address to listen on, 0.0.0.0 for other containers to reach it (default: %(default)s)",
        )
        parser.add_argument(
            "--port",
            type=int,
            default=8080,
            help="port to listen on, 0 for any free one (default: %(default)s)",
        )
        parser.add_argument(
            "--api-key",
            action="append",
            default=[],
            dest="api_keys",
            metavar="KEY",
            help="accept this API key and no other; may be repeated (default: accept any, also none)",
        )
        parser.add_argument(
            "--cache",
            action="append",
            default=[],
            dest="caches",
            metavar="NAME",
            help="create this cache at the start; may be repeated",
        )
        parser.add_argument(
            "--max-memory",
            default="256M",
            metavar="SIZE",
            help="memory for all items and topics, in bytes or as 64M or 1G; if it is full, those used "
            "longest ago are evicted (default: %(default)s)",
        )

        parser.add_argument(
            "--on-demand",
            action="store_true",
            help="apply the limits of an on-demand cache: 100 operations a second (one for each started KiB "
            "of an item), at most 24 hours of TTL, 128 KB for an element of a collection",
        )
        parser.add_argument(
            "--rate-limit",
            type=int,
            metavar="N",
            help="refuse data calls beyond N operations a second (default: no limit; 100 with --on-demand)",
        )
        parser.add_argument(
            "--replica-lag",
            default="0ms",
            metavar="TIME",
            help="let reads see the items as they were so long ago, such as 50ms, unless their read concern "
            "is `consistent` (default: %(default)s)",
        )
        parser.add_argument(
            "--evict",
            type=float,
            default=0.0,
            metavar="SHARE",
            help="let this share of items, 0 to 1, be gone before their time when a call looks for them "
            "(default: %(default)s)",
        )
        parser.add_argument("--tls-cert", metavar="FILE", help="speak TLS with this certificate (PEM)")
        parser.add_argument("--tls-key", metavar="FILE", help="the private key of --tls-cert (PEM)")
        parser.add_argument(
            "--admin-port",
            type=int,
            metavar="PORT",
            help="take commands for tests by HTTP on this port of 127.0.0.1, 0 for any free one: /block, "
            "/unblock, /drop (connections), /connections, /counts, /reset-counts, /accept-only (keys in the "
            "body), /delay and /delay-connections (milliseconds), /fail (a status and a share of all calls: "
            "`unavailable 0.3`)",
        )

    def handle(self, *, host: str, port: int, api_keys: list[str], **options: Any) -> None:
        server = self._server(host, port, api_keys, options)
        if not api_keys and not is_loopback(host):
            self.stderr.write(
                f"Warning: other machines can reach {host} and any API key is accepted; see --api-key."
            )
        # If the loop cannot handle signals (Windows), or does not yet, Ctrl-C arrives as an exception.
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(self._serve(server))

    def _server(self, host: str, port: int, api_keys: list[str], options: dict[str, Any]) -> LocalServer:
        from django_momento.local import LocalServer

        try:
            return LocalServer(
                host,
                port,
                api_keys=api_keys,
                caches=options["caches"],
                max_memory=parse_size(options["max_memory"]),
                limits=_limits(options["on_demand"], options["rate_limit"]),
                replica_lag=parse_duration(options["replica_lag"]),
                evict=options["evict"],
                tls=_tls_files(options["tls_cert"], options["tls_key"]),
                admin_port=options["admin_port"],
            )
        except ValueError as error:
            raise CommandError(str(error)) from error

    async def _serve(self, server: LocalServer) -> None:
        stop = asyncio.Event()
        with contextlib.suppress(NotImplementedError):
            for number in (signal.SIGINT, signal.SIGTERM):
                asyncio.get_running_loop().add_signal_handler(number, stop.set)
        try:
            await server.serve(stop, lambda: self._report(server))
        except OSError as error:
            raise CommandError(error.strerror or str(error)) from error

    def _report(self, server: LocalServer) -> None:
        self.stdout.write(f"Momento Local listening on {server.address}")
        if server.admin_port is not None:
            self.stdout.write(f"Admin commands on http://127.0.0.1:{server.admin_port}")
        self.stdout.flush()


def _limits(on_demand: bool, rate_limit: int | None) -> Limits:
    from django_momento.local.limits import NO_LIMITS, ON_DEMAND

    limits = ON_DEMAND if on_demand else NO_LIMITS
    return limits if rate_limit is None else limits._replace(operations_per_second=rate_limit)


def _tls_files(certificate: str | None, key: str | None) -> TlsFiles | None:
    from django_momento.local.tls import TlsFiles

    if certificate and key:
        return TlsFiles(certificate, key)
    if certificate or key:
        raise ValueError("--tls-cert and --tls-key belong together: give both or neither")
    return None
