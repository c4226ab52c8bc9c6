"""Subclasses and mixins that override some verbs: what they may rely on."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

from django_momento.cache import MomentoCache
from django_momento.local import LocalServer
from tests.conftest import CACHE_NAME, local_options
from tests.kit.tables import table

VERBS = [
    *("get", "set", "add", "touch", "delete", "has_key", "incr", "decr", "get_or_set", "get_many"),
    *("set_many", "delete_many", "incr_version", "decr_version", "clear", "ttl", "expire"),
    *("rate_limit", "run_once", "invalidate_tags", "delete_on_commit"),
]
ARGUMENTS: dict[str, list[Any]] = {
    "set": ["key", 5],
    "add": ["key", 5],
    "get_or_set": ["key", 5],
    "get_many": [["key"]],
    "set_many": [{"key": 5}],
    "delete_many": [["key"]],
    "clear": [],
    "run_once": ["job", 60],
    "rate_limit": ["limited", 5, 60],
}


def make(cls: type[MomentoCache], server: LocalServer) -> Any:
    cache = cls(CACHE_NAME, {"OPTIONS": local_options(server)})
    cache.set_many({"key": 7})
    return cache


@table("verb", VERBS, afresh=True)
@table("is_mixin", [False, True], afresh=True)
def test_a_sync_override_serves_both_faces(momento: LocalServer, verb: str, is_mixin: bool) -> None:
    """As over Django's own backends, whose async methods run the sync ones in a thread."""
    calls: Counter[str] = Counter()

    def count(self: Any, *args: Any, **kwargs: Any) -> Any:
        calls[verb] += 1
        return getattr(super(cls, self), verb)(*args, **kwargs)

    if is_mixin:
        cls: type = type("Mixin", (), {verb: count})
        backend = type("OurCache", (cls, MomentoCache), {})
    else:
        cls = backend = type("OurCache", (MomentoCache,), {verb: count})
    cache = make(backend, momento)
    calls.clear()
    arguments = ARGUMENTS.get(verb, ["key"])
    results = [getattr(cache, verb)(*arguments)]
    make(MomentoCache, momento)
    results.append(asyncio.run(getattr(cache, f"a{verb}")(*arguments)))

    assert {verb: 2} == calls
    assert type(results[0]) is type(results[1])


class Both(MomentoCache):
    """Overrides both faces, so that each is used as it is."""

    def get(self, key: Any, default: Any = None, version: int | None = None) -> Any:
        return "sync"

    async def aget(self, key: Any, default: Any = None, version: int | None = None) -> Any:
        return "async"


class SyncAgain(Both):
    """Overrides one face of a parent that has both of its own."""

    def get(self, key: Any, default: Any = None, version: int | None = None) -> Any:
        return "sync again"


class SyncOnly(MomentoCache):
    def get(self, key: Any, default: Any = None, version: int | None = None) -> Any:
        return "sync only"


class SyncOnlyAgain(SyncOnly):
    def get(self, key: Any, default: Any = None, version: int | None = None) -> Any:
        return "sync only again"


class AsyncLater(SyncOnly):
    async def aget(self, key: Any, default: Any = None, version: int | None = None) -> Any:
        return "async later"


@table(
    ("backend", "expected"),
    [
        (Both, "async"),
        (SyncAgain, "async"),
        (SyncOnly, "sync only"),
        (SyncOnlyAgain, "sync only again"),
        (AsyncLater, "async later"),
    ],
    afresh=True,
)
def test_an_async_override_is_used_as_it_is(
    momento: LocalServer, backend: type[MomentoCache], expected: str
) -> None:
    """Only a face that a subclass leaves out is made of the other."""
    assert expected == asyncio.run(make(backend, momento).aget("key"))


def test_a_subclass_that_overrides_no_verb_stays_native(momento: LocalServer) -> None:
    """No thread, and the methods of the backend itself."""

    class Plain(MomentoCache):
        def make_key(self, key: Any, version: int | None = None) -> str:
            return f"plain:{key}"

    for verb in VERBS:
        assert getattr(Plain, f"a{verb}") is getattr(MomentoCache, f"a{verb}")
