"""A Redis server in a process of its own, which a test may kill, freeze and start again.

The program is the ``redis-server`` on the PATH, which ``make redis`` installs. Without it a test fails.
"""

from __future__ import annotations

import contextlib
import shutil
import signal
import socket
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.kit.ports import HOST, free_port
from tests.kit.waiting import patience

PROGRAM = "redis-server"


class RedisServer:
    """Started again after a kill it has the same port, and has lost all that it held.

    If ``keep``, it writes every change to a file first and has lost nothing.
    """

    def __init__(self, directory: Path, *, keep: bool = False) -> None:
        self._directory = directory
        self._keep = keep
        self._log = directory / "redis.log"
        self._process: subprocess.Popen[bytes]
        self.port = 0

    def __enter__(self) -> RedisServer:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        self._process.wait()

    @property
    def url(self) -> str:
        return f"redis://{HOST}:{self.port}/0"

    def settings(self, **params: Any) -> dict[str, Any]:
        """Return the entry of ``CACHES`` for Django's own Redis backend on this server."""
        return {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": self.url, **params}

    def start(self) -> None:
        """Start it and wait until it takes connections."""
        program = shutil.which(PROGRAM)
        assert program, f"There is no {PROGRAM} for the tests. Run `make redis`, which installs one."
        if self.port:
            assert self._begin(program, self.port), self._log.read_text()
            return
        # Another process may take a free port before the server does.
        for _ in patience():
            port = free_port()
            if self._begin(program, port):
                self.port = port
                return
        raise AssertionError(f"{program} does not start:\n{self._log.read_text()}")

    def kill(self) -> None:
        """End it without a word."""
        self._process.kill()
        self._process.wait()

    def freeze(self) -> None:
        """Stop it, with its connections open: nothing responds any more."""
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def _begin(self, program: str, port: int) -> bool:
        """Start it on a port; return whether it took the port."""
        arguments = ("--bind", HOST, "--port", str(port), "--dir", str(self._directory), "--save", "")
        keeping = ("--appendonly", "yes", "--appendfsync", "always") if self._keep else ()
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [program, *arguments, *keeping], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        for _ in patience():
            if _responds(port) and self._process.poll() is None:
                return True
            if self._process.poll() is not None:
                return False
        return False


def _responds(port: int) -> bool:
    """Return whether a Redis server on a port takes commands."""
    # Another program on the port may never respond. A file that Redis reads first is not read yet when it
    # takes connections.
    with contextlib.suppress(OSError), socket.create_connection((HOST, port), timeout=5) as client:
        client.sendall(b"PING\r\n")
        return client.recv(64).startswith(b"+PONG")
    return False
