"""Exceptions that the handler of a signal raises, as for the time limit of a task queue.

They may come between any two lines. Code that expects exceptions of a call, and goes on after them, lets
these pass: they belong to the caller.
"""

from __future__ import annotations

from types import FrameType


def is_interruption(error: BaseException) -> bool:
    """Return whether the handler of a signal has raised an exception, to be asked where it is caught."""
    # Python calls a handler with the number of the signal and the frame that it interrupted. Frames of Cython
    # may lie between the two.
    frames: set[int] = set()
    traceback = error.__traceback__
    while traceback is not None:
        frame = traceback.tb_frame
        if frames:
            for value in list(frame.f_locals.values()):
                values = value if type(value) is tuple else (value,)
                if any(type(each) is FrameType and id(each) in frames for each in values):
                    return True
        frames.add(id(frame))
        traceback = traceback.tb_next
    return False
