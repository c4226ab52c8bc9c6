"""The signals of the tests' processes."""

from __future__ import annotations

import subprocess
import sys

from tests.kit.processes import ROOT
from tests.kit.waiting import HANG_GUARD

PROGRAM = """
import signal, subprocess, sys
from tests.kit.signals import accept_ctrl_c

ask = [sys.executable, "-c", "import signal; print(signal.getsignal(signal.SIGINT).__class__.__name__)"]
signal.signal(signal.SIGINT, signal.SIG_IGN)
subprocess.run(ask, check=True)
accept_ctrl_c()
subprocess.run(ask, check=True)
"""


def test_ctrl_c_reaches_the_processes_of_tests_in_the_background() -> None:
    """A test that presses Ctrl-C would wait for ever."""
    command = [sys.executable, "-c", PROGRAM]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=HANG_GUARD, check=True)
    assert ran.stdout.split() == ["Handlers", "builtin_function_or_method"]
