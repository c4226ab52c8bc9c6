"""The garbage collector, which runs callbacks and the destructors of other tests at any moment."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def no_collection() -> Iterator[None]:
    """Let no destructor be traced, counted or interrupted in place of the code that a block is about."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
