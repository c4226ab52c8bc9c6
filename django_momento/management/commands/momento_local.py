"""``manage.py momento_local``: serve Momento Local in the foreground until told to stop.

Reads the arguments and reports; the server itself is ``django_momento.local``.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from argparse import ArgumentParser
from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError

from django_momento.local.address import is_loopback
from django_momento.local.sizes import parse_size

if TYPE_CHECKING:
    from django_momento.local import LocalServer


class Command(BaseCommand):
    help = (
        "Runs Momento Local, an in-memory server that speaks Momento's wire protocol, for development "
        "and tests. Everything it holds is gone when it stops, and its connections are not encrypted: "
        "never use it in production."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
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
            help="memory for all items, in bytes or as 64M or 1G; beyond it those used longest ago go "
            "(default: %(default)s)",
        )

    def handle(
        self, *, host: str, port: int, api_keys: list[str], caches: list[str], max_memory: str, **options: Any
    ) -> None:
        from django_momento.local import LocalServer

        try:
            server = LocalServer(
                host, port, api_keys=api_keys, caches=caches, max_memory=parse_size(max_memory)
            )
        except ValueError as error:
            raise CommandError(str(error)) from error
        if not api_keys and not is_loopback(host):
            self.stderr.write(
                f"Warning: other machines can reach {host} and any API key is accepted; see --api-key."
            )
        # Where the loop cannot handle signals (Windows), and before it does, Ctrl-C arrives as an exception.
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(self._serve(server))

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
        self.stdout.flush()
