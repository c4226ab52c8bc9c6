"""The history and the subscribers of a topic, without a server, and at random against a plain list."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from contextlib import ExitStack
from typing import Any
from weakref import WeakSet

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from django_momento.local.storage import topics as topics_module
from django_momento.local.storage.retention import ItemsByKey, Retention
from django_momento.local.storage.topics import MAX_HISTORY, UNKNOWN, Topic, Topics
from tests.kit.wire import HANG_GUARD
from tests.local.collection_machine import SETTINGS


def make_topic() -> Any:
    """A topic of no cache."""
    return Topic({}, "t", topics_module.MAX_BACKLOG_BYTES)


def read(subscription: Any) -> Any:
    """Return the values that wait for a subscriber."""
    values = []
    while (message := subscription.take()) is not None:
        values.append(message.value)
    return values


def test_a_later_topic_has_a_larger_page() -> None:
    """And none has page 0, which stands for one not given."""
    first = make_topic().page
    time.sleep(0.001)
    assert 0 < first < make_topic().page


def test_history_reaches_back_a_hundred_messages() -> None:
    """A subscriber that resumes before that gets all of it."""
    topic = make_topic()
    for number in range(1, MAX_HISTORY + 51):
        topic.publish(number, 1)
    assert list(range(51, MAX_HISTORY + 51)) == read(topic.subscription(1, 0))


def test_history_of_large_messages_reaches_back_less_far(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has a bound in bytes; the newest message is always there."""
    monkeypatch.setattr(topics_module, "MAX_HISTORY_BYTES", 30)
    topic = make_topic()
    for number in range(1, 6):
        topic.publish(number, 10)
    assert read(topic.subscription(1, 0)) == [3, 4, 5]
    topic.publish("large", 1000)
    assert read(topic.subscription(1, 0)) == ["large"]


def test_another_page_gets_all_there_is() -> None:
    """Numbers of an earlier topic mean nothing here."""
    topic = make_topic()
    for number in range(1, 6):
        topic.publish(number, 1)
    subscription = topic.subscription(4, topic.page - 1)
    assert (subscription.follows, read(subscription)) == (UNKNOWN, [1, 2, 3, 4, 5])


@pytest.mark.parametrize(("limit", "value"), [("MAX_BACKLOG", 3), ("MAX_BACKLOG_BYTES", 30)])
def test_a_subscriber_that_does_not_read_loses_the_oldest(
    monkeypatch: pytest.MonkeyPatch, limit: Any, value: Any
) -> None:
    """Its backlog has a bound in messages and one in bytes."""
    monkeypatch.setattr(topics_module, limit, value)
    topics = Topics(Retention(), threading.RLock())
    with topics.subscribe("t", 0, 0) as subscription:
        for number in range(10):
            topics.publish("t", number, 10)
        assert read(subscription) == [7, 8, 9]
        topics.publish("t", "large", 1000)
        assert read(subscription) == ["large"]


MEMORY = 100_000


@pytest.fixture
def retention() -> Any:
    return Retention(max_memory=MEMORY)


def test_topics_and_items_share_the_memory(retention: Retention) -> None:
    """Whichever was used longest ago goes first, be it an item or the history of a topic."""
    items: ItemsByKey = {}
    topics = Topics(retention, threading.RLock())
    topics.publish("first", "value", 40_000)
    retention.keep(items, b"item", bytes(40_000), 60_000)
    topics.publish("second", "value", 40_000)
    assert (history(topics, "first"), len(items), history(topics, "second")) == ([], 1, ["value"])
    topics.publish("third", "value", 40_000)
    assert (len(items), history(topics, "second"), history(topics, "third")) == (0, ["value"], ["value"])
    retention.keep(items, b"item", bytes(90_000), 60_000)
    assert retention.memory_used <= MEMORY
    assert [history(topics, name) for name in ("second", "third")] == [[], []]


def history(topics: Any, name: Any) -> Any:
    with topics.subscribe(name, 1, 0) as subscription:
        return read(subscription)


def test_many_topics_cost_memory_however_small_they_are(retention: Retention) -> None:
    """Each has an overhead, so that names alone cannot fill the memory of the machine."""
    topics = Topics(retention, threading.RLock())
    for number in range(10_000):
        topics.publish(f"{number}", "", 0)
        assert retention.memory_used <= MEMORY
    assert 10 < len(topics.names()) < 100
    assert history(topics, "9999") == [""]


class Value:
    """A message's value, which shows whether it is still in memory."""


def test_unread_messages_cost_memory_whatever_the_number_of_topics(retention: Retention) -> None:
    """Each subscriber that falls behind loses the oldest, and reads the newest after the gap."""
    topics = Topics(retention, threading.RLock())
    in_memory: WeakSet[Value] = WeakSet()
    with ExitStack() as stack:
        subscriptions = [stack.enter_context(topics.subscribe(f"{number}", 0, 0)) for number in range(10)]
        for number in range(10):
            for _ in range(10):
                value = Value()
                in_memory.add(value)
                topics.publish(f"{number}", value, MEMORY // 10)
                assert retention.memory_used <= MEMORY
        assert len(in_memory) <= 10 + len(subscriptions)
        assert all(read(subscription) for subscription in subscriptions)
        assert read(subscriptions[0]) == []


def test_a_message_counts_once_for_all_subscribers(retention: Retention) -> None:
    """So many slow subscribers of one topic cost no more than one, and read the same messages."""
    topics = Topics(retention, threading.RLock())
    with ExitStack() as stack:
        subscriptions = [stack.enter_context(topics.subscribe("t", 0, 0)) for _ in range(50)]
        for message in range(5):
            topics.publish("t", message, MEMORY // 10)
        assert [read(subscription) for subscription in subscriptions] == [[0, 1, 2, 3, 4]] * 50


def test_read_messages_beyond_the_history_are_dropped() -> None:
    """When the slowest subscriber has read them, or has gone."""
    topics = Topics(Retention(), threading.RLock())
    in_memory: WeakSet[Value] = WeakSet()

    def publish() -> None:
        value = Value()
        in_memory.add(value)
        topics.publish("t", value, 1)

    with topics.subscribe("t", 0, 0) as slow, topics.subscribe("t", 0, 0) as fast:
        for _ in range(MAX_HISTORY + 50):
            publish()
        assert len(read(fast)) == MAX_HISTORY + 50
        assert len(in_memory) == MAX_HISTORY + 50
        read(slow)
        publish()
        assert len(in_memory) == MAX_HISTORY


@pytest.mark.parametrize("letter", ["x", "\u00e4", "\u6f22", "\U0001f600"])
def test_the_name_of_a_topic_costs_its_memory(retention: Retention, letter: str) -> None:
    """A letter takes one to four bytes."""
    topics = Topics(retention, threading.RLock())
    for number in range(10):
        topics.publish(f"{number}{letter * 20_000}", "", 0)
    assert sum(map(sys.getsizeof, topics.names())) <= retention.memory_used <= MEMORY


def test_a_message_too_large_to_keep_is_delivered(retention: Retention) -> None:
    """It stays in no history, and evicts nothing else."""
    items: ItemsByKey = {}
    topics = Topics(retention, threading.RLock())
    retention.keep(items, b"item", b"v", 60_000)
    with topics.subscribe("t", 0, 0) as subscription:
        topics.publish("t", "large", MEMORY + 1)
        assert read(subscription) == ["large"]
        topics.publish("t", "small", 1)
        assert read(subscription) == ["small"]
    assert (len(items), history(topics, "t")) == (1, ["small"])


def test_an_evicted_history_is_a_discontinuity(retention: Retention) -> None:
    """A subscriber stays subscribed and its topic keeps counting. One that comes back later sees the gap."""
    topics = Topics(retention, threading.RLock())
    with topics.subscribe("t", 0, 0) as subscription:
        page = subscription.page
        topics.publish("t", "one", 10)
        retention.keep({}, b"item", bytes(MEMORY - 3000), 60_000)
        assert history(topics, "t") == []
        assert read(subscription) == ["one"]
        topics.publish("t", "two", 10)
        assert subscription.take().number == 2
    retention.keep({}, b"other", bytes(MEMORY - 600), 60_000)
    with topics.subscribe("t", 2, page) as subscription:
        assert subscription.page > page
        assert subscription.follows == UNKNOWN


def test_removed_topics_give_their_memory_back(retention: Retention) -> None:
    """If a cache is deleted, also with subscribers, and if a topic was never used."""
    topics = Topics(retention, threading.RLock())
    topics.publish("used", "value", 10)
    with topics.subscribe("silent", 0, 0), topics.subscribe("used", 0, 0):
        assert retention.memory_used > 2000
        topics.remove()
        assert retention.memory_used == 0
    assert retention.memory_used == 0


def test_an_unused_topic_is_forgotten() -> None:
    """Subscriptions to names without messages do not add up. Messages stay."""
    topics = Topics(Retention(), threading.RLock())
    with (
        topics.subscribe("silent", 0, 0),
        topics.subscribe("silent", 0, 0),
        topics.subscribe("used", 0, 0),
    ):
        topics.publish("used", 1, 1)
    assert topics.names() == ["used"]


def test_waiting_ends_with_a_message_or_with_the_end() -> Any:
    """Long before the time is up."""

    async def wait_for(event: Any) -> Any:
        topics = Topics(Retention(), threading.RLock())
        with topics.subscribe("t", 0, 0) as subscription:
            asyncio.get_running_loop().call_later(0.01, event, topics)
            await asyncio.wait_for(subscription.wait(3600), HANG_GUARD)
            await subscription.wait(3600)  # It does not wait if a message is there already.
            return read(subscription), subscription.end_reason

    ended = RuntimeError()
    assert ([1], None) == asyncio.run(wait_for(lambda topics: topics.publish("t", 1, 1)))
    assert ([], ended) == asyncio.run(wait_for(lambda topics: topics.end(ended)))


class TopicMachine(RuleBasedStateMachine):
    """A topic against a list: every subscriber reads its messages once and in order."""

    @initialize()
    def start(self) -> None:
        self.topics = Topics(Retention(), threading.RLock())
        self.published: list[int] = []
        self.subscribers: list[Any] = []

    @rule(values=st.lists(st.integers(), max_size=40))
    def publish(self, values: Any) -> None:
        for value in values:
            self.topics.publish("t", value, 1)
            self.published.append(value)
            for _, _, expected in self.subscribers:
                expected.append(value)

    @rule(resume_at=st.integers(0, 150))
    def subscribe(self, resume_at: Any) -> None:
        context = self.topics.subscribe("t", resume_at, 0)
        oldest = max(len(self.published) - MAX_HISTORY, 0)
        if resume_at == 0:
            expected = self.published[-1:]
        elif resume_at <= len(self.published) + 1:
            expected = self.published[max(resume_at - 1, oldest) :]
        else:
            expected = self.published[oldest:]
        self.subscribers.append((context, context.__enter__(), list(expected)))

    @rule(index=st.integers(0, 9))
    def read(self, index: Any) -> None:
        for _, subscription, expected in self.subscribers[index : index + 1]:
            assert expected == read(subscription)
            expected.clear()

    @rule(index=st.integers(0, 9))
    def unsubscribe(self, index: Any) -> None:
        for context, _, _ in self.subscribers[index : index + 1]:
            context.__exit__(None, None, None)
        del self.subscribers[index : index + 1]

    def teardown(self) -> None:
        for _, subscription, expected in self.subscribers:
            assert expected == read(subscription)


TopicMachine.TestCase.settings = SETTINGS
test_any_sequence_of_messages_and_subscribers_agrees_with_a_list = TopicMachine.TestCase
