"""Processes of the tests: started with the address of a Momento server, and always ended."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from uuid import uuid4

from tests.kit.waiting import HANG_GUARD, patience

ROOT = Path(__file__).parents[2]


def environment(address: str, **variables: str) -> dict[str, str]:
    """The variables of a process whose cache is on the server at this address, with keys of its own."""
    ours = {
        "DJANGO_SETTINGS_MODULE": "tests.processes.settings",
        "CACHE_ADDRESS": address,
        "CACHE_PREFIX": uuid4().hex,
        "PYTHONUNBUFFERED": "1",
    }
    return {**os.environ, **ours, **variables}


def run(program: str, *arguments: str, address: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run one of ``programs`` to its end, which must be a success. Return its output."""
    process = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-m", f"tests.processes.programs.{program}", *arguments],
        cwd=ROOT,
        env=environment(address, **variables),
        capture_output=True,
        text=True,
        timeout=HANG_GUARD,
        check=False,
    )
    assert process.returncode == 0, f"ended with {process.returncode}:\n{process.stdout}\n{process.stderr}"
    return process


class Server:
    """A process that serves until it is told to stop; everything it prints goes to ``log``."""

    def __init__(self, *arguments: str, log: Path, address: str, **variables: str) -> None:
        self.log = log
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", *arguments],
                cwd=ROOT,
                env=environment(address, **variables),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def __enter__(self) -> Server:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        # Its children too, in case it died without ending them.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    @property
    def output(self) -> str:
        return self.log.read_text(errors="replace")

    def printed(self, pattern: str) -> str:
        """Wait until it prints a line that matches. Return the first group."""
        for _ in patience():
            # Before its output is read, which is complete if it has ended.
            status = self.process.poll()
            match = re.search(pattern, self.output)
            if match:
                return match[1]
            assert status is None, f"ended with {status}:\n{self.output}"
        raise AssertionError(f"did not print {pattern!r}:\n{self.output}")

    def terminate(self) -> int:
        """Ask it to end, as a service manager would. Return its exit status."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(HANG_GUARD)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"did not end on SIGTERM:\n{self.output}") from None
