"""The shield: values that this process saw, while Momento cannot answer, and writes that are made up for."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from django_momento.events import CallEvent
from django_momento.exceptions import MomentoCacheError
from django_momento.local import LocalServer
from django_momento.monitoring import stats
from django_momento.policies import shield
from django_momento.policies.shield import Repairs
from tests.conftest import CACHE_NAME
from tests.kit.clock import Clock
from tests.kit.faces import FACES, call
from tests.kit.outages import Momento
from tests.kit.ports import free_port, unserved
from tests.kit.tables import table
from tests.kit.waiting import eventually

STATUSES = ["unavailable", "resource-exhausted", "unauthenticated", "internal", "cancelled"]


@pytest.fixture
def momento(settings: Any) -> Iterator[Momento]:
    with LocalServer(caches=[CACHE_NAME]) as server:
        yield Momento(server, settings)


@pytest.fixture
def no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """No thread repairs keys, as in a process that has no more threads, nor a caller until a test says so."""
    start = threading.Thread.start

    def start_unless_it_repairs(thread: threading.Thread) -> None:
        if thread.name == "momento-repair":
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", start_unless_it_repairs)
    monkeypatch.setattr(shield, "KEYS_OF_A_CALLER", 0)


@FACES
@table("status", STATUSES)
def test_reads_in_an_outage_get_the_values_that_this_process_saw(
    momento: Momento, face: str, status: str
) -> None:
    """In every kind of outage, those that it wrote, those that it read and those that it found missing."""
    momento.answer()
    momento.cache.set("written", 1)
    momento.elsewhere.set("read", 2)
    assert momento.cache.get_many(["read", "missing"]) == {"read": 2}
    momento.fail(status)

    assert call(momento.cache, face, "get", "written") == 1
    assert call(momento.cache, face, "get_many", ["written", "read", "missing"]) == {"written": 1, "read": 2}
    assert call(momento.cache, face, "has_key", "read")
    assert not call(momento.cache, face, "has_key", "missing")
    with pytest.raises(MomentoCacheError):
        call(momento.cache, face, "get", "unknown")
    with pytest.raises(MomentoCacheError):
        call(momento.cache, face, "get_many", ["unknown", "other"])
    assert call(momento.cache, face, "get_many", ["unknown", "read"]) == {"read": 2}


@FACES
def test_the_requests_that_repair_keys_are_counted_apart(momento: Momento, face: str) -> None:
    """With those of calls, they are all that the server has seen."""
    momento.answer()

    def requests() -> tuple[int, int]:
        figures = stats("default")
        return figures["totals"]["requests"], figures["background_requests"]

    momento.server.reset_calls()
    before = requests()
    momento.fail("internal")
    with pytest.raises(MomentoCacheError):
        call(momento.cache, face, "set", "k", 1)
    momento.server.fail("")

    def is_everything_counted() -> bool:
        in_calls, apart = (now - then for now, then in zip(requests(), before, strict=True))
        return not momento.repairs and apart > 0 and momento.server.calls.total() == in_calls + apart

    eventually(is_everything_counted)


@FACES
def test_an_alias_that_fails_open_returns_the_default_only_for_unknown_keys(
    momento: Momento, face: str
) -> None:
    """The stale value is better than none."""
    cache = momento.make(IGNORE_EXCEPTIONS=True)
    cache.set("k", 1)
    momento.fail()

    assert call(cache, face, "get", "k", "default") == 1
    assert call(cache, face, "get", "unknown", "default") == "default"
    assert call(cache, face, "get_many", ["unknown"]) == {}


@FACES
def test_items_with_timeouts_of_their_own_are_kept_in_an_outage(momento: Momento, face: str) -> None:
    """Their caller gets the error of the outage, and this process reads the new values."""
    cache = momento.make(TTL_JITTER=0.5)
    cache.set_many({"a": 1, "b": 1})
    momento.fail()

    with pytest.raises(MomentoCacheError):
        call(cache, face, "set_many", {"a": 2, "b": 3}, 60)

    assert call(cache, face, "get_many", ["a", "b"]) == {"a": 2, "b": 3}


def test_a_value_is_served_for_stale_if_error_seconds_and_no_longer(
    momento: Momento, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counted from the time at which it was seen, so that it never outlives its timeout by more."""
    clock = Clock(1000.0)
    for module in ("near", "near_store", "passage"):
        monkeypatch.setattr(f"django_momento.policies.{module}.monotonic", clock)
    momento.cache.set("k", 1, 5)
    momento.fail()

    clock.advance(99.9)
    assert momento.cache.get("k") == 1
    clock.advance(0.1)
    with pytest.raises(MomentoCacheError):
        momento.cache.get("k")


WRITES: list[tuple[str, tuple[Any, ...], Any]] = [
    ("set", ("k", "new"), "new"),
    ("set", ("k", "new", 0), None),
    ("set_many", ({"k": "new", "other": 1},), "new"),
    ("delete", ("k",), None),
    ("delete_many", (["k"],), None),
    ("touch", ("k", 0), None),
    ("touch", ("k", 50), "old"),
    ("clear", (), None),
]


@FACES
@table(("verb", "arguments", "expected"), WRITES)
def test_a_write_that_failed_holds_in_this_process_and_is_repaired(
    momento: Momento, face: str, verb: str, arguments: tuple[Any, ...], expected: Any
) -> None:
    """Its caller gets the error. When Momento is back, no process gets the value from before the write."""
    momento.answer()
    momento.cache.clear()
    momento.cache.set("k", "old")
    momento.fail()
    with pytest.raises(MomentoCacheError):
        call(momento.cache, face, verb, *arguments)

    assert call(momento.cache, face, "get", "k") == expected
    assert call(momento.cache, face, "get_many", ["k"]) == ({} if expected is None else {"k": expected})
    assert call(momento.cache, face, "has_key", "k") is (expected is not None)
    momento.recover()

    assert momento.elsewhere.get("k") is None
    assert momento.cache.get("k") is None


def test_a_process_without_a_thread_repairs_with_its_next_call(
    momento: Momento, no_thread: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Any call, of any key. Until then its own reads do not trust the value at Momento."""
    momento.cache.set_many({"gone": 1, "changed": 1, "kept": 1})
    momento.fail()
    with pytest.raises(MomentoCacheError):
        momento.cache.delete("gone")
    with pytest.raises(MomentoCacheError):
        momento.cache.set("changed", 2)
    momento.answer()
    assert momento.elsewhere.get_many(["gone", "changed"]) == {"gone": 1, "changed": 1}
    assert momento.cache.get_many(["gone", "changed"]) == {"changed": 2}

    monkeypatch.setattr(shield, "KEYS_OF_A_CALLER", 16)
    assert momento.cache.get("kept") == 1
    assert momento.elsewhere.get_many(["gone", "changed", "kept"]) == {"kept": 1}


def test_a_write_that_depends_on_the_value_at_momento_repairs_it_first(
    momento: Momento, no_thread: None
) -> None:
    """A key that was deleted here is free for add(), and no counter to increment."""
    momento.cache.set_many({"added": 1, "counted": 1, "touched": 1})
    momento.fail()
    with pytest.raises(MomentoCacheError):
        momento.cache.delete_many(["added", "counted", "touched"])
    momento.answer()

    assert momento.cache.add("added", "new")
    with pytest.raises(ValueError, match="not found"):
        momento.cache.incr("counted")
    assert not momento.cache.touch("touched", 100)
    assert momento.elsewhere.get_many(["added", "counted", "touched"]) == {"added": "new"}


def test_a_key_that_was_written_since_is_not_repaired(momento: Momento, no_thread: None) -> None:
    """Neither one that was set nor one that was deleted at Momento, nor one of a cache that was emptied."""
    momento.cache.set_many({"set": 1, "deleted": 1, "cleared": 1})
    momento.fail()
    with pytest.raises(MomentoCacheError):
        momento.cache.delete_many(["set", "deleted", "cleared"])
    repairs = momento.near.repairs
    assert repairs is not None
    momento.answer()

    assert momento.cache.set_many({"set": 2}) == []
    momento.cache.delete("deleted")
    assert len(repairs) == 1
    assert repairs.covers((CACHE_NAME, b":1:cleared"))
    momento.cache.clear()
    assert len(repairs) == 0


def test_add_and_incr_stay_honest_in_an_outage(momento: Momento) -> None:
    """They fail as they do without the shield, and nothing is deleted for them afterwards."""
    momento.cache.set("counter", 1)
    momento.fail()
    for verb, *arguments in [("add", "lock", 1), ("incr", "counter"), ("incr_version", "counter")]:
        with pytest.raises(MomentoCacheError):
            call(momento.cache, "sync", str(verb), *arguments)

    assert not momento.repairs
    momento.recover()
    assert momento.elsewhere.get("counter") == 1


def test_the_oldest_of_too_many_failed_writes_are_dropped_and_counted(
    momento: Momento, no_thread: None, caplog: pytest.LogCaptureFixture
) -> None:
    """A warning says that their old values may come back."""
    repairs = Repairs(momento.near)
    for start in range(0, shield.MAX_FAILED_KEYS + 2, 2):
        repairs.remember("default", [(CACHE_NAME, b"%d" % start), (CACHE_NAME, b"%d" % (start + 1))], "set")

    assert len(repairs) == shield.MAX_FAILED_KEYS
    assert not repairs.covers((CACHE_NAME, b"1"))
    assert repairs.covers((CACHE_NAME, b"2"))
    assert momento.counts() == {"failed_writes": shield.MAX_FAILED_KEYS + 2, "dropped_repairs": 2}
    assert "not repaired" in caplog.text


def test_a_key_that_momento_refuses_to_delete_is_dropped(momento: Momento) -> None:
    """It would be tried for ever."""
    momento.cache.set("k", 1)
    momento.fail()
    with pytest.raises(MomentoCacheError):
        momento.cache.delete("k")
    momento.server.fail("permission-denied")

    eventually(lambda: not momento.repairs and momento.counts().get("dropped_repairs"))
    assert momento.counts()["dropped_repairs"] == 1


def test_what_the_shield_does_is_counted_and_told(momento: Momento, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the statistics, and in the event of each call."""
    told: list[CallEvent] = []
    momento.cache.set("k", 1)
    for module in ("execution", "cache", "policies.near", "policies.observing"):
        monkeypatch.setattr(f"django_momento.{module}.observers", [told.append])
    momento.fail()

    momento.cache.get("k")
    with pytest.raises(MomentoCacheError):
        momento.cache.delete("k")
    momento.cache.get("k")
    counts = momento.counts()
    momento.recover()

    assert [(event.verb, event.served_from, event.hits) for event in told[:3]] == [
        ("get", "stale", 1),
        ("delete", "momento", 0),
        ("get", "stale", 0),
    ]
    assert counts == {"stale_reads": 2, "failed_writes": 1}
    eventually(lambda: momento.counts().get("repaired_keys", 0) >= 1)


def test_a_forked_child_leaves_the_repairs_to_its_parent(momento: Momento, no_thread: None) -> None:
    """It has seen nothing itself."""
    momento.cache.set("k", 1)
    momento.fail()
    with pytest.raises(MomentoCacheError):
        momento.cache.delete("k")
    child = os.fork()
    if not child:
        os._exit(bool(momento.repairs) or len(momento.near.store))

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert len(momento.repairs) == 1


def test_a_server_that_was_killed_is_not_missed(settings: Any) -> None:
    """The calls of many threads go on with what was seen, and go back to Momento when it is there again."""
    with LocalServer(caches=[CACHE_NAME], port=free_port()) as server:
        momento = Momento(server, settings)
        momento.cache.set_many({f"k{number}": number for number in range(20)})
        port = server.port
    values = {f"k{number}": number for number in range(20)}
    with unserved(port):
        for _ in range(3):
            assert momento.cache.get_many(values) == values
            assert [momento.cache.get(key) for key in values] == list(values.values())
    with LocalServer(caches=[CACHE_NAME], port=port):
        eventually(lambda: momento.cache.get("k0") is None)
        assert momento.cache.get_many(values) == {}
