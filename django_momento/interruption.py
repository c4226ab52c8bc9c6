"""Exceptions from outside a call, such as the handler of a signal raises for the time limit of a task queue.

They may come between any two lines. Code that expects exceptions of a call, and goes on after them, lets
these pass: they belong to the caller.
"""

from __future__ import annotations

import sys
import threading
from types import FrameType

# Packages whose code runs inside a call. Exceptions of their own types come from the call itself.
_LIBRARIES = sys.stdlib_module_names | {"django_momento", "google", "grpc", "momento", "momento_wire_types"}

_LOCK_ERRORS = ("release unlocked lock", "cannot release un-acquired lock")

# The module of Python's import system, whose name in tracebacks is that of a frozen module.
_IMPORT_SYSTEM = "importlib._bootstrap"


def is_interruption(error: BaseException) -> bool:
    """Return whether the handler of a signal has raised an exception, to be asked where it is caught."""
    # Python calls a handler with the number of the signal and the frame that it interrupted. In a traceback
    # frames of Cython may lie between the two, and the frames of Python's import system are missing.
    frames: set[int] = set()
    traceback = error.__traceback__
    while traceback is not None:
        frame = traceback.tb_frame
        interrupted = {*frames, id(frame.f_back)}
        for value in list(frame.f_locals.values()):
            values = value if type(value) is tuple else (value,)
            if any(type(each) is FrameType and id(each) in interrupted for each in values):
                return True
        frames.add(id(frame))
        traceback = traceback.tb_next
    return False


def is_foreign(error: BaseException) -> bool:
    """Return whether an exception comes from outside the call that it ended.

    The handler of a signal raises such an exception, for example for a time limit of Celery or RQ. Another
    thread raises one by ``PyThreadState_SetAsyncExc``. Such exceptions belong to the caller.
    """
    if not isinstance(error, Exception):
        return True
    frame = _innermost_frame(error)
    if frame is not None and _module_of(frame).partition(".")[0] in _LIBRARIES:
        package = type(error).__module__.partition(".")[0]
        if package not in _LIBRARIES:
            return True
    return is_interruption(error)


def raise_foreign(error: BaseException) -> None:
    """Raise the exception from outside that an error is or hides. Return if there is none."""
    if is_foreign(error):
        raise error
    if (interruption := hidden_interruption(error)) is not None:
        raise interruption


def hidden_interruption(error: BaseException) -> BaseException | None:
    """Return the exception from outside that an error of Python's own has replaced, if there is one.

    If ``Condition.wait`` is interrupted at its start, its lock is free already, and its ``with`` block fails
    to release it. If ``Thread.start`` is interrupted, it fails to remove the thread from a table. An
    import (seen with Python 3.11) fails to remove its thread from a table if a handler in it imports too.
    """
    context = error.__context__
    if context is None:
        return None
    is_of_lock = isinstance(error, RuntimeError) and str(error) in _LOCK_ERRORS
    key = error.args[0] if isinstance(error, KeyError) and error.args else None
    is_of_thread = isinstance(key, threading.Thread)
    is_of_import = isinstance(key, int) and _is_of_import(error)
    return context if (is_of_lock or is_of_thread or is_of_import) and is_foreign(context) else None


def _is_of_import(error: BaseException) -> bool:
    frame = _innermost_frame(error)
    return frame is not None and _module_of(frame) == _IMPORT_SYSTEM


def _innermost_frame(error: BaseException) -> FrameType | None:
    frame, traceback = None, error.__traceback__
    while traceback is not None:
        frame, traceback = traceback.tb_frame, traceback.tb_next
    return frame


def _module_of(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", ""))
