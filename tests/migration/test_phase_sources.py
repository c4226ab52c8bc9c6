"""PHASE: a phase itself, a file, an environment variable or a callable, read again while the process runs."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from django.core.cache import caches
from django.utils.asyncio import async_unsafe

from django_momento.events import events
from django_momento.exceptions import ConfigurationError
from django_momento.migration.state import migrations

current = "shadow"


def from_here() -> str:
    return current


@async_unsafe
def of_the_database() -> str:
    """Refuse an event loop, as all of Django's functions for the database do."""
    return "dual"


def of_the_cache_itself() -> Any:
    return caches["default"].get("phase")


def of_the_old_cache() -> Any:
    return caches["old"].get("phase")


def served_by(cache: Any) -> str:
    """Return the side that serves."""
    caches["old"].set("key", "old")
    caches["new"].set("key", "new")
    return str(cache.get("key"))


def expire() -> None:
    for migration in migrations.all():
        migration.phase.expire()


HERE = "tests.migration.test_phase_sources"


@pytest.mark.parametrize("kind", ["file", "env", "path", "callable"])
def test_a_change_of_the_source_changes_who_serves(make_dual, tmp_path, monkeypatch, kind):
    path = tmp_path / "of-this-test"
    spelling = {
        "file": f"file:{path}",
        "env": "env:CACHE_PHASE",
        "path": f"{HERE}.from_here",
        "callable": from_here,
    }[kind]

    def change(phase: str) -> None:
        path.write_text(f" {phase}\n")
        monkeypatch.setenv("CACHE_PHASE", phase)
        monkeypatch.setitem(globals(), "current", phase)
        expire()

    change("shadow")
    cache = make_dual(PHASE=spelling)
    served = [served_by(cache)]
    for phase in ("dual", "done", "shadow"):
        change(phase)
        served.append(served_by(cache))

    assert ["old", "new", "new", "old"] == served


def test_a_phase_itself_stays(make_dual):
    assert "new" == served_by(make_dual(PHASE="dual"))


def test_the_source_is_read_at_most_once_a_second(make_dual, monkeypatch):
    reads = []
    monkeypatch.setitem(globals(), "from_here", lambda: reads.append(1) or "dual")
    clock = [1000.0]
    monkeypatch.setattr("django_momento.migration.phases.monotonic", lambda: clock[0])
    cache = make_dual(PHASE=f"{HERE}.from_here")
    for _ in range(30):
        cache.get("key")
        clock[0] += 0.1

    assert 3 == len(reads)


@pytest.mark.parametrize(
    ("text", "message"),
    [(None, "No such file"), ("duel", "gives 'duel'"), ("", "gives ''")],
    ids=["missing", "unknown", "empty"],
)
def test_a_phase_that_cannot_be_read_is_an_error_at_first_and_later_keeps_the_last(
    make_dual, tmp_path, caplog, text, message
):
    path = tmp_path / "of-this-test"

    def spoil() -> None:
        path.unlink(missing_ok=True)
        if text is not None:
            path.write_text(text)

    spoil()
    cache = make_dual(PHASE=f"file:{path}")
    with pytest.raises(ConfigurationError, match=message):
        cache.get("key")
    path.write_text("dual")
    assert "new" == served_by(cache)
    spoil()
    for _ in range(5):
        expire()
        assert "new" == served_by(cache)

    assert 5 <= events.counts("default")["unreadable_phases"]
    assert 1 == caplog.text.count("the phase of the migration stays 'dual'")


def test_a_callable_may_use_the_database_under_async_calls(make_dual):
    cache = make_dual(PHASE=f"{HERE}.of_the_database")

    async def use() -> Any:
        await cache.aset("key", "value")
        return await cache.aget("key")

    assert "value" == asyncio.run(use())
    assert "dual" == cache.migration.phase.peek()


def test_a_callable_that_uses_the_cache_it_is_for_is_named(make_dual):
    cache = make_dual(PHASE=f"{HERE}.of_the_cache_itself")
    with pytest.raises(ConfigurationError, match="uses the cache 'default' that it is for"):
        cache.get("key")

    cache = make_dual(PHASE=f"{HERE}.of_the_old_cache")
    caches["old"].set("phase", "dual")
    assert "new" == served_by(cache)


def test_threads_go_on_while_one_waits_for_a_slow_source(make_dual, monkeypatch):
    waiting, go_on = threading.Event(), threading.Event()

    def slow() -> str:
        if threading.current_thread() is not threading.main_thread():
            waiting.set()
            assert go_on.wait(60)
        return "dual"

    monkeypatch.setitem(globals(), "from_here", slow)
    cache = make_dual(PHASE=f"{HERE}.from_here")
    cache.get("key")
    expire()
    thread = threading.Thread(target=lambda: caches["default"].get("key"))
    thread.start()
    assert waiting.wait(60)
    assert cache.get("key") is None
    go_on.set()
    thread.join()
