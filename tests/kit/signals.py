"""The signal of Ctrl-C, which a shell lets the processes ignore that it starts in the background."""

from __future__ import annotations

import signal
import threading


def accept_ctrl_c() -> None:
    """Let Ctrl-C interrupt this process and those that it starts, as for tests that a person starts."""
    is_ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    if is_ignored and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.default_int_handler)
