"""A Momento server in a process of its own that a test may kill, freeze, silence and slow down."""

from __future__ import annotations

import signal
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.kit.admin import command
from tests.kit.processes import Server


class Momento:
    """Has the cache ``tests``. Killed and started again it is where it was, and has lost all that it held."""

    def __init__(self, directory: Path, *arguments: str) -> None:
        self._directory = directory
        self._arguments = arguments
        self._starts = 0
        self._ports = ("0", "0")
        self._server: Server
        self.address = ""

    def __enter__(self) -> Momento:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.__exit__(kind, error, traceback)

    @property
    def admin_port(self) -> int:
        return int(self._ports[1])

    @property
    def connections(self) -> int:
        """How many connections it has accepted since it was started."""
        return int(self.command("/connections")["accepted"])

    @property
    def calls(self) -> dict[str, int]:
        counts = self.command("/counts")
        return {rpc: count for rpc, count in counts.items() if rpc != "operations"}

    def start(self) -> None:
        port, admin_port = self._ports
        self._starts += 1
        self._server = Server(
            *("django", "momento_local", "--cache", "tests", "--port", port, "--admin-port", admin_port),
            *self._arguments,
            log=self._directory / f"momento-{self._starts}",
            address="none",
        )
        self.address = self._server.printed(r"Momento Local listening on (\S+)")
        admin_port = self._server.printed(r"Admin commands on http://127.0.0.1:(\d+)")
        self._ports = self.address.rpartition(":")[2], admin_port

    def kill(self) -> None:
        """End it without a word, and with it all that it holds."""
        self._signal(signal.SIGKILL)
        self._server.process.wait()

    def freeze(self) -> None:
        """Stop it, with its connections open: nothing answers any more, not even the admin port."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def command(self, path: str, body: str = "") -> Any:
        return command(self.admin_port, path, body)

    def _signal(self, number: signal.Signals) -> None:
        self._server.process.send_signal(number)
