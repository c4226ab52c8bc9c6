"""The near cache: reads from the memory of the process, which sees the process's own writes at once."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest

from django_momento.cache import MomentoCache
from django_momento.client import operations
from django_momento.client.calls import Get, GetBatch, KeysExist
from django_momento.events import CallEvent, events
from django_momento.local import LocalServer
from django_momento.policies import near as near_module
from django_momento.policies import near_store, passage
from django_momento.policies.near import Near
from tests.conftest import CACHE_NAME, MakeCache, local_options
from tests.kit.at_once import at_once
from tests.kit.clock import Clock
from tests.kit.faces import EACH_FACE, FACES, call
from tests.kit.raw import encode, find_memory
from tests.kit.tables import table
from tests.kit.waiting import HANG_GUARD

SECONDS = 10.0
READS: list[tuple[str, Any, Any]] = [
    ("get", "k", "value"),
    ("get", "missing", None),
    ("get_many", ["k", "missing"], {"k": "value"}),
    ("has_key", "k", True),
    ("has_key", "missing", False),
]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Return the clock of the near cache. It stands still until a test moves it."""
    clock = Clock(1000.0)
    for module in (near_module, near_store, passage):
        monkeypatch.setattr(module, "monotonic", clock)
    return clock


@pytest.fixture
def cache(make_cache: MakeCache, clock: Clock) -> MomentoCache:
    return make_cache(OPTIONS={"NEAR_SECONDS": SECONDS})


@pytest.fixture
def elsewhere(momento: LocalServer) -> MomentoCache:
    """Another process, as far as the near cache is concerned."""
    return MomentoCache(CACHE_NAME, {"OPTIONS": local_options(momento, CONNECT_TIMEOUT=6)})


def memory_of(cache: MomentoCache) -> Near:
    return find_memory(cache)


@FACES
@table(("verb", "argument", "expected"), READS)
def test_a_repeated_read_asks_momento_once(
    cache: MomentoCache, momento: LocalServer, face: str, verb: str, argument: Any, expected: Any
) -> None:
    """Whether the key exists or not, for as long as NEAR_SECONDS."""
    call(cache, face, "clear")
    MomentoCache(CACHE_NAME, {"OPTIONS": local_options(momento, CONNECT_TIMEOUT=6)}).set("k", "value")
    momento.reset_calls()

    assert [expected] * 3 == [call(cache, face, verb, argument) for _ in range(3)]
    assert sum(momento.calls.values()) == 1


def test_what_one_verb_has_read_serves_the_others(cache: MomentoCache, momento: LocalServer) -> None:
    """A batch asks only for the keys that are not in memory."""
    cache.set("k", "value")
    momento.reset_calls()

    assert cache.get("k") == "value"
    assert cache.has_key("k")
    assert cache.get_many(["k", "other"]) == {"k": "value"}
    assert not cache.has_key("other")
    assert momento.calls == {"GetBatch": 1}


@FACES
@table(
    ("write", "arguments", "expected"),
    [
        ("set", ("k", "new"), "new"),
        ("set", ("k", "new", 0), None),
        ("set_many", ({"k": "new"},), "new"),
        ("delete", ("k",), None),
        ("delete_many", (["k"],), None),
        ("touch", ("k", 0), None),
        ("clear", (), None),
        ("incr", ("k", 4), 5),
        ("incr_version", ("k",), None),
    ],
)
def test_a_write_of_the_process_is_seen_at_once(
    cache: MomentoCache, face: str, write: str, arguments: tuple[Any, ...], expected: Any
) -> None:
    """By every verb, however fresh the value in memory was."""
    cache.set("k", 1)
    assert cache.get_many(["k"]) == {"k": 1}

    call(cache, face, write, *arguments)

    assert call(cache, face, "get", "k") == expected
    assert call(cache, face, "has_key", "k") is (expected is not None)


def test_an_added_value_is_seen_after_a_miss(cache: MomentoCache, elsewhere: MomentoCache) -> None:
    """Both one that was added here, and one that another process added first."""
    assert cache.get_many(["a", "b"]) == {}
    elsewhere.set("b", "theirs")

    assert cache.add("a", "ours")
    assert not cache.add("b", "ours")

    assert cache.get_many(["a", "b"]) == {"a": "ours", "b": "theirs"}


def test_a_write_asks_momento_and_not_the_memory(cache: MomentoCache, elsewhere: MomentoCache) -> None:
    """The result of a write tells of the cache that all processes share."""
    cache.set_many({"counter": 1, "gone": 1})
    elsewhere.set("counter", 10)
    elsewhere.delete("gone")

    assert cache.incr("counter") == 11
    assert not cache.delete("gone")
    assert not cache.touch("gone", 100)


def test_a_write_of_another_process_is_seen_after_near_seconds(
    cache: MomentoCache, elsewhere: MomentoCache, clock: Clock
) -> None:
    """No sooner, and no later."""
    cache.set("k", "old")
    assert cache.get("missing") is None
    elsewhere.set_many({"k": "new", "missing": "found"})

    clock.advance(SECONDS - 0.1)
    assert [cache.get("k"), cache.get("missing")] == ["old", None]
    clock.advance(0.1)
    assert [cache.get("k"), cache.get("missing")] == ["new", "found"]


def test_the_timeout_of_a_value_ends_it_in_memory_too(cache: MomentoCache, clock: Clock) -> None:
    """A timeout that this process has set, by any verb."""
    cache.set("set", 1, 3)
    cache.set_many({"many": 1}, 3)
    cache.add("add", 1, 3)
    cache.set("touched", 1, 100)
    cache.touch("touched", 3)
    store = memory_of(cache).store

    def fresh() -> list[bool]:
        entries = [store.find((CACHE_NAME, key)) for key in (b":1:set", b":1:many", b":1:add", b":1:touched")]
        return [entry is not None and entry.is_fresh(clock(), SECONDS) for entry in entries]

    clock.advance(2.9)
    assert fresh() == [True] * 4
    clock.advance(0.2)
    assert fresh() == [False] * 4


@FACES
def test_each_item_of_a_batch_ends_in_memory_by_its_own_timeout(
    make_cache: MakeCache, clock: Clock, face: str
) -> None:
    """With TTL_JITTER the items of one set_many() have timeouts of their own."""
    cache = make_cache(OPTIONS={"NEAR_SECONDS": 100, "STALE_IF_ERROR": 100, "TTL_JITTER": 0.5})
    numbers = {f"k{number}": number for number in range(50)}

    assert call(cache, face, "set_many", numbers, 60) == []

    assert cache.get_many(numbers) == numbers
    entries = [memory_of(cache).store.find((CACHE_NAME, f":1:{key}".encode())) for key in numbers]
    left = {round(entry.until - clock(), 3) for entry in entries if entry is not None and entry.until}
    assert len(left) > 10
    assert all(30 <= seconds <= 60 for seconds in left)


def test_callers_cannot_change_the_value_of_each_other(cache: MomentoCache) -> None:
    """Each gets an object of its own, and so does the memory."""
    value = {"list": [1]}
    cache.set("k", value)
    value["list"].append(2)
    cache.get("k")["list"].append(3)
    cache.get_many(["k"])["k"]["list"].append(4)

    assert cache.get("k") == {"list": [1]}


def test_a_read_in_flight_does_not_bring_back_the_value_before_a_write(cache: MomentoCache) -> None:
    """Its caller gets what Momento sent, and the memory keeps what was written meanwhile."""
    key = b":1:k"
    near = memory_of(cache)
    reads = {"get": lambda: operations.get(key), "get_many": lambda: operations.get_many([key, b":1:other"])}
    for verb, begin in reads.items():
        for write, expected in [(lambda: cache.set("k", "new"), "new"), (lambda: cache.delete("k"), None)]:
            cache.set("k", "old")
            old = encode(cache, key, "old")
            near.forget()
            in_flight = near.intercept(cache.options, verb, begin())
            request = next(in_flight)
            write()
            with pytest.raises(StopIteration):
                in_flight.send(old if isinstance(request, Get) else [[old, None]])

            assert cache.get("k") == expected


def test_two_writes_at_the_same_time_leave_no_value_in_memory(cache: MomentoCache) -> None:
    """Momento may have either of their values."""
    near = memory_of(cache)
    first = near.intercept(cache.options, "set", operations.set(b":1:k", b"1", 1000))
    second = near.intercept(cache.options, "set", operations.set(b":1:k", b"2", 1000))
    next(first), next(second)
    for write in (second, first):
        with pytest.raises(StopIteration):
            write.send(None)

    assert near.store.find((CACHE_NAME, b":1:k")) is None
    assert near.store.in_flight == 0


@table(
    ("write", "expected"),
    [
        (lambda cache: cache.set("k", "new"), "new"),
        (lambda cache: cache.delete("k"), None),
        (lambda cache: cache.incr("k"), 2),
    ],
)
def test_a_replica_that_lags_behind_does_not_bring_back_the_value_before_a_write(
    cache: MomentoCache, clock: Clock, write: Callable[[MomentoCache], object], expected: Any
) -> None:
    """A read just after a write may still get the old value. It is returned, and not kept."""
    near = memory_of(cache)
    cache.set("k", 1)
    write(cache)
    clock.advance(near_store.REPLICA_SECONDS / 2)
    read = near.intercept(cache.options, "incr", operations.get(b":1:k"))
    next(read)
    with pytest.raises(StopIteration):
        read.send(b"1")
    assert cache.get("k") == expected

    # Not even if the memory has no room for the value that was written.
    near.store.close()
    near.store.max_bytes = 10_000
    read = near.intercept(cache.options, "incr", operations.get(b":1:k"))
    next(read)
    with pytest.raises(StopIteration):
        read.send(b"1")
    assert near.store.find((CACHE_NAME, b":1:k")) is None


def test_a_cancelled_call_leaves_nothing_in_flight(cache: MomentoCache) -> None:
    """Neither a read nor a write, whose outcome is not known."""
    near = memory_of(cache)
    cache.set("k", "value")
    for verb, operation in [
        ("get", operations.get(b":1:other")),
        ("set", operations.set(b":1:k", b"1", 1000)),
    ]:
        in_flight = near.intercept(cache.options, verb, operation)
        next(in_flight)
        in_flight.close()

    assert near.store.find((CACHE_NAME, b":1:k")) is None
    assert near.store.in_flight == 0


@EACH_FACE
def test_one_caller_reads_a_key_for_all_that_come_meanwhile(
    make_cache: MakeCache, momento: LocalServer, monkeypatch: pytest.MonkeyPatch, face: str
) -> None:
    """Threads, and tasks on loops of different threads."""
    monkeypatch.setattr(near_module, "MAX_WAIT", HANG_GUARD)
    cache = make_cache(OPTIONS={"NEAR_SECONDS": 100})
    MomentoCache(CACHE_NAME, {"OPTIONS": local_options(momento, CONNECT_TIMEOUT=6)}).set("hot", "value")
    assert not cache.has_key("warm")
    momento.reset_calls()
    momento.delay(300)
    try:
        assert at_once(8, lambda: call(cache, face, "get", "hot")) == ["value"] * 8
    finally:
        momento.delay(0)

    assert momento.calls == {"Get": 1}


def test_a_thread_that_reads_a_key_does_not_wait_for_itself(cache: MomentoCache, elsewhere: Any) -> None:
    """As the handler of a signal would."""
    near = memory_of(cache)
    elsewhere.set("k", "value")
    near.begin_flight((CACHE_NAME, b":1:k"))

    assert cache.get("k") == "value"


def test_aliases_that_share_a_client_share_the_memory(settings: Any, momento: LocalServer) -> None:
    """A write through one is seen by the other, and a value that one cannot read stays unreadable."""
    from django.core.cache import caches

    plain = {"BACKEND": "django_momento.cache.MomentoCache", "LOCATION": CACHE_NAME}
    settings.CACHES = {
        "default": {**plain, "OPTIONS": local_options(momento, NEAR_SECONDS=100)},
        "plain": {**plain, "OPTIONS": local_options(momento)},
        "json": {**plain, "OPTIONS": local_options(momento, NEAR_SECONDS=100, SERIALIZER="json")},
    }
    caches["default"].set("k", "old")
    assert caches["default"].get("k") == "old"
    caches["plain"].set("k", "new")

    assert caches["default"].get("k") == "new"
    assert caches["json"].get("k") is None
    assert caches["default"].get("k") == "new"


def test_a_forked_child_starts_empty(cache: MomentoCache) -> None:
    """And goes on with a memory of its own."""
    cache.set("k", "value")
    child = os.fork()
    if not child:
        os._exit(len(memory_of(cache).store))

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert len(memory_of(cache).store) == 1


def test_the_event_of_a_call_tells_that_it_was_served_from_memory(
    cache: MomentoCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With its hits and misses as ever, and no requests."""
    told: list[CallEvent] = []
    cache.set("k", "value")
    monkeypatch.setattr("django_momento.policies.observing.observers", [told.append])
    for module in ("execution", "cache", "policies.near"):
        monkeypatch.setattr(f"django_momento.{module}.observers", [told.append])

    cache.get_many(["k", "missing"])
    cache.get_many(["k", "missing"])
    cache.get("k")

    figures = [(event.verb, event.requests, event.hits, event.misses, event.served_from) for event in told]
    assert figures == [
        ("get_many", 1, 1, 1, "near"),
        ("get_many", 0, 1, 1, "near"),
        ("get", 0, 1, 0, "near"),
    ]
    assert events.counts("default")["near_hits"] == 4


def test_a_batch_that_is_known_in_part_is_sent_in_part(cache: MomentoCache) -> None:
    """In the order of its keys, for each call that takes several."""
    near = memory_of(cache)
    cache.set_many({"b": 1, "d": 2})
    keys = [b":1:" + name for name in (b"a", b"b", b"c", b"d")]
    batch = near.intercept(cache.options, "get_many", operations.get_many(keys))
    assert next(batch) == [GetBatch((keys[0], keys[2]))]
    with pytest.raises(StopIteration) as done:
        batch.send([[None, b"9"]])
    assert done.value.value == {keys[1]: b"1", keys[2]: b"9", keys[3]: b"2"}

    exists = near.intercept(cache.options, "has_key", _exist([*keys, b":1:e"]))
    assert next(exists) == KeysExist((b":1:e",))
    with pytest.raises(StopIteration) as done:
        exists.send([True])
    assert done.value.value == [False, True, True, True, True]


def _exist(keys: list[bytes]) -> Any:
    return (yield KeysExist(tuple(keys)))
