"""Another attempt after a stall and in CI, as the root conftest gives it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.kit.processes import ROOT
from tests.kit.waiting import HANG_GUARD

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="stops a process")

TESTS = """
import os
import signal
import subprocess
import time

import pytest

from tests.kit import stalls

attempts = {"mended": 0, "broken": 0, "unhindered": 0}


@pytest.fixture
def stand_still(request):
    plugins = request.config.pluginmanager.get_plugins()
    (watch,) = (plugin for plugin in plugins if isinstance(plugin, stalls.StallWatch))

    def stand_still():
        # Again and again, because this process may be stopped later than it is continued.
        waking = f"while sleep 1; do kill -CONT {os.getpid()}; done"
        with subprocess.Popen(["sh", "-c", waking]) as waker:
            while not watch.has_stalled():
                os.kill(os.getpid(), signal.SIGSTOP)
                time.sleep(0.2)  # The thread that watches wakes.
            waker.kill()

    return stand_still


def test_that_only_a_stall_breaks(stand_still):
    attempts["mended"] += 1
    if attempts["mended"] == 1:
        stand_still()
    assert attempts["mended"] == 2


def test_that_is_broken_as_well(stand_still):
    attempts["broken"] += 1
    stand_still()
    assert False


def test_that_is_broken_without_a_stall():
    attempts["unhindered"] += 1
    stalls.STALL = 1_000_000.0  # This machine may be busy, too.
    assert False


def test_what_was_run():
    assert attempts == {"mended": 2, "broken": 2, "unhindered": UNHINDERED}
"""


@pytest.mark.parametrize("variables", [{}, {"CI": "true"}], ids=["at a desk", "in CI"])
def test_a_test_that_failed_runs_once_more_if_its_process_stood_still(
    tmp_path: Path, variables: dict[str, str]
) -> None:
    """One that fails again has failed, and so has one that failed without a stall, except in CI."""
    tests = tmp_path / "test_stalling.py"
    tests.write_text(TESTS.replace("UNHINDERED", "2" if variables else "1"))
    options = ["-p", "no:randomly", "-p", "no:cacheprovider", "-p", "tests.conftest", "-c", "/dev/null"]
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", *options, f"--rootdir={tmp_path}", "-rfR", str(tests)],
        cwd=ROOT,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=HANG_GUARD,
        check=False,
    )
    assert f"2 failed, 2 passed, {2 + len(variables)} rerun" in ran.stdout, ran.stdout + ran.stderr
    reruns = [line for line in ran.stdout.splitlines() if line.startswith("RERUN")]
    assert [line.split("::")[1] for line in reruns] == [
        "test_that_only_a_stall_breaks",
        "test_that_is_broken_as_well",
        *(["test_that_is_broken_without_a_stall"] if variables else []),
    ]
