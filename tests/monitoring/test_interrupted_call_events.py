"""The events of calls that are cancelled or time out: equal to the count at the server."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from django_momento.cache import MomentoCache
from django_momento.client.registry import clients
from django_momento.events import CallEvent
from django_momento.exceptions import MomentoCacheError
from django_momento.local import LocalServer
from tests.conftest import MakeCache
from tests.kit import circuits
from tests.kit.call_counts import assert_equal
from tests.kit.faces import call
from tests.kit.holding import holding
from tests.kit.tables import table
from tests.kit.waiting import aeventually, eventually

no_probes = circuits.no_probes

# A value of several operations.
BIG = b"x" * (3 * 1024)


def test_cancelled_calls_equal_the_count_at_the_server(
    make_cache: MakeCache, momento: LocalServer, seen: list[CallEvent]
) -> None:
    """Each has an event, and a key that other tasks want is paid for by one of them."""
    cache = make_cache()
    cache.set("k", BIG)
    seen.clear()
    momento.reset_calls()

    async def tasks() -> None:
        with holding() as held:
            waiting = [asyncio.ensure_future(cache.aget("k")) for _ in range(5)]
            waiting += [asyncio.ensure_future(cache.aget(f"m:{number}")) for number in range(5)]
            alone = asyncio.ensure_future(cache.aset("s", BIG))
            await aeventually(lambda: held.waiting == 2)
            for task in (waiting[0], waiting[1], waiting[-1], alone):
                task.cancel()
            await aeventually(lambda: held.waiting == 1)
            held.release()
        outcomes = await asyncio.gather(*waiting, alone, return_exceptions=True)
        assert sum(isinstance(outcome, asyncio.CancelledError) for outcome in outcomes) == 4

    asyncio.run(tasks())
    assert_equal(seen, momento)
    assert Counter(event.error for event in seen) == {None: 7 + 0, "CancelledError": 4}
    assert {event.operations for event in seen if event.error} == {0}


def test_a_cancelled_batch_of_one_request_counts_that_request(
    make_cache: MakeCache, momento: LocalServer, seen: list[CallEvent]
) -> None:
    """Though no task is left to pay for it."""
    cache = make_cache()
    cache.get("warm")
    seen.clear()
    momento.reset_calls()

    async def tasks() -> None:
        with holding() as held:
            waiting = [asyncio.ensure_future(cache.aget(f"m:{number}")) for number in range(3)]
            await aeventually(lambda: held.waiting)
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
            await aeventually(lambda: not held.waiting)

    asyncio.run(tasks())
    assert len(seen) == 3
    assert_equal(seen, momento)


def is_connected(cache: MomentoCache, face: str) -> bool:
    """Return whether calls on both connections get a response in time. If not, begin anew."""
    try:
        call(cache, face, "get", "warm")
        call(cache, face, "get_many", ["warm"])
    except MomentoCacheError:
        clients.close()  # Without a probe its circuit would stay open.
        return False
    return True


@table("face", ["sync", "async"], afresh=True)
def test_calls_that_time_out_equal_the_count_at_the_server(
    face: str, make_cache: MakeCache, momento: LocalServer, no_probes: None, seen: list[CallEvent]
) -> None:
    """Nothing is charged for a call whose caller has gone."""
    cache = make_cache(OPTIONS={"CLIENT_TIMEOUT": 0.3})
    eventually(lambda: is_connected(cache, face))
    seen.clear()
    momento.reset_calls()
    with holding() as held:
        for verb, arguments in (("get", ("k",)), ("set", ("k", BIG)), ("get_many", (["a", "b"],))):
            with pytest.raises(MomentoCacheError):
                call(cache, face, verb, *arguments)
        eventually(lambda: not held.waiting)

    assert len(seen) == 3
    assert all(event.error for event in seen)
    assert sum(event.operations for event in seen) == momento.operations.total()
