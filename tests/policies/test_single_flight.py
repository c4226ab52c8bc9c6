"""``get_or_set`` runs a default once for all threads, tasks and event loops of a process."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import pytest
from django.core.cache import caches

from django_momento.cache import MomentoCache
from django_momento.events import events
from django_momento.local import LocalServer
from django_momento.policies.flights import flights
from tests.conftest import MakeCache
from tests.kit.at_once import at_once
from tests.kit.faces import EACH_FACE, call
from tests.kit.ports import unserved
from tests.kit.tables import table
from tests.kit.waiting import aeventually, eventually

# Seconds. Long enough for a busy machine.
LONG = 60.0


pytestmark = pytest.mark.usefixtures("no_flight_is_left")


class Gate:
    """A default that counts its runs, and waits until as many callers as expected wait for it."""

    def __init__(self, callers: int, alias: str = "default") -> None:
        self.runs: list[int] = []
        self._callers = callers
        self._alias = alias
        self.value: Any = {"list": [1]}

    def __call__(self) -> Any:
        self.runs.append(threading.get_ident())
        eventually(lambda: joined(self._alias) >= self._callers - 1)
        return self.value

    async def awaited(self) -> Any:
        self.runs.append(threading.get_ident())
        await aeventually(lambda: joined(self._alias) >= self._callers - 1)
        return self.value


def joined(alias: str = "default") -> int:
    return events.counts(alias).get("joined", 0)


async def gather(count: int, act: Callable[[], Any]) -> list[Any]:
    return await asyncio.gather(*(act() for _ in range(count)), return_exceptions=True)


def test_fifty_threads_run_a_default_once(make_cache: MakeCache, momento: LocalServer) -> None:
    """They read once each, and only the leader stores."""
    cache, default = make_cache(), Gate(50)

    results = at_once(50, lambda: cache.get_or_set("key", default, wait=LONG))

    assert results == [{"list": [1]}] * 50
    assert len(default.runs) == 1
    assert momento.calls == {"Get": 50, "SetIfNotExists": 1}
    assert events.counts("default") == {"joined": 49}


def test_fifty_tasks_run_a_default_once(make_cache: MakeCache, momento: LocalServer) -> None:
    cache, default = make_cache(), Gate(50)

    results = asyncio.run(gather(50, lambda: cache.aget_or_set("key", default.awaited, wait=LONG)))

    assert results == [{"list": [1]}] * 50
    assert len(default.runs) == 1
    assert momento.calls["SetIfNotExists"] == 1


def test_threads_and_loops_of_both_faces_share_one_flight(make_cache: MakeCache) -> None:
    """Whichever leads."""
    cache, default = make_cache(), Gate(12)
    sync, loops = iter(range(6)), iter(range(6))

    def act() -> Any:
        if next(sync, None) is not None:
            return cache.get_or_set("key", default, wait=LONG)
        next(loops)
        return asyncio.run(cache.aget_or_set("key", default.awaited, wait=LONG))

    assert at_once(12, act) == [{"list": [1]}] * 12
    assert len(default.runs) == 1


def test_other_keys_versions_and_clients_have_flights_of_their_own(
    make_cache: MakeCache, momento: LocalServer
) -> None:
    """While one default runs, those of other keys run too."""
    with LocalServer(caches=["tests"]) as another_server:
        elsewhere = make_cache(OPTIONS={"ENDPOINT": another_server.address})
        cache = make_cache()
        inner = []

        def default() -> str:
            inner.append(cache.get_or_set("b", lambda: "another key"))
            inner.append(cache.get_or_set("a", lambda: "another version", version=2))
            inner.append(elsewhere.get_or_set("a", lambda: "another client"))
            return "outer"

        assert cache.get_or_set("a", default) == "outer"
        assert inner == ["another key", "another version", "another client"]


def test_every_caller_gets_a_copy_of_its_own(make_cache: MakeCache) -> None:
    """So that no caller changes the value of another."""
    cache, default = make_cache(), Gate(8)

    results = at_once(8, lambda: cache.get_or_set("key", default, wait=LONG))
    for number, result in enumerate(results):
        result["list"].append(number)

    assert [result["list"] for result in results] == [[1, number] for number in range(8)]


@table("value", [None, 0, 7, True, "", 2**70], afresh=True)
def test_waiters_get_the_value_with_its_type(make_cache: MakeCache, value: Any) -> None:
    cache = make_cache()
    default = Gate(4)
    default.value = value

    results = at_once(4, lambda: cache.get_or_set("key", default, wait=LONG))

    assert results == [value] * 4
    assert {type(result) for result in results} == {type(value)}
    assert len(default.runs) == 1


@EACH_FACE
def test_the_exception_of_the_leader_goes_to_the_leader_alone(make_cache: MakeCache, face: str) -> None:
    """The next caller runs the default, and the others go on waiting."""
    cache, runs = make_cache(), []

    def default() -> str:
        runs.append(1)
        if len(runs) < 3:
            eventually(lambda: joined() >= 9)
            raise LookupError(len(runs))
        return "third time lucky"

    def act() -> Any:
        try:
            return call(cache, face, "get_or_set", "key", default, wait=LONG)
        except LookupError as error:
            return error.args

    results = at_once(10, act)

    assert sorted(map(str, results)) == sorted([*("third time lucky",) * 8, "(1,)", "(2,)"])
    assert len(runs) == 3


@table("kind", [KeyboardInterrupt, SystemExit, GeneratorExit, TimeoutError, StopIteration], afresh=True)
def test_a_leader_that_is_interrupted_hands_over(make_cache: MakeCache, kind: type[BaseException]) -> None:
    """Whatever interrupts it, which its own caller gets."""
    cache, runs = make_cache(), []

    def default() -> str:
        runs.append(1)
        if len(runs) == 1:
            eventually(lambda: joined() >= 3)
            raise kind("stop")
        return "value"

    def act() -> Any:
        try:
            return cache.get_or_set("key", default, wait=LONG)
        except kind as error:
            return type(error)

    assert sorted(at_once(4, act), key=str) == sorted([kind, "value", "value", "value"], key=str)
    assert len(runs) == 2


def test_a_task_that_is_cancelled_hands_over(make_cache: MakeCache) -> None:
    """A leader as well as a waiter, and the other tasks get the value."""
    cache, runs = make_cache(), []

    async def default() -> str:
        runs.append(1)
        if len(runs) == 1:
            await asyncio.sleep(LONG)
        return "value"

    async def main() -> list[Any]:
        tasks = [asyncio.create_task(cache.aget_or_set("key", default, wait=LONG)) for _ in range(5)]
        await aeventually(lambda: joined() == 4)
        tasks[1].cancel()
        await asyncio.wait([tasks[1]])
        tasks[0].cancel()
        return await asyncio.gather(*tasks, return_exceptions=True)

    results = asyncio.run(main())

    assert [type(result) for result in results[:2]] == [asyncio.CancelledError] * 2
    assert results[2:] == ["value"] * 3
    assert len(runs) == 2


def test_a_waiter_gives_up_after_its_time_and_computes(make_cache: MakeCache) -> None:
    """It may hold what the leader waits for, such as a lock of the database."""
    cache, release = make_cache(), threading.Event()

    def slow() -> str:
        release.wait(LONG)
        return "slow"

    leader = threading.Thread(target=cache.get_or_set, args=("key", slow))
    leader.start()
    try:
        eventually(lambda: len(flights) == 1)
        assert cache.get_or_set("key", lambda: "mine", wait=0.01) == "mine"
        assert cache.get_or_set("other", lambda: "at once", wait=0) == "at once"
        assert cache.get("key") == "mine"
    finally:
        release.set()
        leader.join()
    assert cache.get("key") == "mine"


@EACH_FACE
def test_single_flight_can_be_turned_off(make_cache: MakeCache, face: str) -> None:
    """Then every caller runs the default, and the first value stands."""
    cache = make_cache(OPTIONS={"SINGLE_FLIGHT": False})
    barrier, numbers = threading.Barrier(5), iter(range(5))

    def default() -> int:
        barrier.wait(LONG)
        return next(numbers)

    results = at_once(5, lambda: call(cache, face, "get_or_set", "key", default))

    assert list(numbers) == []
    assert len(set(results)) == 1


def test_a_value_that_waiters_cannot_be_given_is_read_or_computed(make_cache: MakeCache) -> None:
    """A subclass may store what the serializer alone cannot."""

    class Functions(MomentoCache):
        def add(self, key: Any, value: Any, *args: Any, **kwargs: Any) -> bool:
            return super().add(key, value.__doc__, *args, **kwargs)

    make_cache()
    cache = Functions("tests", {"OPTIONS": dict(caches.settings["default"]["OPTIONS"])})
    gate = Gate(3, cache.options.alias)

    def default() -> Any:
        gate()

        def local() -> None:
            """Documented"""

        return local

    results = at_once(3, lambda: cache.get_or_set("key", default, wait=LONG))

    assert sorted(isinstance(result, str) for result in results) == [False, True, True]
    assert len(gate.runs) == 1


@table("is_loud", [True, False], afresh=True)
def test_a_value_that_could_not_be_stored_is_computed_once(
    momento: LocalServer, settings: Any, is_loud: bool
) -> None:
    """The waiters get it. If the cache is loud, the leader gets the error."""
    with LocalServer(caches=["tests"]) as server, ExitStack() as outage:
        settings.CACHES = {
            "default": {
                "BACKEND": "django_momento.cache.MomentoCache",
                "LOCATION": "tests",
                "OPTIONS": {
                    "CREDENTIALS": "local",
                    "ENDPOINT": server.address,
                    "IGNORE_EXCEPTIONS": not is_loud,
                },
            }
        }
        cache = caches["default"]
        assert cache.get("key") is None
        assert isinstance(cache, MomentoCache)
        gate = Gate(5)

        def default() -> Any:
            value = gate()
            server.stop()
            outage.enter_context(unserved(server.port))
            return value

        def act() -> Any:
            try:
                return cache.get_or_set("key", default, wait=LONG)
            except Exception as error:  # noqa: BLE001 - the test looks at it
                return type(error).__name__

        results = at_once(5, act)

    values = [result for result in results if isinstance(result, dict)]
    assert len(values) == 5 - is_loud, results
    assert len(gate.runs) == 1


@table("name", ["stale", "lease", "wait"], afresh=True)
@table(
    ("value", "error"),
    [(-1, ValueError), (float("nan"), ValueError), ("5", TypeError), (None, TypeError), ([], TypeError)],
    afresh=True,
)
@EACH_FACE
def test_a_wrong_duration_is_refused_by_its_name(
    make_cache: MakeCache, face: str, name: str, value: Any, error: type[Exception]
) -> None:
    cache = make_cache()

    with pytest.raises(error, match=f"^{name} is "):
        call(cache, face, "get_or_set", "key", "value", **{name: value})

    assert cache.get("key") is None
