"""Threads that do not start, for the code under test alone."""

from __future__ import annotations

import threading
from collections.abc import Callable


def on_this_thread(act: Callable[[threading.Thread], object]) -> Callable[[threading.Thread], object]:
    """Return a replacement of ``Thread.start`` that acts on the thread of the test.

    Other threads of the process, such as those of a server, start threads as usual.
    """
    ours, start = threading.get_ident(), threading.Thread.start

    def start_or_act(thread: threading.Thread) -> object:
        return (act if threading.get_ident() == ours else start)(thread)

    return start_or_act
