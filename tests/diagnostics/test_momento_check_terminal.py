"""The doctor as a process: on a terminal, into a pipe, watching, and interrupted."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from django_momento.local import LocalServer
from django_momento.local.dispatch import Dispatcher
from tests.conftest import CACHE_NAME
from tests.kit.ptys import CTRL_C, Terminal
from tests.kit.tables import table
from tests.kit.waiting import HANG_GUARD

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, str(ROOT / "manage.py"), "momento_check"]
KEY = "the-key-of-the-server"


@pytest.fixture
def guarded() -> Iterator[LocalServer]:
    """A server that takes one key only."""
    with LocalServer(api_keys=[KEY], caches=[CACHE_NAME]) as server:
        yield server


@pytest.fixture
def cache_url(momento: LocalServer) -> dict[str, Any]:
    """The environment in which a command of its own uses the test server."""
    return {
        "CACHE_URL": f"momento-local://{momento.address}/{CACHE_NAME}",
        "DJANGO_SETTINGS_MODULE": "example_project.settings",
    }


def test_a_terminal_sees_colours_and_progress_that_goes_away(cache_url: dict[str, Any]) -> None:
    """What is left on the screen is the report."""
    with Terminal([*COMMAND, "--requests", "1000"], **cache_url) as terminal:
        assert 0 == terminal.ended()

    assert "\x1b[32;1mok" in terminal.written
    assert "...   connection" in terminal.written
    assert re.search(r"latency  \d+ of 1000", terminal.written)
    assert "█" in terminal.written
    assert not any("..." in line for line in terminal.screen)
    assert ["default", "All caches work: default"] == [
        line for line in terminal.screen if line and not line.startswith(" ")
    ]


def test_a_terminal_without_colours_sees_none(cache_url: dict[str, Any]) -> None:
    """--no-color is Django's; and a narrow terminal has no line that wraps."""
    with Terminal([*COMMAND, "--no-color"], columns=40, **cache_url) as terminal:
        assert 0 == terminal.ended()

    assert "\x1b" not in terminal.written
    assert 40 >= max(map(len, terminal.screen))


def test_a_pipe_gets_colours_only_by_force(cache_url: dict[str, Any]) -> None:
    """And no progress: nobody watches it."""
    environment = {**os.environ, **cache_url}
    plain, forced = (
        subprocess.run(command, check=True, cwd=ROOT, env=environment, capture_output=True, timeout=120)
        for command in (COMMAND, [*COMMAND, "--force-color"])
    )

    assert b"\x1b" not in plain.stdout
    assert b"\x1b[32;1mok" in forced.stdout
    assert b"" == plain.stderr == forced.stderr


def test_watching_goes_on_until_it_is_interrupted(cache_url: dict[str, Any]) -> None:
    """A line each round; the exit status is that of the last."""
    with Terminal([*COMMAND, "--watch", "0.1", "--requests", "3"], **cache_url) as terminal:
        terminal.read_until(r"(?s)default  3 gets.*default  3 gets")
        terminal.press(CTRL_C)
        assert 0 == terminal.ended()

    assert "Traceback" not in terminal.written
    assert not any("Ctrl-C ends this" in line for line in terminal.screen)
    assert terminal.screen.count("default") == 1


def test_watching_survives_a_server_that_goes_away(guarded: LocalServer) -> None:
    """The failure is shown, and the exit status is the last round's."""
    environment = {
        "CACHE_URL": f"momento-local://{guarded.address}/{CACHE_NAME}?credentials=env&client_timeout=100",
        "MOMENTO_API_KEY": KEY,
        "DJANGO_SETTINGS_MODULE": "example_project.settings",
    }
    with Terminal([*COMMAND, "--watch", "0.1", "--requests", "3"], columns=200, **environment) as terminal:
        terminal.read_until("default  3 gets")
        guarded.stop()
        terminal.read_until("as before")
        terminal.press(CTRL_C)
        assert 1 == terminal.ended()

    assert any("cannot be reached" in line for line in terminal.screen)
    assert "CommandError: 1 of 1 caches failed: default" in terminal.screen
    assert "Traceback" not in terminal.written
    assert KEY not in terminal.written


def test_watching_as_json_is_one_object_a_line(cache_url: dict[str, Any]) -> None:
    """So that it can be read while it goes on; and whoever has read enough may leave."""
    process = subprocess.Popen(
        [*COMMAND, "--watch", "0.1", "--json", "--requests", "1"],
        cwd=ROOT,
        env={**os.environ, **cache_url},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    rounds = [json.loads(process.stdout.readline()) for _ in range(3)]
    process.stdout.close()
    assert process.stderr is not None
    with process.stderr as stderr:
        complaints = stderr.read()

    assert 1 == process.wait(timeout=120)
    assert "" == complaints
    assert [True] * 3 == [each["ok"] for each in rounds]
    assert sorted(each["at"] for each in rounds) == [each["at"] for each in rounds]


@pytest.fixture
def go_on(monkeypatch: pytest.MonkeyPatch) -> Event:
    """Let the test server answer no call before this is set."""
    go_on = Event()
    authenticate = Dispatcher.authenticate

    def wait(dispatcher: Dispatcher, metadata: dict[str, str]) -> None:
        assert go_on.wait(HANG_GUARD)
        authenticate(dispatcher, metadata)

    monkeypatch.setattr(Dispatcher, "authenticate", wait)
    return go_on


@pytest.mark.parametrize("lines", [0, 1])
def test_a_pipe_that_is_closed_ends_the_command_without_a_word(
    cache_url: dict[str, Any], go_on: Event, lines: int
) -> None:
    """As with ``| head``: nobody is left to be told anything."""
    process = subprocess.Popen(
        COMMAND,
        cwd=ROOT,
        env={**os.environ, **cache_url},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert ["default\n"] * lines == [process.stdout.readline() for _ in range(lines)]
    process.stdout.close()
    go_on.set()
    assert process.stderr is not None
    with process.stderr as stderr:
        complaints = stderr.read()

    assert 1 == process.wait(timeout=120)
    assert "" == complaints


def test_an_interrupted_check_says_so() -> None:
    """A server that accepts connections and says nothing: who waits for it has Ctrl-C."""
    with socket.create_server(("127.0.0.1", 0)) as hole:
        url = f"momento-local://127.0.0.1:{hole.getsockname()[1]}/a"
        with Terminal(COMMAND, CACHE_URL=url, DJANGO_SETTINGS_MODULE="example_project.settings") as terminal:
            terminal.read_until(r"\.\.\.   connection")
            terminal.press(CTRL_C)
            assert 130 == terminal.ended()

    assert "CommandError: Interrupted." in terminal.screen
    assert "Traceback" not in terminal.written


@table("arguments", [[], ["--watch", "0.1"], ["--json"], ["caf\xe9"], ["--deploy"]])
def test_an_ascii_terminal_is_told_of_names_that_it_cannot_show(arguments: list[str]) -> None:
    """Escaped, and without a UnicodeEncodeError."""
    environment = {
        **os.environ,
        "CACHE_URL": "momento://tests?credentials=file&api_key_file=/no/caf%C3%A9",
        "DJANGO_SETTINGS_MODULE": "example_project.settings",
        "PYTHONIOENCODING": "ascii",
        "PYTHONUTF8": "1",
    }
    command = subprocess.Popen(
        [*COMMAND, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
        start_new_session=True,
    )
    assert command.stdout is not None
    with command:
        lines: list[str] = []
        for line in command.stdout:
            # Once: a second Ctrl-C would meet the end of the command.
            if "--watch" in arguments and "as before" in line and "as before" not in "".join(lines):
                os.killpg(command.pid, signal.SIGINT)
            lines.append(line)
    written = "".join(lines)

    assert 1 == command.returncode
    assert "caf\\xe9" in written or "caf\\u00e9" in written
    assert "Traceback" not in written
