"""Fork while this thread holds a lock: the lock is the parent's alone."""

import multiprocessing
import sys
from typing import Any

import django

django.setup()

from django.core.cache import cache

from django_momento.exceptions import LockNotOwned

lock: Any = cache.lock("job", 3600)  # type: ignore[attr-defined]  # the cache is ours


def be_a_child(_: int) -> str:
    try:
        lock.release()
    except LockNotOwned:
        return f"owned: {lock.owned()}, acquired: {lock.acquire(blocking=False)}"
    return "released"


if __name__ == "__main__":
    with lock:
        with multiprocessing.get_context("fork").Pool(1) as pool:
            sys.stdout.write(f"child {pool.map(be_a_child, [0])}\n")
            pool.close()
            pool.join()
        sys.stdout.write(f"parent owned: {lock.owned()}\n")
