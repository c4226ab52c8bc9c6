"""The topics of a cache: their recent messages, and the subscriptions that receive the next ones.

Numbers, history and backlogs live on one event loop, without threads or tasks of their own.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from .retention import Entry, Retention

# How far back a subscriber can resume.
MAX_HISTORY = 100
MAX_HISTORY_BYTES = 16 * 1024 * 1024

# How far a subscriber may fall behind before the oldest messages that it has not read are dropped.
MAX_BACKLOG = 10_000
MAX_BACKLOG_BYTES = 64 * 1024 * 1024

# The memory that CPython takes for a topic besides its name, and for a message besides its text or bytes.
TOPIC_OVERHEAD = 2048
MESSAGE_OVERHEAD = 1024

# Stands for the number before the next message if that number is not known. So there is a discontinuity.
UNKNOWN = -1


class Message(NamedTuple):
    number: int
    value: Any
    size: int


class Backlog:
    """The newest messages, within a limit of messages and one of bytes. The newest message is always kept."""

    def __init__(self, max_messages: int, max_bytes: int) -> None:
        self._max_messages = max_messages
        self._max_bytes = max_bytes
        self._messages: deque[Message] = deque()
        self.size = 0

    def __len__(self) -> int:
        return len(self._messages)

    def __iter__(self) -> Iterator[Message]:
        return iter(self._messages)

    def put(self, message: Message) -> None:
        self._messages.append(message)
        self.size += message.size
        while len(self) > self._max_messages or (self.size > self._max_bytes and len(self) > 1):
            self.take()

    def take(self) -> Message:
        message = self._messages.popleft()
        self.size -= message.size
        return message

    def clear(self) -> None:
        self._messages.clear()
        self.size = 0


class Subscription:
    """The messages that one subscriber has yet to read.

    ``follows`` is the number before the first of them.
    """

    def __init__(self, page: int, follows: int, waiting: list[Message], max_bytes: int) -> None:
        self.page = page
        self.follows = follows
        self.end_reason: Exception | None = None
        self._waiting = Backlog(MAX_BACKLOG, max_bytes)
        self._wakeup: asyncio.Future[None] | None = None
        for message in waiting:
            self.put(message)

    def put(self, message: Message) -> None:
        self._waiting.put(message)
        self._wake()

    def take(self) -> Message | None:
        """Return the next message, or None. A gap in the numbers means that messages were dropped."""
        return self._waiting.take() if self._waiting else None

    def end(self, reason: Exception) -> None:
        """Tell the subscriber that no message will follow, and why."""
        self.end_reason = reason
        self._wake()

    async def wait(self, seconds: float) -> None:
        """Return when there is a message or an end, or after so many seconds."""
        if self._waiting or self.end_reason:
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


class Topic(Entry):
    """Numbers its messages from 1. The page tells it from an earlier topic of the same name.

    Its history counts as memory and can be evicted. ``topics`` are those of its cache, by name.
    """

    def __init__(self, topics: dict[str, Topic], name: str, max_backlog_bytes: int) -> None:
        super().__init__()
        self.page = time.time_ns() // 1000
        self.newest = 0
        self.subscriptions: set[Subscription] = set()
        self._topics = topics
        self._name = name
        self._max_backlog_bytes = max_backlog_bytes
        self._history = Backlog(MAX_HISTORY, MAX_HISTORY_BYTES)

    def publish(self, value: Any, size: int) -> None:
        self.newest += 1
        message = Message(self.newest, value, size)
        self._history.put(message)
        for subscription in self.subscriptions:
            subscription.put(message)

    def subscription(self, resume_at: int, page: int) -> Subscription:
        """Return a subscription from a number of a page on. With 0 it begins with the newest message.

        If that number does not exist, or no longer, the subscription begins with the oldest message.
        """
        history, follows = list(self._history), resume_at - 1
        if resume_at == 0:
            history, follows = history[-1:], max(self.newest - 1, 0)
        elif page not in (0, self.page):
            follows = UNKNOWN
        elif resume_at <= self.newest + 1:
            history = [message for message in history if message.number >= resume_at]
        return Subscription(self.page, follows, history, self._max_backlog_bytes)

    def memory_needed(self) -> int:
        overhead = TOPIC_OVERHEAD + len(self._history) * MESSAGE_OVERHEAD
        return len(self._name) + overhead + self._history.size

    def evict(self, retention: Retention) -> None:
        """Drop the history. Drop the topic too if it has no subscribers: a later one has another page."""
        self._history.clear()
        retention.protect(self)
        if self.subscriptions:
            retention.count(self, self.memory_needed())
        else:
            self.remove(retention)

    def remove(self, retention: Retention) -> None:
        retention.protect(self)
        retention.count(self, 0)
        self._topics.pop(self._name, None)


class Topics:
    """The topics of one cache. Each method takes the store's lock, because they share memory with items."""

    def __init__(self, retention: Retention, lock: threading.RLock) -> None:
        self._retention = retention
        self._lock = lock
        self._topics: dict[str, Topic] = {}

    def publish(self, name: str, value: Any, size: int) -> None:
        with self._lock:
            topic = self._topic(name)
            topic.publish(value, size)
            # As with items: if it alone exceeds the memory, nothing else is evicted for it.
            if topic.memory_needed() > self._retention.max_memory:
                topic.evict(self._retention)
            else:
                self._retention.use(topic)
                self._retention.resize(topic, topic.memory_needed())

    @contextmanager
    def subscribe(self, name: str, resume_at: int, page: int) -> Iterator[Subscription]:
        """Subscribe for as long as the context lasts."""
        with self._lock:
            topic = self._topic(name)
            subscription = topic.subscription(resume_at, page)
            topic.subscriptions.add(subscription)
            self._retention.resize(topic, topic.memory_needed())
        try:
            yield subscription
        finally:
            with self._lock:
                topic.subscriptions.discard(subscription)
                # Without a history there is no message that a subscriber could resume at.
                if not topic.subscriptions and not topic.serial:
                    topic.remove(self._retention)

    def end(self, reason: Exception) -> None:
        """End all subscriptions. The messages stay."""
        with self._lock:
            for topic in self._topics.values():
                for subscription in topic.subscriptions:
                    subscription.end(reason)

    def remove(self) -> None:
        """Remove all topics."""
        with self._lock:
            for topic in list(self._topics.values()):
                topic.remove(self._retention)

    def _topic(self, name: str) -> Topic:
        topic = self._topics.get(name)
        if topic is None:
            topic = self._topics[name] = Topic(
                self._topics, name, min(MAX_BACKLOG_BYTES, self._retention.max_memory)
            )
        return topic
