"""Interrupt a function at any one of the moments at which Python looks for signals.

Only for processes of their own: raised within the measurement of coverage, an exception leaves its lock
locked.
"""

from __future__ import annotations

import dis
import gc
import signal
import sys
from collections.abc import Callable, Collection
from types import FrameType
from typing import Any

_RESUME = dis.opmap.get("RESUME")
_YIELD_FROM = dis.opmap.get("YIELD_FROM")


class Stop(Exception):
    """Raised by the handler of a signal, as the time limit of a task queue."""


class Call:
    """A call that was interrupted: its exception and its result. ``is_over`` if it ended before its turn.

    ``is_swallowed`` tells that the exception came where Python reports exceptions and goes on.

    The starts of functions in ``spared`` are no moments for it: nothing in Python can be done before them.
    """

    def __init__(self, act: Callable[[], Any], number: int, spared: Collection[Any] = ()) -> None:
        self.error: BaseException | None = None
        self.result: Any = None
        self.is_over = True
        self.is_swallowed = False
        self._left = number
        self._spared = [function.__code__ for function in spared]
        before, hook_before = signal.signal(signal.SIGALRM, _stop), sys.unraisablehook
        sys.unraisablehook = self._report
        # Destructors of any library could run at any moment, and lose the exception.
        gc.disable()
        sys.setprofile(self._profile)
        try:
            try:
                self.result = act()
            finally:
                sys.setprofile(None)
        except BaseException as error:  # noqa: BLE001 - the caller looks at it
            self.error = error
        finally:
            gc.enable()
            sys.unraisablehook = hook_before
            signal.signal(signal.SIGALRM, before)

    def _report(self, unraisable: Any) -> None:
        self.is_swallowed |= isinstance(unraisable.exc_value, Stop)

    def _profile(self, frame: FrameType, event: str, _: object) -> None:
        if not _is_moment(frame, event) or _is_in_destructor(frame):
            return
        if event == "call" and frame.f_code in self._spared:
            return
        if not self._left:
            sys.setprofile(None)
            self.is_over = False
            signal.raise_signal(signal.SIGALRM)
        self._left -= 1


def _stop(*_: object) -> None:
    raise Stop


def _is_moment(frame: FrameType, event: str) -> bool:
    """Return whether Python looks for signals now: at the start of a function, and after one in C.

    It does not when a generator goes on that waits for an inner one, nor when a generator is closed.
    """
    if event == "call":
        code, at = frame.f_code.co_code, frame.f_lasti
        if _RESUME is None:
            return at < 0 or code[at] != _YIELD_FROM
        return at >= 0 and code[at] == _RESUME and code[at + 1] & 3 < 2
    return event == "c_return"


def _is_in_destructor(frame: FrameType | None) -> bool:
    """Return whether Python swallows an exception: in destructors and in callbacks of weak references."""
    while frame is not None:
        if frame.f_code.co_name in ("__del__", "_remove"):
            return True
        frame = frame.f_back
    return False
