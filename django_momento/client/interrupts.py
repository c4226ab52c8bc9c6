"""Locks that an exception from the handler of a signal left locked.

Such an exception may come between two instructions of ``threading.Condition.__enter__``, when the lock is
taken and its ``with`` block is not entered yet, or of ``__exit__`` before the lock is released. The lock then
stays locked. gRPC guards a channel with a condition, and a future has one too, so every other thread that
calls would wait for ever. The traceback of the exception shows the condition.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from functools import cache
from types import CodeType, TracebackType

_REENTRANT = type(threading.RLock())
_ENTER: CodeType = threading.Condition.__enter__.__code__
_EXIT: CodeType = threading.Condition.__exit__.__code__


def release_interrupted_locks(traceback: TracebackType | None) -> None:
    """Release each condition that this thread was about to enter or leave when an exception was raised."""
    while traceback is not None:
        code = traceback.tb_frame.f_code
        if code is _ENTER or code is _EXIT:
            has_called = traceback.tb_lasti >= _last_call(code)
            condition = traceback.tb_frame.f_locals["self"]
            # A plain lock does not say who has it, and this thread may have waited for it.
            if has_called is (code is _ENTER) and isinstance(condition._lock, _REENTRANT):  # noqa: SLF001
                # Another thread has the lock if the exception came while this one waited for it.
                with suppress(RuntimeError):
                    condition.release()
        traceback = traceback.tb_next


@cache
def _last_call(code: CodeType) -> int:
    """Return the offset of the call that takes or releases the lock."""
    import dis  # here, because it is seldom needed

    return max(step.offset for step in dis.get_instructions(code) if step.opname.startswith("CALL"))
