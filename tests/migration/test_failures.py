"""One side fails: the other serves, no outdated value is read, and lost writes are repaired."""

from __future__ import annotations

import os
from typing import Any

import pytest
from django.core.cache import caches

from django_momento.events import events
from django_momento.migration import cache as migration
from django_momento.migration import ledger as ledger_module
from django_momento.migration import reports, state
from django_momento.migration.state import NEW, OLD, REST
from tests.kit.clock import Clock
from tests.kit.faces import FACES, call
from tests.kit.redis import RedisServer
from tests.migration.backends import Interrupted, New

BACKENDS = "tests.migration.backends"
# The time of rests and of maintenance, which goes on when a test says so.
clock = Clock()


@pytest.fixture(autouse=True)
def _clock(monkeypatch):
    """Put the clock in place, and do maintenance more rarely than a side is tried again."""
    monkeypatch.setattr(state, "monotonic", clock)
    monkeypatch.setattr(migration, "PAUSE", 10 * REST)


@pytest.fixture
def make(make_dual, tmp_path):
    """Make a DualCache over two memory caches that may be out."""

    def make(**options: Any) -> Any:
        return make_dual(
            {"BACKEND": f"{BACKENDS}.Interrupted", "LOCATION": f"{tmp_path}-old"},
            {"BACKEND": f"{BACKENDS}.New", "LOCATION": f"{tmp_path}-new"},
            **options,
        )

    yield make
    Interrupted.is_out = New.is_out = False


@pytest.fixture
def _repair_at_once(monkeypatch):
    monkeypatch.setattr(ledger_module, "SETTLE_SECONDS", 0.0)


def maintain(cache: Any) -> None:
    """Let the next call do the work that calls do now and then."""
    clock.advance(10 * REST)
    cache.get("any")


def report(cache: Any) -> None:
    """Let this process write its report now."""
    clock.advance(reports.PAUSE)
    maintain(cache)


READS: dict[str, tuple[tuple[Any, ...], Any]] = {
    "get": (("key",), "value"),
    "get_many": ((["key", "none"],), {"key": "value"}),
    "has_key": (("key",), True),
    "get_or_set": (("key", "default"), "value"),
}
WRITES: dict[str, tuple[Any, ...]] = {
    "set": ("key", "later"),
    "set_many": ({"key": "later"},),
    "touch": ("key", 100),
    "delete": ("key",),
    "delete_many": (["key"],),
    "clear": (),
}


@FACES
@pytest.mark.parametrize("out", [Interrupted, New])
@pytest.mark.parametrize("phase", ["shadow", "dual"])
def test_a_side_that_is_out_costs_no_call_if_the_other_can_serve(make, phases, face, phase, out):
    """With IGNORE_EXCEPTIONS in ``shadow`` too; without it, OLD is as loud there as it was before."""
    cache = make(IGNORE_EXCEPTIONS=True)
    phases.switch(phase)
    cache.set("key", "value")
    out.is_out = True
    for verb, (arguments, result) in READS.items():
        assert result == call(cache, face, verb, *arguments), verb
    for verb, arguments in WRITES.items():
        call(cache, face, verb, *arguments)
    call(cache, face, "set", "key", "later")
    assert "later" == call(cache, face, "get", "key")
    assert "made" == call(cache, face, "get_or_set", "other", "made")
    assert "made" == call(cache, face, "get", "other")


@FACES
def test_old_is_as_loud_in_shadow_as_without_a_migration(make, phases, face):
    cache = make()
    cache.set("key", "value")
    Interrupted.is_out = True
    for verb, (arguments, _) in READS.items():
        with pytest.raises(ConnectionError, match="no server"):
            call(cache, face, verb, *arguments)
    for verb, arguments in WRITES.items():
        with pytest.raises(ConnectionError, match="no server"):
            call(cache, face, verb, *arguments)
    phases.switch("dual")
    for verb in ("add", "incr"):
        with pytest.raises(ConnectionError, match="no server"):
            call(cache, face, verb, "counter", 1)
    assert "default" == call(cache, face, "get", "none", "default")


@FACES
@pytest.mark.parametrize("ignores", [True, False])
def test_only_if_both_are_out_a_call_fails(make, phases, face, ignores):
    cache = make(IGNORE_EXCEPTIONS=ignores)
    phases.switch("dual")
    Interrupted.is_out = New.is_out = True
    calls = {"get": ("key",), "get_many": (["key"],), "has_key": ("key",), **WRITES, "add": ("key", "value")}
    nothing: dict[str, Any] = {**dict.fromkeys(("get", "set", "delete_many", "clear")), "get_many": {}}
    nothing["set_many"] = ["key"]
    for verb, arguments in calls.items():
        if not ignores:
            with pytest.raises(ConnectionError, match="no server"):
                call(cache, face, verb, *arguments)
            continue
        assert nothing.get(verb, False) == call(cache, face, verb, *arguments), verb
    with pytest.raises(ValueError if ignores else ConnectionError):
        call(cache, face, "incr", "key")


@FACES
@pytest.mark.parametrize("verb", ["set", "set_many", "delete", "delete_many", "add", "incr"])
def test_a_write_that_new_has_missed_is_not_undone_by_it(make, phases, face, verb):
    """NEW is back with the value of before. It is not read until the key was deleted there."""
    cache = make()
    phases.switch("dual")
    if verb == "incr":
        cache.set("key", 1)
    elif verb != "add":
        cache.set("key", "first")
    else:
        caches["new"].set("key", "left over")
    New.is_out = True
    arguments = {**WRITES, "add": ("key", "later"), "incr": ("key",)}[verb]
    call(cache, face, verb, *arguments)
    New.is_out = False
    expected = {"delete": None, "delete_many": None, "incr": 2}.get(verb, "later")
    assert expected == call(cache, face, "get", "key")
    assert ({} if expected is None else {"key": expected}) == call(cache, face, "get_many", ["key"])
    assert call(cache, face, "has_key", "key") is (expected is not None)


@pytest.mark.usefixtures("_repair_at_once")
@pytest.mark.parametrize(("side", "out"), [(NEW, New), (OLD, Interrupted)])
def test_a_lost_write_is_repaired_when_the_side_is_back(make, phases, side, out):
    cache = make()
    phases.switch("dual")
    cache.set("key", "first")
    out.is_out = True
    cache.set("key", "second")
    out.is_out = False
    assert 1 == cache.migration.ledger.count(side)

    maintain(cache)
    assert 0 == cache.migration.ledger.count(side)
    assert caches[side].get("key") is None
    assert "second" == cache.get("key")


@pytest.mark.usefixtures("_repair_at_once")
@pytest.mark.parametrize(("side", "out"), [(NEW, New), (OLD, Interrupted)])
def test_a_clear_that_failed_is_repeated_and_the_side_not_read_before(make, phases, side, out):
    cache = make()
    phases.switch("dual")
    cache.set("key", "value")
    out.is_out = True
    cache.clear()
    out.is_out = False

    assert cache.get("key") is None
    maintain(cache)
    assert caches[side].get("key") is None
    cache.set("key", "after")
    assert "after" == caches[side].get("key") == cache.get("key")


@pytest.mark.usefixtures("_repair_at_once")
def test_a_lock_is_not_deleted_in_old_by_a_repair(make, phases):
    """Another process may have taken it, when this one could not release it."""
    cache = make()
    phases.switch("dual")
    assert cache.add("lock", "mine")
    Interrupted.is_out = True
    cache.delete("lock")
    Interrupted.is_out = False
    caches["old"].set("lock", "other")
    maintain(cache)

    assert "other" == caches["old"].get("lock")
    assert cache.add("lock", "mine") is False


def test_a_lost_write_is_not_read_after_the_change_to_done(make, phases):
    """NEW serves alone then, but not the value that was to be deleted there."""
    cache = make()
    phases.switch("dual")
    cache.set("key", "first")
    New.is_out = True
    cache.set("key", "second")
    New.is_out = False
    phases.switch("done")

    assert "second" == cache.get("key")


def test_more_lost_writes_than_can_be_remembered_make_the_side_unreadable(make, phases, monkeypatch):
    monkeypatch.setattr(ledger_module, "MAX_UNSETTLED", 3)
    cache = make()
    phases.switch("dual")
    cache.set_many({str(n): "first" for n in range(9)})
    New.is_out = True
    for n in range(9):
        cache.set(str(n), "second")
    New.is_out = False

    assert ["second"] * 9 == [cache.get(str(n)) for n in range(9)]


def test_a_side_that_may_have_lost_its_values_gets_them_back(make, phases, tmp_path):
    """Redis is killed and started again without its values. Then NEW dies too, and nothing is missing."""
    cache = make()
    phases.switch("dual")
    keys = [f"key{n}" for n in range(10)]
    cache.set_many(dict.fromkeys(keys, "value"), 100)
    Interrupted.is_out = True
    cache.set_many(dict.fromkeys(("x", "y", "z"), "value"), 100)
    for _ in range(5):
        cache.delete("none")
    Interrupted.is_out = False
    caches["old"].clear()
    clock.advance(REST)
    cache.delete("none")
    maintain(cache)
    assert dict.fromkeys(keys, "value") == cache.get_many(keys)
    New.is_out = True

    assert dict.fromkeys(keys, "value") == cache.get_many(keys)


def test_a_side_that_comes_back_with_older_values_is_not_read_until_it_is_emptied(make, phases, caplog):
    """Redis was started again from its last snapshot, which has a value that was deleted since."""
    cache = make()
    phases.switch("dual")
    cache.set("key", "value")
    report(cache)
    old: Any = caches["old"]
    snapshot = old.take_snapshot()
    report(cache)
    cache.delete("key")
    Interrupted.is_out = True
    for _ in range(5):
        cache.delete("none")
    Interrupted.is_out = False
    old.clear()
    old.load_snapshot(snapshot)
    clock.advance(REST)
    cache.delete("none")
    assert (None, "value") == (cache.get("key"), caches["old"].get("key"))
    maintain(cache)
    assert cache.get("key") is None
    assert "OLD came back from an outage with older values than before" in caplog.text

    cache.clear()
    caches["old"].set("key", "later")
    assert "later" == cache.get("key")


@pytest.mark.parametrize(
    ("old", "new", "given", "decided"),
    [
        (None, False, None, False),
        (None, True, None, True),
        (True, False, None, True),
        (True, True, False, False),
        (False, False, True, True),
    ],
)
def test_each_alias_decides_whether_it_fails_open_and_one_without_the_setting_follows_the_other(
    make_dual, momento, redis_server, old, new, given, decided
):
    from tests.conftest import CACHE_NAME, local_options

    theirs = {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": redis_server.url}
    ours = {"BACKEND": "django_momento.cache.MomentoCache", "LOCATION": CACHE_NAME}
    cache = make_dual(
        redis_server.settings() if old is None else {**theirs, "OPTIONS": {"IGNORE_EXCEPTIONS": old}},
        {**ours, "OPTIONS": local_options(momento, IGNORE_EXCEPTIONS=new)},
        **({} if given is None else {"IGNORE_EXCEPTIONS": given}),
    )

    assert decided is cache.pair.old.fails_open


def test_failures_are_counted_and_logged_now_and_then(make, phases, caplog):
    cache = make()
    phases.switch("dual")
    New.is_out = True
    for n in range(20):
        cache.set(f"key{n}", "value")

    assert 3 <= events.counts("default")["failures_of_new"] <= 20
    assert 1 == caplog.text.count("NEW (new) failed in set: ConnectionError: no server for set")


def test_a_value_that_new_refuses_is_served_by_old(make_dual, phases, momento):
    """JSON stores no objects. The pair goes on, and the report says that it is not safe to."""
    from tests.conftest import CACHE_NAME, local_options

    new = {"BACKEND": "django_momento.cache.MomentoCache", "LOCATION": CACHE_NAME}
    cache = make_dual(new={**new, "OPTIONS": local_options(momento, SERIALIZER="json")})
    phases.switch("dual")
    cache.set("key", {1, 2})

    assert {1, 2} == cache.get("key")
    assert 1 == cache.migration.figures.show()["counts"]["new_refusals"]


def test_django_redis_that_ignores_exceptions_shows_its_failures_to_the_migration(
    make_dual, phases, tmp_path
):
    """It hides them from the site, as before: a read is a miss, if NEW has nothing either."""
    with RedisServer(tmp_path) as redis:
        options = {"IGNORE_EXCEPTIONS": True, "SOCKET_TIMEOUT": 60}
        cache = make_dual(
            {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": redis.url, "OPTIONS": options}
        )
        cache.set("key", "value")
        redis.kill()

        assert ("value", None) == (cache.get("key"), cache.get("none"))
        cache.set("key", "later")
        assert "later" == cache.get("key")
        assert cache.add("lock", "mine") is False
    assert events.counts("default")["failures_of_old"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_child_does_not_read_what_its_parent_does_not_believe(make, phases):
    cache = make()
    phases.switch("dual")
    cache.set("key", "first")
    New.is_out = True
    cache.set("key", "second")
    New.is_out = False
    child = os.fork()
    if not child:
        os._exit(0 if cache.get("key") == "second" and cache.migration.slot is None else 1)

    assert 0 == os.waitpid(child, 0)[1]
