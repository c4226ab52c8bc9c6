"""Group 3: ``get`` of 100 B from 1, 4 and 16 threads at once."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial

from django.core.cache import caches

from .clients import DJANGO_REDIS, NEED_REDIS, OURS, REDIS_CACHE, REDIS_PY, SDK, Missed, filled, keys
from .measure import Case, Contender, Run
from .verbs import BESIDE

SIZE = 100
THREADS = (1, 4, 16)
CONTENDERS = (SDK, OURS, REDIS_PY, DJANGO_REDIS, REDIS_CACHE)
OPERATIONS = 480


@contextmanager
def getting(name: str, threads: int) -> Iterator[Run]:
    with filled(name, SIZE) as verbs, ThreadPoolExecutor(threads) as pool:

        def work(operations: int) -> None:
            # As in a site: a thread has its own instance of each of Django's caches.
            get = verbs.get if name in (SDK, REDIS_PY) else caches[name].get
            for key in keys(operations):
                if get(key) is None:
                    raise Missed(key)

        def run(operations: int) -> None:
            for done in [pool.submit(work, operations // threads) for _ in range(threads)]:
                done.result()

        yield run


def cases() -> list[Case]:
    return [
        Case(
            f"get from {threads} thread{'s' if threads > 1 else ''}",
            OPERATIONS,
            tuple(
                Contender(name, partial(getting, name, threads), BESIDE.get(name), name in NEED_REDIS)
                for name in CONTENDERS
            ),
        )
        for threads in THREADS
    ]
