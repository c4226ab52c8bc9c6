"""Ctrl-C that reaches the processes of tests, wherever the tests were started."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session", autouse=True)
def ctrl_c_everywhere() -> Iterator[None]:
    """Let Ctrl-C interrupt tests, and the processes that they start, as it does at a desk.

    A shell without job control starts a command in the background with Ctrl-C ignored. All of its processes
    inherit this.
    """
    before = signal.getsignal(signal.SIGINT)
    if before is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    if before is signal.SIG_IGN:
        signal.signal(signal.SIGINT, before)
