"""Group: ``get``, ``set`` and ``get_many`` of a cache in memory, alone and wrapped by ``RecordingCache``.

The trace goes to a folder that is removed at the end. CPU includes the thread that writes it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from django.core.cache import caches
from django.test import override_settings

from django_momento.traces.writer import flush_all

from .clients import LOCMEM, keys, value_of
from .measure import Case, Contender, Run

OPERATIONS = 20_000
BATCH = 100
ALL_KEYS, A_TENTH = "recorded", "recorded, SAMPLE 0.1"


@contextmanager
def recorded(name: str, verb: str) -> Iterator[Run]:
    """Run a verb on the cache in memory, recorded by this name."""
    memory = {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": "recording"}
    with tempfile.TemporaryDirectory() as folder:
        options = {"CACHE": LOCMEM, "TRACE": str(Path(folder) / "trace.jsonl.gz")}
        backend = "django_momento.recorder.RecordingCache"
        with override_settings(
            CACHES={
                LOCMEM: memory,
                ALL_KEYS: {"BACKEND": backend, "OPTIONS": options},
                A_TENTH: {"BACKEND": backend, "OPTIONS": {**options, "SAMPLE": 0.1}},
            }
        ):
            cache, value = caches[name], value_of(100)
            for key in keys(BATCH):
                cache.set(key, value)

            def run(operations: int) -> None:
                if verb == "get_many":
                    names = list(keys(BATCH))
                    for _ in range(operations // BATCH):
                        cache.get_many(names)
                elif verb == "get":
                    for key in keys(operations):
                        cache.get(key)
                else:
                    for key in keys(operations):
                        cache.set(key, value)
                flush_all()

            yield run


def cases() -> list[Case]:
    return [
        Case(
            f"{verb} of 100 B, recorded" + (", a key" if verb == "get_many" else ""),
            OPERATIONS,
            tuple(
                Contender(name, partial(recorded, name, verb), None if name == LOCMEM else LOCMEM)
                for name in (LOCMEM, ALL_KEYS, A_TENTH)
            ),
        )
        for verb in ("get", "set", "get_many")
    ]
