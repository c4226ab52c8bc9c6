"""Locks that an exception from the handler of a signal left locked.

Such an exception may come between two instructions of ``threading.Condition.__enter__``, when the lock is
taken and its ``with`` block is not entered yet, or of ``__exit__`` before the lock is released. The lock then
stays locked. gRPC guards a channel with a condition, and a future has one too, so every other thread that
calls would wait for ever. The traceback of the exception shows the condition.

The same holds for a context manager that is a generator: until the generator is closed, its locks stay
locked. gRPC has one such lock for all calls of the process. And a call that was interrupted before its frame
could end it stays in flight for as long as the traceback is kept.
"""

from __future__ import annotations

import sys
import threading
from contextlib import _GeneratorContextManager, suppress
from functools import cache
from types import CodeType, FrameType

from .fork_gate import Passage

# The attribute of an exception with the traceback whose locks were released already.
_RELEASED = "_django_momento_released"

_REENTRANT = type(threading.RLock())
_ENTER: CodeType = threading.Condition.__enter__.__code__
_EXIT: CodeType = threading.Condition.__exit__.__code__
_GENERATORS = (_GeneratorContextManager.__enter__.__code__, _GeneratorContextManager.__exit__.__code__)


def release_interrupted_locks(error: BaseException) -> None:
    """Release the locks of each ``with`` that this thread was entering or leaving when an exception came.

    The calls in flight that the frames of the traceback hold are ended too.
    To be called as near to gRPC as can be: on the way out a destructor of gRPC's may wait for a lock, which
    another thread holds that waits for one of these.
    """
    traceback, seen = error.__traceback__, vars(error).get(_RELEASED)
    vars(error)[_RELEASED] = traceback
    while traceback is not None and traceback is not seen:
        frame, last_instruction = traceback.tb_frame, traceback.tb_lasti
        traceback = traceback.tb_next
        # Python 3.10 lists a frame twice if a profiler raised the exception, and one release is enough.
        if traceback is not None and traceback.tb_frame is frame:
            continue
        code = frame.f_code
        for value in list(frame.f_locals.values()):
            if type(value) is Passage:
                value.leave()
        if code in _GENERATORS:
            # Not left to the end of its last reference: whoever keeps the traceback has one, and a lock can
            # be released by this thread only.
            with suppress(Exception):
                frame.f_locals["self"].gen.close()
        elif code is _ENTER or code is _EXIT:
            has_called = last_instruction >= _last_call(code)
            condition = frame.f_locals["self"]
            # A plain lock does not say who has it, and this thread may have waited for it.
            if has_called is (code is _ENTER) and isinstance(condition._lock, _REENTRANT):  # noqa: SLF001 - it has no public name
                # Another thread has the lock if the exception came while this one waited for it.
                with suppress(RuntimeError):
                    condition.release()


@cache
def _last_call(code: CodeType) -> int:
    """Return the offset of the call that takes or releases the lock."""
    import dis  # here, because it is seldom needed

    return max(step.offset for step in dis.get_instructions(code) if step.opname.startswith("CALL"))


def is_inside_grpc() -> bool:
    """Return whether this thread is in the middle of a call of gRPC's, which a signal's handler interrupted.

    gRPC's own threads, which deliver the results of calls that do not block, may wait for a lock that this
    thread holds. So the handler must not wait for such a call.

    gRPC's native code has no frames, but it takes and releases its locks by methods of Python's.
    """
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 - there is no public name for it
    while frame is not None:
        if (
            frame.f_code is _ENTER
            or frame.f_code is _EXIT
            or frame.f_globals.get("__name__") == "grpc._channel"
        ):
            return True
        frame = frame.f_back
    return False
