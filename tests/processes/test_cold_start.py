"""The first calls of a cold process, which need a key that takes its time."""

from __future__ import annotations

import asyncio
from threading import Event, Thread

import pytest

from django_momento.conf.options import ConnectionOptions
from django_momento.credentials import credential
from django_momento.exceptions import CredentialError
from tests.conftest import MakeCache
from tests.kit.waiting import HANG_GUARD

TICKS = 10


class SlowSource:
    """A source of API keys that answers when it is told to, and counts how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0
        self.go_on = Event()
        self._fetch = credential.fetch

    def __call__(self, options: ConnectionOptions, refresh: bool = False) -> credential.Credential:
        self.asked += 1
        assert self.go_on.wait(HANG_GUARD)
        return self._fetch(options)


@pytest.fixture
def source(monkeypatch: pytest.MonkeyPatch) -> SlowSource:
    """A slow source, in the place of the configured one."""
    slow = SlowSource()
    monkeypatch.setattr(credential, "fetch", slow)
    return slow


async def tick(source: SlowSource) -> None:
    """Let the source answer when the event loop has gone round a few times, which it must while it waits."""
    for _ in range(TICKS):
        await asyncio.sleep(0.01)
    source.go_on.set()


def test_the_loop_goes_on_while_the_key_is_fetched(source: SlowSource, make_cache: MakeCache) -> None:
    """A cold process serves its other requests meanwhile."""
    cache = make_cache()

    async def main() -> None:
        value, _ = await asyncio.gather(cache.aget("key", "default"), tick(source))
        assert value == "default"

    asyncio.run(main())
    assert source.asked == 1


def test_two_hundred_tasks_share_one_fetch(source: SlowSource, make_cache: MakeCache) -> None:
    """However many tasks are first: one key is fetched, and one client made, for all of them."""
    cache = make_cache()

    async def main() -> None:
        answers = await asyncio.gather(*(cache.aget("key", number) for number in range(200)), tick(source))
        assert answers == [*range(200), None]

    asyncio.run(main())
    assert source.asked == 1


def test_a_task_that_gives_up_leaves_the_fetch_to_the_others(
    source: SlowSource, make_cache: MakeCache
) -> None:
    """Cancelling the task that was first does not cancel what all others wait for, in its loop or another."""
    cache = make_cache()

    async def gives_up() -> None:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(cache.aget("key"), 0.01)

    async def main() -> None:
        first = asyncio.ensure_future(cache.aget("key"))
        await asyncio.sleep(0)
        others = [asyncio.ensure_future(cache.aget("key", number)) for number in range(10)]
        await asyncio.sleep(0)
        first.cancel()
        await tick(source)
        assert await asyncio.gather(*others) == [*range(10)]

    asyncio.run(gives_up())
    asyncio.run(main())
    assert source.asked == 1


def test_a_process_without_threads_to_spare_can_try_again(
    make_cache: MakeCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first call fails if no thread can be had for it; nobody waits for ever, and the next one works."""
    cache = make_cache()

    def refuse(thread: Thread) -> None:
        raise RuntimeError("can't start new thread")

    async def main() -> None:
        answers = await asyncio.gather(*(cache.aget("key") for _ in range(10)), return_exceptions=True)
        assert {type(answer) for answer in answers} == {CredentialError}
        assert {"can't start new thread" in str(answer) for answer in answers} == {True}

    with monkeypatch.context() as patch:
        patch.setattr(Thread, "start", refuse)
        asyncio.run(main())
    assert asyncio.run(cache.aget("key", "default")) == "default"
