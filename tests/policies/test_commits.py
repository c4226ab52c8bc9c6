"""Invalidation that waits for the commit of a transaction."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import transaction
from django.test import TestCase

from django_momento.cache import MomentoCache
from django_momento.events import events
from django_momento.exceptions import ServerUnavailable
from django_momento.local import LocalServer
from tests.conftest import MakeCache
from tests.kit.databases import sqlite_databases


class Rollback(Exception):
    """Ends a block of atomic()."""


@pytest.fixture(autouse=True)
def _databases(tmp_path: Path, django_db_blocker: Any) -> Iterator[None]:
    with sqlite_databases(tmp_path, django_db_blocker):
        yield


@pytest.fixture
def cache(make_cache: MakeCache) -> MomentoCache:
    return make_cache()


def calls(server: LocalServer) -> dict[str, int]:
    """Return the calls that reached the server since the last question, by RPC."""
    counted = dict(server.calls)
    server.reset_calls()
    return counted


def test_what_waits_is_sent_once_for_a_transaction(momento: LocalServer, cache: MomentoCache) -> None:
    cache.set_many({"a": 1, "b": 2, "c": 3})
    with transaction.atomic():
        for number in range(20):
            cache.invalidate_tags("shop", f"product:{number}", on_commit=True)
        cache.delete_on_commit("a")
        cache.delete_on_commit("b", "a")
        cache.delete_on_commit("c", version=7)
        calls(momento)
        assert cache.get_many(["a", "b"]) == {"a": 1, "b": 2}
        assert calls(momento) == {"GetBatch": 1}
    assert calls(momento) == {"SetBatch": 1, "Delete": 3}
    assert cache.get_many(["a", "b", "c"]) == {"c": 3}


def test_a_test_case_captures_each_call_even_if_a_batch_was_begun_before(
    momento: LocalServer, cache: MomentoCache
) -> None:
    """As when setUp() saves an object, and the test saves another one."""
    cache.set_many({"a": 1, "b": 1, "c": 1})
    with transaction.atomic():
        cache.delete_on_commit("a")
        for key in ("b", "c"):
            with TestCase.captureOnCommitCallbacks(execute=True) as captured:
                cache.delete_on_commit(key)
            assert len(captured) == 1
            assert cache.get(key) is None
        with TestCase.captureOnCommitCallbacks(execute=True):
            cache.invalidate_tags("shop", on_commit=True)
            cache.invalidate_tags("shop", "other", on_commit=True)
        assert momento.calls["SetBatch"] == 1 + 1
        momento.reset_calls()
    assert dict(momento.calls) == {}


def test_a_rollback_invalidates_nothing_and_a_savepoint_only_its_own(
    momento: LocalServer, cache: MomentoCache
) -> None:
    cache.set_many(dict.fromkeys("abcd", 1))
    with suppress(Rollback), transaction.atomic():
        cache.delete_on_commit("a")
        raise Rollback
    with transaction.atomic():
        cache.delete_on_commit("b")
        with suppress(Rollback), transaction.atomic():
            cache.delete_on_commit("c")
            raise Rollback
        with transaction.atomic():
            cache.delete_on_commit("d")
    assert cache.get_many("abcd") == {"a": 1, "c": 1}

    momento.reset_calls()
    with suppress(Rollback), transaction.atomic():
        cache.invalidate_tags("shop", on_commit=True)
        raise Rollback
    assert dict(momento.calls) == {}


def test_each_database_has_its_own_transaction(momento: LocalServer, cache: MomentoCache) -> None:
    cache.set_many({"a": 1, "b": 1})
    with suppress(Rollback), transaction.atomic():
        with transaction.atomic(using="other"):
            cache.delete_on_commit("a")
            cache.delete_on_commit("b", using="other")
        raise Rollback
    assert cache.get_many("ab") == {"a": 1}


def test_without_a_transaction_both_act_at_once_and_aloud(
    momento: LocalServer, make_cache: MakeCache
) -> None:
    cache = make_cache()
    cache.set("a", 1)
    cache.delete_on_commit("a")
    assert cache.get("a") is None
    momento.reset_calls()
    cache.invalidate_tags("shop", on_commit=True)
    assert dict(momento.calls) == {"SetBatch": 1}

    momento.fail("UNAVAILABLE")
    try:
        with pytest.raises(ServerUnavailable):
            cache.invalidate_tags("shop", on_commit=True)
    finally:
        momento.fail()


def test_outside_a_transaction_no_database_is_asked(
    momento: LocalServer, cache: MomentoCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    """pytest-django refuses that in a test without a database, also if an earlier one has left it open."""
    connection = transaction.get_connection()
    connection.ensure_connection()
    monkeypatch.setattr(connection, "ensure_connection", lambda: pytest.fail("the database was asked"))
    cache.invalidate_tags("shop", on_commit=True)
    assert dict(momento.calls) == {"SetBatch": 1}


def test_a_failure_after_the_commit_is_logged_and_counted(
    momento: LocalServer, cache: MomentoCache, caplog: pytest.LogCaptureFixture
) -> None:
    """The data are committed, so that an error for the caller would be misleading."""
    with transaction.atomic():
        cache.invalidate_tags("shop", on_commit=True)
        momento.fail("UNAVAILABLE")
    momento.fail()

    (record,) = (each for each in caplog.records if each.name == "django.db.backends.base")
    assert "Error calling MomentoCache.invalidate_tags" in record.getMessage().replace(
        "ExtendedCache", "MomentoCache"
    )
    assert events.counts("default")["failed_invalidations"] == 1


def test_the_async_face_waits_for_the_transaction_of_djangos_thread(
    momento: LocalServer, cache: MomentoCache
) -> None:
    cache.set("a", 1)

    def enter() -> transaction.Atomic:
        block = transaction.atomic()
        block.__enter__()
        return block

    async def act() -> list[Any]:
        block = await sync_to_async(enter)()
        await cache.ainvalidate_tags("shop", on_commit=True)
        await cache.adelete_on_commit("a")
        before = [await cache.aget("a"), momento.calls["SetBatch"]]
        await sync_to_async(block.__exit__)(None, None, None)
        return [*before, await cache.aget("a"), momento.calls["SetBatch"]]

    assert asyncio.run(act()) == [1, 0, None, 1]
