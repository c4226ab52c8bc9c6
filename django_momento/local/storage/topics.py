"""The topics of a cache: their recent messages, and the subscriptions that receive the next ones.

Numbers, history and backlogs live on one event loop, without threads or tasks of their own.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from .retention import Entry, Retention

# How far back a subscriber can resume.
MAX_HISTORY = 100
MAX_HISTORY_BYTES = 16 * 1024 * 1024

# How far a subscriber may fall behind before the oldest messages that it has not read are dropped. They are
# also dropped when memory is short.
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


class Log:
    """The newest messages of a topic, whose numbers follow one another. ``oldest`` is the first of them."""

    def __init__(self) -> None:
        self.oldest = 1
        self.size = 0
        self._messages: dict[int, Message] = {}

    def __len__(self) -> int:
        return len(self._messages)

    def put(self, message: Message) -> None:
        self._messages[message.number] = message
        self.size += message.size

    def find(self, number: int) -> Message | None:
        """Return the message with that number or, if it was dropped, the one after it."""
        return self._messages.get(max(number, self.oldest))

    def exceeds(self, max_messages: int, max_bytes: int) -> bool:
        """Return whether the oldest message should go. The newest message always stays."""
        return len(self) > max_messages or (self.size > max_bytes and len(self) > 1)

    def drop_oldest(self) -> None:
        self.size -= self._messages.pop(self.oldest).size
        self.oldest += 1

    def clear(self) -> None:
        self.oldest += len(self)
        self.size = 0
        self._messages.clear()


class Subscription:
    """The place of one subscriber in the messages of a topic.

    ``next`` is the number of the next message to read. ``follows`` is the number that the subscriber expects
    before it.
    """

    def __init__(self, page: int, log: Log, first: int, follows: int) -> None:
        self.page = page
        self.next = first
        self.follows = follows
        self.end_reason: Exception | None = None
        self._log = log
        self._kept: Message | None = None
        self._wakeup: asyncio.Future[None] | None = None

    def take(self) -> Message | None:
        """Return the next message, or None. A gap in the numbers means that messages were dropped."""
        message, self._kept = self._kept or self._log.find(self.next), None
        if message is not None:
            self.next = message.number + 1
        return message

    def keep(self, newest: Message) -> None:
        """Keep the newest message, if it was not read yet, while the topic forgets all."""
        if newest.number >= self.next:
            self._kept = newest

    def notify(self) -> None:
        """Tell the subscriber that there is a message."""
        self._wake()

    def end(self, reason: Exception) -> None:
        """Tell the subscriber that no message will follow, and why."""
        self.end_reason = reason
        self._wake()

    async def wait(self, seconds: float) -> None:
        """Return when there is a message or an end, or after so many seconds."""
        if self._kept or self._log.find(self.next) or self.end_reason:
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

    The messages of its history, and those that a subscriber has yet to read, count as memory and can be
    evicted. ``topics`` are those of its cache, by name.
    """

    def __init__(self, topics: dict[str, Topic], name: str, max_backlog_bytes: int) -> None:
        super().__init__()
        self.page = time.time_ns() // 1000
        self.newest = 0
        self.subscriptions: set[Subscription] = set()
        self._topics = topics
        self._name = name
        self._max_backlog_bytes = max_backlog_bytes
        self._log = Log()

    def publish(self, value: Any, size: int) -> None:
        self.newest += 1
        self._log.put(Message(self.newest, value, size))
        self.trim()
        for subscription in self.subscriptions:
            subscription.notify()

    def trim(self) -> None:
        """Drop messages over a limit, and beyond the history those that every subscriber has read."""
        log = self._log
        while log.exceeds(MAX_BACKLOG, self._max_backlog_bytes):
            log.drop_oldest()
        if log.exceeds(MAX_HISTORY, MAX_HISTORY_BYTES):
            read_by_all = min((each.next for each in self.subscriptions), default=self.newest + 1)
            while log.oldest < read_by_all and log.exceeds(MAX_HISTORY, MAX_HISTORY_BYTES):
                log.drop_oldest()

    def shrink(self, max_memory: int) -> None:
        """Drop the oldest messages until the rest fit the memory, or only the newest is left."""
        while len(self._log) > 1 and self.memory_needed() > max_memory:
            self._log.drop_oldest()

    def subscription(self, resume_at: int, page: int) -> Subscription:
        """Return a subscription from a number of a page on. With 0 it begins with the newest message.

        If that number does not exist, or no longer, the subscription begins with the oldest message.
        """
        oldest = max(self._log.oldest, self.newest - MAX_HISTORY + 1)
        first, follows = oldest, resume_at - 1
        if resume_at == 0:
            first, follows = self.newest, max(self.newest - 1, 0)
        elif page not in (0, self.page):
            follows = UNKNOWN
        elif resume_at <= self.newest + 1:
            first = max(resume_at, oldest)
        return Subscription(self.page, self._log, first, follows)

    def memory_needed(self) -> int:
        overhead = TOPIC_OVERHEAD + len(self._log) * MESSAGE_OVERHEAD
        return sys.getsizeof(self._name) + overhead + self._log.size

    def evict(self, retention: Retention) -> None:
        """Drop all messages but the newest of each subscriber that has not read it.

        Drop the topic too if it has no subscribers: a later one has another page.
        """
        if (newest := self._log.find(self.newest)) is not None:
            for subscription in self.subscriptions:
                subscription.keep(newest)
        self._log.clear()
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
            topic.shrink(self._retention.max_memory)
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
                if topic.serial:
                    topic.trim()
                    self._retention.count(topic, topic.memory_needed())
                # Without a history there is no message that a subscriber could resume at.
                if not topic.subscriptions and not topic.serial:
                    topic.remove(self._retention)

    def names(self) -> list[str]:
        """Return the names of the topics that have messages or subscribers."""
        with self._lock:
            return list(self._topics)

    def subscription_count(self) -> int:
        """Return how many subscriptions to any of the topics are open."""
        with self._lock:
            return sum(len(topic.subscriptions) for topic in self._topics.values())

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
