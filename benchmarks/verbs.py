"""Group 1: ``get`` and ``set`` of a small and of a larger value, one call after another."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from .clients import (
    DJANGO_REDIS,
    LOCMEM,
    NEED_REDIS,
    OURS,
    REDIS_CACHE,
    REDIS_PY,
    SDK,
    Missed,
    filled,
    keys,
    value_of,
)
from .measure import Case, Contender, Run

BESIDE = {OURS: SDK, DJANGO_REDIS: REDIS_PY, REDIS_CACHE: REDIS_PY}
CONTENDERS = (SDK, OURS, REDIS_PY, DJANGO_REDIS, REDIS_CACHE, LOCMEM)
OPERATIONS = 200


@contextmanager
def gets(name: str, size: int) -> Iterator[Run]:
    with filled(name, size) as verbs:

        def run(operations: int) -> None:
            get = verbs.get
            for key in keys(operations):
                if get(key) is None:
                    raise Missed(key)

        yield run


@contextmanager
def sets(name: str, size: int) -> Iterator[Run]:
    with filled(name, size) as verbs:

        def run(operations: int) -> None:
            set_, value = verbs.set, value_of(size)
            for key in keys(operations):
                set_(key, value)

        yield run


def cases() -> list[Case]:
    return [
        Case(
            f"{verb} of {label}",
            OPERATIONS,
            tuple(
                Contender(name, partial(start, name, size), BESIDE.get(name), name in NEED_REDIS)
                for name in CONTENDERS
            ),
        )
        for size, label in ((100, "100 B"), (10_240, "10 KB"))
        for verb, start in (("get", gets), ("set", sets))
    ]
