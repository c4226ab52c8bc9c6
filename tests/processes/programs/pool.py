"""A pool of forked processes between two uses of the cache by their parent."""

import asyncio
import multiprocessing
import os
from typing import Any

import django

django.setup()

from django.core.cache import cache


def work(number: int) -> tuple[int, Any, Any]:
    cache.set(f"child-{number}", number)
    cache.set_many({f"child-{number}-a": number, f"child-{number}-b": number})
    assert asyncio.run(cache.aget(f"child-{number}")) == number
    return os.getpid(), cache.get("parent"), cache.get(f"child-{number}")


def use(value: str) -> None:
    cache.set("parent", value)
    assert cache.get("parent") == asyncio.run(cache.aget("parent")) == value
    assert asyncio.run(cache.aget_many(["parent", "none"])) == {"parent": value}


if __name__ == "__main__":
    use("before")
    with multiprocessing.get_context("fork").Pool(4) as pool:
        answers = pool.map(work, range(100), chunksize=5)
        pool.close()
        pool.join()
    assert os.getpid() not in {pid for pid, _, _ in answers}
    assert [answer[1:] for answer in answers] == [("before", number) for number in range(100)]
    found = cache.get_many(f"child-{number}-a" for number in range(100))
    assert found == {f"child-{number}-a": number for number in range(100)}
    use("after")
