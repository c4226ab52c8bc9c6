"""The libraries and ways by which tests freeze the time."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from typing import Any
from unittest import mock

import freezegun
import time_machine

PAST = datetime.datetime(2001, 9, 9, tzinfo=datetime.timezone.utc)
FUTURE = datetime.datetime(2037, 1, 1, tzinfo=datetime.timezone.utc)


def patched(moment: datetime.datetime) -> ExitStack:
    stack = ExitStack()
    for name in ("time.time", "time.monotonic"):
        stack.enter_context(mock.patch(name, return_value=moment.timestamp()))
    return stack


FREEZERS: dict[str, Callable[[datetime.datetime], AbstractContextManager[Any]]] = {
    "freezegun": freezegun.freeze_time,
    "time-machine": lambda moment: time_machine.travel(moment, tick=False),
    "mock": patched,
}
