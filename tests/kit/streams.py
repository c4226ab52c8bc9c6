"""Streams of gRPC whose events come in an order that no server can bring about."""

from __future__ import annotations

from typing import Any

import pytest
from grpc._channel import _SingleThreadedRendezvous as NativeStream
from grpc._cython.cygrpc import OperationType


class StatusFirst:
    """A native call of gRPC whose status is taken before some of its other events.

    That happens now and then on a busy machine, if the call is refused.
    """

    def __init__(self, call: Any) -> None:
        self._call = call
        self._is_over = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._call, name)

    def next_event(self) -> Any:
        if not self._is_over:
            # An operation of nothing is done at once: its event is there before the others.
            self._call.operate((), None)
        event = self._call.next_event()
        self._is_over |= any(
            operation.type() == OperationType.receive_status_on_client for operation in event.batch_operations
        )
        return event


def let_status_come_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the status of each stream come before some of its other events."""
    create = NativeStream.__init__

    def create_with_early_status(self: Any, state: Any, call: Any, *more: Any) -> None:
        create(self, state, StatusFirst(call), *more)

    monkeypatch.setattr(NativeStream, "__init__", create_with_early_status)
