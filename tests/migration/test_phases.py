"""The three phases: who serves, what is copied, and that going back is safe."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from django.core.cache import caches

from tests.kit.faces import FACES, call

MEMORY = "django.core.cache.backends.locmem.LocMemCache"


@pytest.fixture
def sides(make_dual, tmp_path):
    """A DualCache over two memory caches, and the two."""
    cache = make_dual(
        {"BACKEND": MEMORY, "LOCATION": f"{tmp_path}-old"}, {"BACKEND": MEMORY, "LOCATION": f"{tmp_path}-new"}
    )
    return cache, caches["old"], caches["new"]


@FACES
def test_old_serves_in_shadow_and_new_in_dual_and_done(sides, phases, face):
    cache, old, new = sides
    old.set("key", "old")
    new.set("key", "new")
    read = {}
    for phase in ("dual", "done", "shadow"):
        phases.switch(phase)
        many = call(cache, face, "get_many", ["key", "none"])
        read[phase] = call(cache, face, "get", "key"), many, call(cache, face, "has_key", "none")

    assert {
        "dual": ("new", {"key": "new"}, False),
        "done": ("new", {"key": "new"}, False),
        "shadow": ("old", {"key": "old"}, False),
    } == read


@FACES
@pytest.mark.parametrize("phase", ["shadow", "dual"])
def test_writes_go_to_both_sides(sides, phases, face, phase):
    cache, old, new = sides
    phases.switch(phase)
    call(cache, face, "set", "key", "value")
    call(cache, face, "set_many", {"a": 1.0, "b": [2]})
    call(cache, face, "add", "added", "value")
    call(cache, face, "get_or_set", "made", lambda: "value")
    everything = {"key": "value", "a": 1.0, "b": [2], "added": "value", "made": "value"}
    assert everything == old.get_many(everything) == new.get_many(everything)

    assert call(cache, face, "touch", "key", 0) is True
    call(cache, face, "delete_many", ["a", "b"])
    assert call(cache, face, "delete", "added") is True
    assert {"made": "value"} == old.get_many(everything) == new.get_many(everything)

    call(cache, face, "clear")
    assert {} == old.get_many(everything) == new.get_many(everything)


@FACES
def test_a_miss_in_dual_copies_the_value_with_the_time_that_it_has_left(
    make_dual, phases, redis_server, face
):
    """The copy on Momento ends when the value in Redis would have ended."""
    cache = make_dual(redis_server.settings())
    caches["old"].set_many({"a": "1", "b": "2", "c": "3"}, 100)
    caches["old"].set("forever", "4", None)
    phases.switch("dual")

    assert "1" == call(cache, face, "get", "a")
    assert {"b": "2", "c": "3"} == call(cache, face, "get_many", ["b", "c", "d"])
    assert "4" == call(cache, face, "get", "forever")
    assert {"a": "1", "b": "2", "c": "3", "forever": "4"} == caches["new"].get_many(
        ["a", "b", "c", "forever"]
    )
    new: Any = caches["new"]
    assert [True] * 3 == [90 < new.ttl(key) <= 100 for key in "abc"]
    assert new.ttl("forever") > 80_000


def test_a_value_whose_time_left_is_unknown_is_served_and_not_copied(make_dual, phases):
    """It could outlive its timeout."""
    cache = make_dual({"BACKEND": "tests.migration.backends.Silent", "LOCATION": "silent"})
    caches["old"].set("key", "value", 60)
    phases.switch("dual")

    assert ("value", None) == (cache.get("key"), caches["new"].get("key"))
    assert 1 == cache.migration.figures.show()["counts"]["not_copied"]


@FACES
def test_old_alone_counts_and_reads_are_right(sides, phases, face):
    """``get`` after ``incr`` never finds the count of before, whatever NEW had."""
    cache, old, new = sides
    phases.switch("dual")
    call(cache, face, "set", "hits", 5)
    new.set("hits", 5)

    assert 6 == call(cache, face, "incr", "hits")
    assert (6, 6, None) == (call(cache, face, "get", "hits"), old.get("hits"), new.get("hits"))
    assert 4 == call(cache, face, "decr", "hits", 2)
    assert {"hits": 4} == call(cache, face, "get_many", ["hits"])
    assert new.get("hits") is None
    with pytest.raises(ValueError, match="none"):
        call(cache, face, "incr", "none")


@FACES
def test_old_alone_decides_add(sides, phases, face):
    """A lock that another process holds in OLD is held, whatever NEW has."""
    cache, old, new = sides
    phases.switch("dual")
    old.set("held", "other")
    new.set("free", "left over")

    assert [False, True] == [call(cache, face, "add", key, "mine") for key in ("held", "free")]
    assert "mine" == call(cache, face, "get", "free")
    phases.switch("done")
    assert call(cache, face, "add", "held", "mine") is True


@FACES
def test_sessions_are_read_from_old_first_and_are_in_new_at_the_end(sides, phases, face):
    cache, _old, new = sides
    key = "django.contrib.sessions.cachexyz"
    phases.switch("dual")
    call(cache, face, "set", key, {"user": 1})
    new.set(key, {"user": "outdated"})
    assert {"user": 1} == call(cache, face, "get", key)

    call(cache, face, "set", key, {"user": 2})
    phases.switch("done")
    assert {"user": 2} == call(cache, face, "get", key)


@FACES
@pytest.mark.parametrize("phase", ["shadow", "dual"])
def test_incr_version_moves_the_value_wherever_it_is(sides, phases, face, phase):
    cache, _old, new = sides
    phases.switch(phase)
    call(cache, face, "set", "key", "value")
    new.set("key", "left over", version=2)

    assert 2 == call(cache, face, "incr_version", "key")
    assert (None, "value") == (call(cache, face, "get", "key"), call(cache, face, "get", "key", version=2))
    with pytest.raises(ValueError, match="none"):
        call(cache, face, "incr_version", "none")
    if phase == "dual":
        new.set("evicted", "value")
        assert 2 == call(cache, face, "incr_version", "evicted")
        assert "value" == call(cache, face, "get", "evicted", version=2)


def test_going_back_finds_all_that_was_written_meanwhile(sides, phases):
    cache, _, _ = sides
    cache.set("a", 1.0)
    phases.switch("dual")
    cache.set("b", 2.0)
    cache.delete("a")
    phases.switch("shadow")

    assert {"b": 2.0} == cache.get_many(["a", "b"])


def test_a_deletion_just_after_done_reaches_processes_that_are_still_in_dual(sides, phases):
    """They have up to a second to see the change, and would copy the old value back to NEW."""
    cache, old, _new = sides
    phases.switch("dual")
    cache.set_many({"a": 1.0, "b": 1.0})
    phases.switch("done")
    cache.get("a")
    cache.delete("a")
    cache.set("b", 2.0)

    assert (None, 2.0) == (old.get("a"), old.get("b"))
    assert (None, 2.0) == (cache.get("a"), cache.get("b"))


@FACES
@pytest.mark.parametrize("back", ["dual", "shadow"])
def test_after_done_old_is_used_again_only_when_it_was_emptied(
    sides, phases, caplog, monkeypatch, face, back
):
    """It has a value that was deleted since, and does not have another. NEW serves alone until then."""
    cache, old, _ = sides
    phases.switch("dual")
    call(cache, face, "set", "deleted", "value")
    phases.switch("done")
    monkeypatch.setattr("django_momento.migration.phases.LINGER", 0.0)
    monkeypatch.setattr("django_momento.migration.leaving.SHORT_PAUSE", 0.0)
    call(cache, face, "get", "deleted")
    call(cache, face, "delete", "deleted")
    call(cache, face, "set", "set", "value")
    phases.switch(back)
    assert [None, "value"] == [call(cache, face, "get", key) for key in ("deleted", "set")]
    assert call(cache, face, "add", "deleted", "again") is True
    assert "OLD (old) is out of date since 'done'. NEW serves alone until OLD was emptied." in caplog.text

    old.clear()
    call(cache, face, "set", "later", "value")
    assert "value" == old.get("later")


def test_a_change_to_done_that_is_taken_back_at_once_changes_nothing(sides, phases):
    """OLD has had all writes until then."""
    cache, old, _ = sides
    phases.switch("dual")
    cache.set("key", "first")
    phases.switch("done")
    cache.set("key", "second")
    phases.switch("shadow")

    assert "second" == cache.get("key") == old.get("key")


def test_keys_pass_through_unchanged_to_aliases_with_their_own_prefix_and_version(make_dual, phases):
    cache = make_dual(
        {"BACKEND": MEMORY, "LOCATION": "prefixed", "KEY_PREFIX": "site", "VERSION": 3},
        {"BACKEND": MEMORY, "LOCATION": "prefixed-new", "KEY_PREFIX": "new", "VERSION": 1},
    )
    cache.set("key", "value")
    cache.set("key", "of 7", version=7)

    assert ("site:3:key", "site", 3) == (cache.make_key("key"), cache.key_prefix, cache.version)
    for phase in ("shadow", "dual", "done"):
        phases.switch(phase)
        assert ("value", "of 7") == (cache.get("key"), cache.get("key", version=7))
    assert "new:1:key" == cache.make_key("key")


def test_methods_and_arguments_that_only_old_has_leave_nothing_outdated_in_new(
    make_dual, phases, redis_server
):
    """django-redis has its own verbs. A site that uses them goes on working until ``done``."""
    cache: Any = make_dual({"BACKEND": "django_redis.cache.RedisCache", "LOCATION": redis_server.url})
    phases.switch("dual")
    cache.set_many({"a": "1", "b": "1", "c": "1", "x:1": "1", "x:2": "1"}, 100)

    assert (False, True) == (cache.set("a", "2", nx=True), cache.set("a", "2", xx=True))
    assert "2" == cache.get("a")
    assert cache.expire("b", 50)
    assert 40 < cache.ttl("b") <= 50
    assert cache.get("b") == "1"
    new: Any = caches["new"]
    assert new.ttl("b") <= 50
    assert cache.persist("c")
    assert cache.ttl("c") is None
    assert 2 == cache.delete_pattern("x:*")
    assert {} == cache.get_many(["x:1", "x:2"])
    with cache.lock("lock", timeout=5):
        pass
    with pytest.raises(AttributeError, match="no_such_method"):
        cache.no_such_method()


def test_both_faces_meet_in_one_process(sides, phases):
    cache, _, _ = sides
    phases.switch("dual")

    async def use() -> Any:
        await cache.aset("key", "value")
        assert "made" == await cache.aget_or_set("other", amake)
        return await asyncio.gather(cache.aget("key"), cache.aget("other"))

    async def amake() -> str:
        return "made"

    assert ["value", "made"] == asyncio.run(use())
    assert "value" == cache.get("key")
