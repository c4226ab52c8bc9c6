"""Group 2: ``get_many`` and ``set_many``, beside a loop of the SDK's calls; an operation is one batch.

The SDK has no batch calls, so its users write a loop.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from django.core.cache import caches

from .clients import DJANGO_REDIS, NEED_REDIS, OURS, SDK, SECONDS, Missed, check, filled, many, value_of
from .measure import Case, Contender, Run

SIZE = 100
CONTENDERS = (SDK, OURS, DJANGO_REDIS)
# Batches in a slice, by the number of keys in a batch.
BATCHES = {10: 20, 100: 4, 1000: 1}


@contextmanager
def reading(name: str, count: int) -> Iterator[Run]:
    with filled(name, SIZE, count) as verbs:

        def run(operations: int) -> None:
            for _ in range(operations):
                if name == SDK:
                    answer = {key: verbs.get(key) for key in wanted}
                else:
                    answer = caches[name].get_many(wanted)
                if len(answer) != count:
                    raise Missed(f"{len(answer)} of {count}")

        wanted = many(count)
        yield run


@contextmanager
def writing(name: str, count: int) -> Iterator[Run]:
    with filled(name, SIZE) as verbs:

        def run(operations: int) -> None:
            for _ in range(operations):
                if name == SDK:
                    for key, value in items.items():
                        verbs.set(key, value)
                elif caches[name].set_many(items, timeout=SECONDS):
                    raise Missed("some keys")

        items = dict.fromkeys(many(count), value_of(SIZE))
        run(1)
        check(verbs.get(many(count)[-1]), SIZE)
        yield run


def cases() -> list[Case]:
    return [
        Case(
            f"{verb} of {count:,} keys",
            batches,
            tuple(
                Contender(
                    f"loop of {name}.{verb[:3]}" if name == SDK else name,
                    partial(start, name, count),
                    None if name == SDK else f"loop of {SDK}.{verb[:3]}",
                    name in NEED_REDIS,
                )
                for name in CONTENDERS
            ),
        )
        for count, batches in BATCHES.items()
        for verb, start in (("get_many", reading), ("set_many", writing))
    ]
