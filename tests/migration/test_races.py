"""A copy that meets a write: whatever happens between two calls of it, no old value stays in NEW.

The other write happens either in this process, or in another, which writes to both caches in the same order
and cannot invalidate this process's copy.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.core.cache import caches

from django_momento.migration import DualCache
from django_momento.migration.state import NEW, OLD
from tests.kit.faces import EACH_FACE, call
from tests.kit.tables import table
from tests.migration.backends import Interrupted, New

BACKENDS = "tests.migration.backends"


@pytest.fixture
def begin(make_dual, phases, tmp_path):
    """Make a DualCache in ``dual`` over two empty memory caches, in whose calls the other writes happen."""

    def begin() -> DualCache:
        reset()
        cache = make_dual(
            {"BACKEND": f"{BACKENDS}.Interrupted", "LOCATION": f"{tmp_path}-old"},
            {"BACKEND": f"{BACKENDS}.New", "LOCATION": f"{tmp_path}-new"},
        )
        for alias in ("old", "new"):
            caches[alias].clear()
        phases.switch("dual")
        cache.get("any")  # the first call looks at OLD by itself
        return cache

    def reset() -> None:
        for backend in (Interrupted, New):
            backend.is_out = False
            backend.events.clear()

    yield begin
    reset()


@pytest.fixture
def dual(begin):
    return begin()


def at(backend: type[Interrupted], verb: str, event: Callable[[], object]) -> None:
    """Let something happen just before the next call of a verb."""
    backend.counts.clear()
    backend.events[verb, 1] = event


def elsewhere(verb: str) -> Callable[[], object]:
    """Return a write of another process."""

    def write() -> None:
        for alias in ("old", "new"):
            if verb == "delete":
                caches[alias].delete("key")
            elif verb == "touch":
                caches[alias].touch("key", 1)
            else:
                caches[alias].set("key", "new value", 100)

    return write


MOMENTS = table(
    ("backend", "call_of"),
    [(Interrupted, "get"), (New, "add"), (New, "get")],
    ids=["get", "add", "miss"],
    afresh=True,
)


@EACH_FACE
@MOMENTS
@table("place", ["here", "elsewhere"], afresh=True)
@table("verb", ["set", "delete", "get_many"], afresh=True)
def test_a_write_during_a_copy_wins(begin, face, backend, call_of, place, verb):
    dual = begin()
    caches["old"].set("key", "old value", 100)
    writes: dict[str, Callable[[], object]] = {
        "set": lambda: dual.set("key", "new value", 100),
        "delete": lambda: dual.delete("key"),
        "get_many": lambda: dual.set_many({"key": "new value"}, 100),
    }
    # The writes of this process are sync: Django's memory cache runs its async methods in threads as well.
    write = writes[verb] if place == "here" else elsewhere("delete" if verb == "delete" else "set")
    at(backend, call_of, write)
    if verb == "get_many":
        call(dual, face, "get_many", ["key"])
    else:
        call(dual, face, "get", "key")

    expected = None if verb == "delete" else "new value"
    assert expected == call(dual, face, "get", "key")
    assert ({} if expected is None else {"key": expected}) == call(dual, face, "get_many", ["key"])
    assert caches["new"].get("key") in (expected, None) or not dual.migration.ledger.trusts(NEW, ("key", 1))


@EACH_FACE
@table("verb", ["set", "set_many", "delete"], afresh=True)
def test_the_next_write_settles_a_key_whose_copy_met_a_write(begin, face, verb):
    """Otherwise the key would be a miss for seconds if the other side fails now."""
    dual = begin()
    caches["old"].set("key", "old value", 100)
    at(New, "add", lambda: dual.set("key", "new value", 100))
    dual.get("key")
    assert not dual.migration.ledger.trusts(NEW, ("key", 1))

    arguments: dict[str, list[object]] = {
        "set": ["key", "next"],
        "set_many": [{"key": "next"}],
        "delete": ["key"],
    }
    call(dual, face, verb, *arguments[verb])
    assert dual.migration.ledger.trusts(NEW, ("key", 1))


def test_the_next_write_does_not_settle_a_key_whose_write_failed(dual):
    """A request that timed out may still take effect after the next write."""
    New.is_out = True
    dual.set("key", "value")
    New.is_out = False
    dual.set("key", "next")
    assert not dual.migration.ledger.trusts(NEW, ("key", 1))


def test_a_touch_does_not_settle_a_key(dual):
    """It replaces no value."""
    caches["old"].set("key", "old value", 100)
    at(New, "add", lambda: dual.set("key", "new value", 100))
    dual.get("key")
    dual.touch("key", 50)
    assert not dual.migration.ledger.trusts(NEW, ("key", 1))


def test_a_shorter_timeout_during_a_copy_wins(dual):
    """The copy would live as long as the value should have before."""
    caches["old"].set("key", "value", 100)
    at(New, "add", elsewhere("touch"))
    dual.get("key")

    assert caches["new"].get("key") is None


def test_a_count_during_a_copy_wins(dual):
    """A counter that had a float before is no int to be left out."""
    caches["old"].set("key", 1.5, 100)
    at(New, "add", lambda: dual.incr("key"))

    assert 1.5 == dual.get("key")
    assert 2.5 == dual.get("key")


def test_writes_of_one_key_at_the_same_time_end_as_in_old(dual):
    """NEW gets them in the other order, and is not believed until it is repaired."""
    at(New, "set", lambda: dual.set("key", "second"))
    dual.set("key", "first")

    assert ("second", "first") == (caches["old"].get("key"), caches["new"].get("key"))
    assert "second" == dual.get("key")
    assert [False, True] == [dual.migration.ledger.has_unsettled(side) for side in (OLD, NEW)]
    assert [0, 0] == [dual.migration.ledger.count(side) for side in (OLD, NEW)]


def test_a_copy_never_replaces_a_value(dual):
    caches["old"].set("key", "old value", 100)
    at(New, "add", lambda: caches["new"].set("key", "new value", 100))

    assert "old value" == dual.get("key")
    assert "new value" == dual.get("key")
