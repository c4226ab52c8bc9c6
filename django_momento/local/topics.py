"""The topics of a cache: what was published lately, and who is to get what is published next.

Numbers, history and backlogs, on one event loop and without a thread or a task of their own. Nothing
here knows requests, responses or gRPC; how a subscription is told to its client is ``pubsub``'s.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

# How far back a subscriber can resume.
HISTORY = 100
HISTORY_BYTES = 16 * 1024 * 1024

# How far a subscriber may fall behind before the oldest messages it has not read are dropped.
MAX_BACKLOG = 10_000
MAX_BACKLOG_BYTES = 64 * 1024 * 1024

# In place of a number that comes before the next message: none does, so there is a discontinuity.
UNKNOWN = -1


class Message(NamedTuple):
    number: int
    value: Any
    size: int


class Backlog:
    """The newest messages, within a bound in messages and one in bytes; but always the very newest."""

    def __init__(self, max_messages: int, max_bytes: int) -> None:
        self._max_messages = max_messages
        self._max_bytes = max_bytes
        self._messages: deque[Message] = deque()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._messages)

    def __iter__(self) -> Iterator[Message]:
        return iter(self._messages)

    def put(self, message: Message) -> None:
        self._messages.append(message)
        self._bytes += message.size
        while len(self) > self._max_messages or (self._bytes > self._max_bytes and len(self) > 1):
            self.take()

    def take(self) -> Message:
        message = self._messages.popleft()
        self._bytes -= message.size
        return message


class Subscription:
    """What one subscriber has yet to read. `follows` is the number that the first message should follow."""

    def __init__(self, page: int, follows: int, waiting: list[Message]) -> None:
        self.page = page
        self.follows = follows
        self.ended: Exception | None = None
        self._waiting = Backlog(MAX_BACKLOG, MAX_BACKLOG_BYTES)
        self._wakeup: asyncio.Future[None] | None = None
        for message in waiting:
            self.put(message)

    def put(self, message: Message) -> None:
        self._waiting.put(message)
        self._wake()

    def take(self) -> Message | None:
        """Return the next message, if there is one. Those between it and the one before were dropped."""
        return self._waiting.take() if self._waiting else None

    def end(self, reason: Exception) -> None:
        """Let the subscriber know that nothing will follow, and why."""
        self.ended = reason
        self._wake()

    async def wait(self, seconds: float) -> None:
        """Return as soon as there is news, or after so many seconds without any."""
        if self._waiting or self.ended:
            return
        loop = asyncio.get_running_loop()
        self._wakeup = loop.create_future()
        timer = loop.call_later(seconds, self._wake)
        try:
            await self._wakeup
        finally:
            timer.cancel()
            self._wakeup = None

    def _wake(self) -> None:
        if self._wakeup is not None and not self._wakeup.done():
            self._wakeup.set_result(None)


class Topic:
    """Numbers its messages from 1. The page tells it from an earlier topic of the same name."""

    def __init__(self) -> None:
        self.page = time.time_ns() // 1000
        self.newest = 0
        self.subscriptions: set[Subscription] = set()
        self._history = Backlog(HISTORY, HISTORY_BYTES)

    def publish(self, value: Any, size: int) -> None:
        self.newest += 1
        message = Message(self.newest, value, size)
        self._history.put(message)
        for subscription in self.subscriptions:
            subscription.put(message)

    def subscription(self, resume_at: int, page: int) -> Subscription:
        """Return a subscription that begins with a number of a page, or with the newest message for 0.

        One that asks for what is no longer there, or never was, gets all there is.
        """
        if resume_at == 0:
            return Subscription(self.page, max(self.newest - 1, 0), list(self._history)[-1:])
        history = list(self._history)
        if page not in (0, self.page):
            return Subscription(self.page, UNKNOWN, history)
        if resume_at <= self.newest + 1:
            history = [message for message in history if message.number >= resume_at]
        return Subscription(self.page, resume_at - 1, history)


class Topics:
    def __init__(self) -> None:
        self._topics: dict[str, Topic] = {}

    def publish(self, name: str, value: Any, size: int) -> None:
        self._topic(name).publish(value, size)

    @contextmanager
    def subscribed(self, name: str, resume_at: int, page: int) -> Iterator[Subscription]:
        """Subscribe for as long as the context lasts."""
        topic = self._topic(name)
        subscription = topic.subscription(resume_at, page)
        topic.subscriptions.add(subscription)
        try:
            yield subscription
        finally:
            topic.subscriptions.discard(subscription)
            # Nothing was ever said here that a later topic of this name could be confused with.
            if not topic.subscriptions and topic.newest == 0:
                del self._topics[name]

    def end(self, reason: Exception) -> None:
        """End all subscriptions; the messages stay."""
        for topic in self._topics.values():
            for subscription in topic.subscriptions:
                subscription.end(reason)

    def _topic(self, name: str) -> Topic:
        topic = self._topics.get(name)
        if topic is None:
            topic = self._topics[name] = Topic()
        return topic
