"""A guard against tests whose forked children call a server while another server runs in their parent.

gRPC prepares a process for a fork only if no thread is inside gRPC, and a thread of a server always is. Such
a fork fails rarely, and then in the parent too, in later tests that do not fork.
"""

from __future__ import annotations

import os
import sys
import threading
from typing import Any, NoReturn

import pytest

MESSAGE = (
    "This process was forked from one in which a LocalServer serves. gRPC does not support this: the child, "
    "and its parent later, may hang or crash. Move the fork to a program in tests/processes/programs, and "
    "run it with a server in a process of its own."
)

_FUNCTIONS = ("insecure_channel", "secure_channel")


class ForkGuard:
    """Refuses the channels of children that were forked beside a server."""

    def __init__(self) -> None:
        self._is_beside_server = False

    def install(self) -> None:
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(before=self.look, after_in_child=self.close)

    def look(self) -> None:
        """Note before a fork whether a server serves: its thread does not exist in the child."""
        self._is_beside_server = any(thread.name == "momento-local" for thread in threading.enumerate())

    def close(self) -> None:
        """Let the child open no channel, if it was forked beside a server."""
        if self._is_beside_server:
            # A server has imported both.
            for module in (sys.modules["grpc"], sys.modules["grpc.aio"]):
                for function in _FUNCTIONS:
                    setattr(module, function, _refuse)


def _refuse(*arguments: Any, **more: Any) -> NoReturn:
    # A child may swallow any exception, or end before pytest can report it. The captured output remains.
    os.write(2, f"{MESSAGE}\n".encode())
    pytest.fail(MESSAGE)


guard = ForkGuard()
