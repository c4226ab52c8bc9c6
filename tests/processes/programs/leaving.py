"""A program that uses the cache and then ends, in one of several ways."""

import asyncio
import atexit
import sys
import threading

import django

django.setup()

from django.core.cache import cache

# Seconds.
HANG_GUARD = 60


def use() -> None:
    cache.set("sync", 1)
    assert cache.get("sync") == 1
    assert cache.set_many({"sync-a": 1, "sync-b": 2}) == []
    assert cache.get_many(["sync-a", "sync-b"]) == {"sync-a": 1, "sync-b": 2}


async def ause() -> None:
    await cache.aset("async", 1)
    assert await cache.aget("async") == 1
    assert await cache.aset_many({"async-a": 1, "async-b": 2}) == []
    assert await cache.aget_many(["async-a", "async-b"]) == {"async-a": 1, "async-b": 2}


def end_of_the_program() -> None:
    use()
    asyncio.run(ause())


def system_exit() -> None:
    use()
    sys.exit(0)


def system_exit_in_a_loop() -> None:
    async def main() -> None:
        await ause()
        use()
        sys.exit(0)

    asyncio.run(main())


def calls_in_flight() -> None:
    async def main() -> None:
        await ause()
        tasks = [asyncio.ensure_future(cache.aget("async")) for _ in range(20)]
        tasks += [asyncio.ensure_future(cache.aget_many(["async-a", "async-b"])) for _ in range(20)]
        await asyncio.sleep(0)
        sys.exit(0 if not any(task.done() for task in tasks) else 2)

    asyncio.run(main())


def first_call_in_flight() -> None:
    async def main() -> None:
        task = asyncio.ensure_future(cache.aget("async"))
        await asyncio.sleep(0)
        sys.exit(0 if not task.done() else 2)

    asyncio.run(main())


def threads_that_ended() -> None:
    for act in (use, lambda: asyncio.run(ause())):
        thread = threading.Thread(target=act)
        thread.start()
        thread.join()


def threads_that_go_on() -> None:
    def for_ever() -> None:
        while True:
            use()

    for _ in range(4):
        threading.Thread(target=for_ever, daemon=True).start()
    end_of_the_program()


def at_exit() -> None:
    # When the interpreter starts no new threads any more.
    atexit.register(use)
    end_of_the_program()


def wait_patiently() -> None:
    """Let the end of the process wait for threads however busy the machine is."""
    # Not imported before it is needed, because it registers a function for the end.
    if leaving := sys.modules.get("django_momento.client.leaving"):
        vars(leaving)["MAX_WAIT"] = HANG_GUARD


if __name__ == "__main__":
    try:
        globals()[sys.argv[1]]()
    finally:
        wait_patiently()
