"""Rate limits: exact counts, one call each, windows that stand still, and outages."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from fractions import Fraction
from typing import Any, NamedTuple

import pytest

from django_momento.cache import MomentoCache
from django_momento.client import breaker
from django_momento.client.registry import clients
from django_momento.events import CallEvent, events
from django_momento.exceptions import (
    CircuitOpen,
    CredentialError,
    InvalidArgument,
    LimitExceeded,
    MomentoCacheError,
    ServerUnavailable,
)
from django_momento.local import LocalServer
from django_momento.monitoring import stats
from django_momento.policies import limits
from django_momento.policies.limits import Limit, Windows
from tests.conftest import CACHE_NAME, MakeCache, local_options
from tests.kit import circuits
from tests.kit.at_once import at_once
from tests.kit.clock import Clock
from tests.kit.faces import EACH_FACE, FACES, call
from tests.kit.tables import table

no_probes = circuits.no_probes


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock of the server and of this process."""
    clock = Clock()
    monkeypatch.setattr(limits, "monotonic", clock.time)
    return clock


@pytest.fixture
def timed(clock: Clock) -> Iterator[MomentoCache]:
    with LocalServer(caches=[CACHE_NAME], clock=clock.milliseconds) as server:
        yield MomentoCache(CACHE_NAME, {"OPTIONS": local_options(server)})


@EACH_FACE
def test_a_hit_is_allowed_until_the_limit_is_used_up(
    make_cache: MakeCache, face: str, momento: LocalServer
) -> None:
    """By one call each, and denied hits count too."""
    cache = make_cache()
    outcomes = [call(cache, face, "rate_limit", f"{face}:visits", 2, 60) for _ in range(4)]

    assert [(True, 1, 1), (True, 2, 0), (False, 3, 0), (False, 4, 0)] == [it[:3] for it in outcomes]
    assert [True, True, False, False] == [bool(it) for it in outcomes]
    assert [0.0, 0.0] == [it.retry_after for it in outcomes[:2]]
    assert all(0 < it.retry_after <= 60 for it in outcomes[2:])
    assert all(0 < it.reset_after <= 60 and it.is_counted for it in outcomes)
    assert {"DictionaryIncrement": 4} == momento.calls


def test_of_64_threads_exactly_as_many_as_the_limit_are_allowed(
    make_cache: MakeCache, momento: LocalServer
) -> None:
    """One call each."""
    cache = make_cache()
    outcomes = at_once(64, lambda: cache.rate_limit("threads", 10, 60))

    assert sum(outcome.allowed for outcome in outcomes) == 10
    assert sorted(outcome.count for outcome in outcomes) == [*range(1, 65)]
    assert {"DictionaryIncrement": 64} == momento.calls
    assert stats("default")["events"] == {}


def test_of_64_tasks_exactly_as_many_as_the_limit_are_allowed(make_cache: MakeCache) -> None:
    cache = make_cache()

    async def hit() -> list[Limit]:
        return await asyncio.gather(*(cache.arate_limit("tasks", 10, 60) for _ in range(64)))

    assert sum(outcome.allowed for outcome in asyncio.run(hit())) == 10


def test_a_window_begins_with_its_first_hit_and_no_later_one_prolongs_it(
    timed: MomentoCache, clock: Clock
) -> None:
    """The seconds until it ends are exact in the process that had the first hit."""
    assert timed.rate_limit("key", 1, 60)
    left = []
    for _ in range(5):
        clock.advance(11)
        left.append(timed.rate_limit("key", 1, 60).retry_after)
    assert [49, 38, 27, 16, 5] == left
    clock.advance(4)
    assert not timed.rate_limit("key", 1, 60)
    clock.advance(1)
    assert Limit(True, 1, 0, 0.0) == timed.rate_limit("key", 1, 60)


def test_another_process_is_told_an_upper_bound_of_the_time_left(timed: MomentoCache, clock: Clock) -> None:
    """Who waits that long finds a new window."""
    timed.rate_limit("key", 1, 60)
    clock.advance(20)
    limits.windows.forget()
    assert timed.rate_limit("key", 1, 60).retry_after == 60
    clock.advance(20)
    assert timed.rate_limit("key", 1, 60).retry_after == 40
    assert timed.ttl("key") == 20
    clock.advance(20)
    assert timed.rate_limit("key", 1, 60).reset_after == 60


def test_a_hit_may_cost_more_than_one_or_only_look(timed: MomentoCache, clock: Clock) -> None:
    """Looking opens no window, and a hit that is denied leaves no part of its cost over."""
    look = lambda: timed.rate_limit("key", 10, timedelta(minutes=1), cost=0)  # noqa: E731 - one expression that the test repeats
    assert Limit(True, 0, 10, 0.0) == look()
    assert look().reset_after == 0
    assert timed.ttl("key") is None
    assert Limit(True, 8, 2, 0.0) == timed.rate_limit("key", 10, 60, cost=8)
    clock.advance(10)
    assert Limit(True, 8, 2, 0.0) == look()
    assert look().reset_after == 50
    assert Limit(False, 13, 0, 50.0) == timed.rate_limit("key", 10, 60, cost=5)
    assert Limit(False, 13, 0, 50.0) == look()
    assert Limit(False, 24, 0, 50.0) == timed.rate_limit("key", 10, 60, cost=11)


def test_delete_ends_a_window_and_versions_have_their_own(make_cache: MakeCache) -> None:
    cache = make_cache()
    assert cache.rate_limit("key", 1, 60)
    assert not cache.rate_limit("key", 1, 60)
    assert cache.rate_limit("key", 1, 60, version=2)
    assert cache.delete("key")
    assert cache.rate_limit("key", 1, 60)


def test_a_limit_of_zero_denies_every_hit(make_cache: MakeCache) -> None:
    assert Limit(False, 1, 0, 60.0)[:3] == make_cache().rate_limit("key", 0, 60)[:3]


def test_jitter_does_not_shorten_a_window(make_cache: MakeCache) -> None:
    cache = make_cache(OPTIONS={"TTL_JITTER": 1})
    for number in range(5):
        cache.rate_limit(f"key{number}", 1, 5000)
        assert cache.ttl(f"key{number}") in range(4900, 5001)


BAD_ARGUMENTS: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"limit": -1}, ValueError, "limit is -1"),
    ({"limit": 1.0}, TypeError, r"limit is 1\.0"),
    ({"limit": True}, TypeError, "limit is True"),
    ({"limit": None}, TypeError, "limit is None"),
    ({"limit": "5"}, TypeError, "limit is '5'"),
    ({"limit": 2**63}, ValueError, "limit is 9223372036854775808"),
    ({"cost": -1}, ValueError, "cost is -1"),
    ({"cost": 0.5}, TypeError, r"cost is 0\.5"),
    ({"cost": 10**12 + 1}, ValueError, "cost is"),
    ({"window": 0}, ValueError, "window is 0"),
    ({"window": -1}, ValueError, "window is -1"),
    ({"window": None}, TypeError, "window is None"),
    ({"window": "60"}, TypeError, "window is '60'"),
    ({"window": float("nan")}, ValueError, "window is nan"),
    ({"window": float("inf")}, ValueError, "window is inf"),
    ({"window": 86401}, ValueError, "MAX_TTL, which is 86400 seconds"),
    ({"window": timedelta(days=2)}, ValueError, "MAX_TTL"),
    ({"on_outage": "ignore"}, ValueError, "allow, deny or raise"),
    ({"on_outage": None}, ValueError, "allow, deny or raise"),
]


@FACES
@table(("arguments", "error", "message"), BAD_ARGUMENTS)
def test_a_wrong_argument_is_loud(
    make_cache: MakeCache,
    face: str,
    momento: LocalServer,
    arguments: dict[str, Any],
    error: type[Exception],
    message: str,
) -> None:
    """Also in a cache that fails open, and no call is sent."""
    cache = make_cache(OPTIONS={"IGNORE_EXCEPTIONS": True})
    given = {"limit": 5, "window": 60, **arguments}
    with pytest.raises(error, match=message):
        call(cache, face, "rate_limit", "key", given.pop("limit"), given.pop("window"), **given)
    assert {} == momento.calls


@table("window", [0.001, 1.5, Fraction(3, 2), timedelta(seconds=1), 86400])
def test_a_window_is_any_number_of_seconds(make_cache: MakeCache, window: Any) -> None:
    assert make_cache().rate_limit(f"key:{window}", 1, window)


class Outage(NamedTuple):
    """A way to be away: a server's fault or OPTIONS, and the error of a call."""

    error: type[MomentoCacheError]
    fault: str = ""
    options: dict[str, Any] = {}
    opens_circuit: bool = False


OUTAGES = {
    "gone": Outage(ServerUnavailable, options={"ENDPOINT": "127.0.0.1:9"}),
    "throttled": Outage(LimitExceeded, "resource-exhausted"),
    "circuit open": Outage(CircuitOpen, options={"ENDPOINT": "127.0.0.1:9"}, opens_circuit=True),
    "no key": Outage(CredentialError, options={"CREDENTIALS": "env", "ENDPOINT": None}),
}


@EACH_FACE
@table("is_open", [False, True], afresh=True)
@table("outage", OUTAGES.values(), ids=OUTAGES.keys(), afresh=True)
def test_on_outage_decides_about_a_hit_that_was_not_counted(
    momento: LocalServer,
    monkeypatch: pytest.MonkeyPatch,
    no_probes: None,
    settings: Any,
    outage: Outage,
    is_open: bool,
    face: str,
) -> None:
    """Whether or not the cache fails open. A decision is counted as an ignored error."""
    monkeypatch.delenv("MOMENTO_API_KEY", raising=False)
    given = {**local_options(momento), "IGNORE_EXCEPTIONS": is_open, **outage.options}
    given = {name: value for name, value in given.items() if value is not None}
    cache: Any = MomentoCache(CACHE_NAME, {"OPTIONS": given})
    settings.CACHES = {
        "default": {
            "BACKEND": "django_momento.cache.MomentoCache",
            "LOCATION": CACHE_NAME,
            "OPTIONS": given,
        }
    }
    if outage.opens_circuit:
        for _ in range(breaker.FAILURE_THRESHOLD):
            cache.rate_limit("key", 5, 60)
        events.forget()
    momento.fail(outage.fault)
    try:
        with pytest.raises(outage.error):
            call(cache, face, "rate_limit", "key", 5, 60, on_outage="raise")
        assert {} == events.counts("default")
        allowed = call(cache, face, "rate_limit", "key", 5, 60)
        assert allowed == call(cache, face, "rate_limit", "key", 5, 60, on_outage="allow")
        denied = call(cache, face, "rate_limit", "key", 5, 60, on_outage="deny")
        assert {"ignored_exceptions": 3} == events.counts("default")
    finally:
        momento.fail()
        clients.close()

    assert (Limit(True, 0, 5, 0.0), False) == (allowed, allowed.is_counted)
    assert (False, 0, 0) == denied[:3]
    assert not denied.is_counted
    assert 0 < denied.retry_after <= breaker.MAX_BACKOFF


@EACH_FACE
@table("on_outage", ["allow", "deny", "raise"], afresh=True)
def test_a_mistake_is_loud_whatever_on_outage_says(
    make_cache: MakeCache, momento: LocalServer, on_outage: str, face: str
) -> None:
    """Every later hit would meet it as well."""
    cache = make_cache(OPTIONS={"IGNORE_EXCEPTIONS": True})
    cache.set("value", 1)
    with pytest.raises(TypeError, match="holds a value that is no rate limit"):
        call(cache, face, "rate_limit", "value", 5, 60, on_outage=on_outage)
    with pytest.raises(TypeError, match="holds a value that is no rate limit"):
        call(cache, face, "rate_limit", "value", 5, 60, cost=0, on_outage=on_outage)
    momento.fail("invalid-argument")
    try:
        with pytest.raises(InvalidArgument):
            call(cache, face, "rate_limit", "key", 5, 60, on_outage=on_outage)
    finally:
        momento.fail()


@pytest.fixture
def windows(clock: Clock) -> Windows:
    return Windows()


def test_responses_that_overtake_each_other_move_no_end(windows: Windows, clock: Clock) -> None:
    """A lower count of an earlier call is of the same window."""
    sent_at = clock.now
    clock.advance(1)
    assert windows.record("key", 3, 60, sent_at) == 60
    clock.advance(1)
    assert windows.record("key", 1, 60, sent_at) == 59
    clock.advance(1)
    assert windows.record("key", 2, 60, sent_at) == 58
    assert windows.record("key", 4, 60, clock.now) == 58


def test_a_lower_count_of_a_later_call_is_of_another_window(windows: Windows, clock: Clock) -> None:
    """As after a delete, an eviction, or a window that began before this process saw it."""
    windows.record("key", 30, 60, clock.now)
    clock.advance(10)
    assert windows.record("key", 2, 60, clock.now) == 60


def test_a_window_that_begins_after_delete_has_its_whole_time(timed: MomentoCache, clock: Clock) -> None:
    """Also if its first hit has the count of the last hit before."""
    timed.rate_limit("key", 1, 60)
    clock.advance(50)
    timed.delete("key")
    timed.rate_limit("key", 1, 60)
    clock.advance(20)
    denied = timed.rate_limit("key", 1, 60)
    assert (False, 40) == (denied.allowed, denied.retry_after)


def test_as_many_windows_as_are_bounded_are_remembered(
    windows: Windows, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one that was hit longest ago goes first."""
    monkeypatch.setattr(limits, "MAX_WINDOWS", 2)
    for key in ("a", "b", "a", "c"):
        windows.record(key, 1, 60, clock.now)
    clock.advance(10)
    assert {"a": 50, "b": 60, "c": 50} == {key: windows.find(key, 60) for key in ("a", "b", "c")}


def test_the_event_of_a_hit_counts_its_operation(
    make_cache: MakeCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under the method's name, and the group of its key."""
    cache = make_cache()
    seen: list[CallEvent] = []
    monkeypatch.setattr("django_momento.execution.observers", [seen.append])
    monkeypatch.setattr("django_momento.items.observers", [seen.append])
    monkeypatch.setattr("django_momento.policies.observing.observers", [seen.append])
    cache.rate_limit("login:ada", 1, 60)

    (event,) = seen
    assert ("rate_limit", "login", 1, 1) == (event.verb, event.key_group, event.requests, event.operations)


@table(
    "options",
    [
        {"CLEAR": "prefix"},
        {"NEAR_SECONDS": 60},
        {"STALE_IF_ERROR": 60},
        {"CLEAR": "prefix", "NEAR_SECONDS": 60, "STALE_IF_ERROR": 60, "TTL_JITTER": 1, "SERIALIZER": "json"},
    ],
)
def test_limits_locks_and_jobs_are_the_same_beside_other_policies(
    make_cache: MakeCache, options: dict[str, Any]
) -> None:
    """No memory of the process answers for them."""
    cache = make_cache(KEY_PREFIX="+".join(options), OPTIONS=options)
    assert [True, True, False] == [cache.rate_limit("key", 2, 60).allowed for _ in range(3)]
    assert 3 == cache.rate_limit("key", 2, 60, cost=0).count
    assert cache.ttl("key") in range(50, 61)
    with cache.lock("key", 60) as lock:
        assert lock.owned()
        assert not cache.lock("key", 60).acquire(blocking=False)
    assert cache.lock("key", 60).acquire(blocking=False)
    assert [True, False] == [cache.run_once("job", 60) for _ in range(2)]
    assert cache.delete("key")
    assert cache.rate_limit("key", 1, 60)
