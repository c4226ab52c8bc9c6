"""One client for any number of event loops, in any number of threads, one after another or at once."""

from __future__ import annotations

import asyncio
import json
import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from asgiref.sync import async_to_sync, sync_to_async

from django_momento.cache import MomentoCache
from django_momento.client.registry import clients
from tests.conftest import MakeCache
from tests.kit.processes import run


async def use(cache: MomentoCache, name: str) -> list[object]:
    """Use verbs of every kind: one call, several, a stream, several at once."""
    await cache.aset(name, 1)
    assert await cache.aset_many({f"{name}-a": "a", f"{name}-b": "b"}) == []
    calls = cache.aget(name), cache.aget_many([f"{name}-a", f"{name}-b"]), cache.ahas_key(name)
    answers: list[object] = list(await asyncio.gather(*calls))
    answers.append(await cache.aincr(name, 2))
    await cache.adelete_many([f"{name}-a", f"{name}-b"])
    answers.append(await cache.aget(f"{name}-a"))
    return [answer if not isinstance(answer, dict) else sorted(answer.values()) for answer in answers]


def connected_clients() -> int:
    """How many clients this process has."""
    return sum(client.credential is not None for client in clients)


RIGHT = [1, ["a", "b"], True, 3, None]


def test_two_threads_with_a_loop_each_share_a_client(make_cache: MakeCache) -> None:
    """Both loops run at the same time, over the same client."""
    cache = make_cache()
    both = Barrier(2)

    def in_a_loop(thread: int) -> list[list[object]]:
        async def main() -> list[list[object]]:
            both.wait()
            return [await use(cache, f"{thread}-{number}") for number in range(50)]

        return asyncio.run(main())

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(in_a_loop, range(2))) == [[RIGHT] * 50] * 2
    assert connected_clients() == 1


def test_a_loop_per_call_works_like_one_loop(make_cache: MakeCache) -> None:
    """asyncio.run() two hundred times: the client outlives every loop."""
    cache = make_cache()
    assert [asyncio.run(use(cache, f"key-{number}")) for number in range(200)] == [RIGHT] * 200
    assert connected_clients() == 1


def test_a_loop_within_a_loop_works(make_cache: MakeCache) -> None:
    """Async code that calls sync code that calls async code: each has its loop, all have one client."""
    cache = make_cache()

    def sync_code(name: str) -> list[object]:
        return async_to_sync(use)(cache, name)

    async def async_code() -> list[list[object]]:
        inner = await sync_to_async(sync_code)("inner")
        in_a_thread = await asyncio.to_thread(sync_code, "thread")
        return [inner, in_a_thread, await use(cache, "outer")]

    assert asyncio.run(async_code()) == [RIGHT] * 3
    assert async_to_sync(async_code)() == [RIGHT] * 3
    assert connected_clients() == 1


def test_sync_and_async_calls_of_one_thread_mix(make_cache: MakeCache) -> None:
    """A sync verb on a thread whose loop has calls in flight works, if not politely."""
    cache = make_cache()

    async def main() -> None:
        pending = [asyncio.ensure_future(cache.aset(f"key-{number}", number)) for number in range(20)]
        await asyncio.sleep(0)
        cache.set("sync", "value")
        await asyncio.gather(*pending)
        assert await cache.aget("sync") == "value"
        assert cache.get_many(f"key-{number}" for number in range(20)) == {
            f"key-{number}": number for number in range(20)
        }

    asyncio.run(main())


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux's /proc")
def test_five_hundred_loops_leave_nothing_behind(address: str) -> None:
    """File descriptors and threads are as many after 500 event loops as after 100; memory hardly grows."""
    cold, warm, *later = json.loads(run("event_loops", address=address).stdout)
    assert {(seen["descriptors"], seen["python_threads"]) for seen in [warm, *later]} == {
        (warm["descriptors"], warm["python_threads"])
    }
    # gRPC's own threads come and go, a few at a time.
    assert max(seen["threads"] for seen in later) < cold["threads"] + 30
    assert later[-1]["kilobytes"] < warm["kilobytes"] + 16 * 1024
