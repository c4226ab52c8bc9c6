"""The demo as a user runs it: real processes, one port, one Ctrl-C."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.request import ProxyHandler, build_opener

import pytest

from example_project.pages import PAGES, STATUS
from tests.kit.waiting import HANG_GUARD

ROOT = Path(__file__).resolve().parent.parent.parent
PROC = Path("/proc")

pytestmark = pytest.mark.skipif(not PROC.is_dir(), reason="children are found through /proc")


class Run:
    """One run of the demo, and everything it has printed so far."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.output = ""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "example_project.demo", "--port", str(port)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def read_until(self, words: str) -> None:
        while words not in self.output:
            line = self.process.stdout.readline()
            assert line, f"the demo ended early:\n{self.output}"
            self.output += line

    def status(self) -> int:
        """Its exit status; it has to end by itself."""
        rest, _ = self.process.communicate(timeout=HANG_GUARD)
        self.output += rest
        return self.process.returncode

    def children(self) -> list[int]:
        """Process ids of the children, from the parent's id in each process's ``stat``."""
        return [int(path.name) for path in PROC.glob("[0-9]*") if parent_of(path) == self.process.pid]


def parent_of(process: Path) -> int | None:
    try:
        # "pid (name) state parent ...", where the name may hold spaces and parentheses
        return int((process / "stat").read_text().rpartition(")")[2].split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return None


def command_of(child: int) -> list[str]:
    """The words of the command of a process, or none if it has ended."""
    try:
        return (PROC / str(child) / "cmdline").read_text().split("\0")
    except (FileNotFoundError, ProcessLookupError):
        return []


@pytest.fixture
def start_demo() -> Iterator[Callable[[int], Run]]:
    runs: list[Run] = []

    def start(port: int) -> Run:
        runs.append(Run(port))
        return runs[-1]

    yield start
    for run in runs:
        run.process.terminate()
        run.process.communicate(timeout=HANG_GUARD)


def test_serves_every_page_until_ctrl_c_ends_it_all(start_demo, unused_port):
    """The demo serves the site over Secrets Manager and Momento Local; Ctrl-C leaves nothing behind."""
    run = start_demo(unused_port)
    run.read_until(f"The example site is ready: {run.url}/")
    children = run.children()
    commands = [command_of(child) for child in children]
    api_key = next(command[command.index("--api-key") + 1] for command in commands if "--api-key" in command)

    browser = build_opener(ProxyHandler({}))
    for path in ["/", *(f"/{page.name}/" for page in (*PAGES, STATUS))]:
        with browser.open(run.url + path, timeout=HANG_GUARD) as response:
            assert response.status == 200
            page = response.read().decode()
            assert api_key not in page
            assert "Served over WSGI" not in page
    run.process.send_signal(signal.SIGINT)

    assert run.status() == 0
    assert len(children) == 3
    assert [child for child in children if (PROC / str(child)).exists()] == []
    assert "Traceback" not in run.output
    assert api_key not in run.output


def test_can_be_ended_while_it_starts(start_demo, unused_port):
    """A signal that comes before the site is up ends the children that have started."""
    run = start_demo(unused_port)
    run.read_until("Secrets Manager (moto) runs at")
    children = run.children()
    run.process.terminate()

    assert run.status() == 0
    assert children
    assert [child for child in children if (PROC / str(child)).exists()] == []
    assert "Traceback" not in run.output


def test_ends_when_a_part_of_it_dies(start_demo, unused_port):
    """Without its Momento server the demo is over: it says so, stops the rest and fails."""
    run = start_demo(unused_port)
    run.read_until("Momento Local runs at")
    children = run.children()
    local = next(each for each in children if "momento_local" in command_of(each))
    os.kill(local, signal.SIGKILL)

    assert run.status() == 1
    assert "momento_local ended unexpectedly" in run.output
    assert [child for child in children if (PROC / str(child)).exists()] == []


def test_a_busy_port_is_one_line(start_demo):
    """A port that is taken is found out before anything is started."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        run = start_demo(port)

        assert run.status() == 1

    assert re.fullmatch(rf"Port {port} cannot be used: .*\n", run.output)
