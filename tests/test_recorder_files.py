"""The files of a trace: of threads and processes, bounded, and on a disk that refuses them."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import threading
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import caches

from django_momento.clock import monotonic
from django_momento.traces import writer as writing
from django_momento.traces.reading import Trace, find_files
from django_momento.traces.writer import flush_all
from tests.kit import recorded as fixtures
from tests.kit.recorded import MEMORY
from tests.kit.tables import table
from tests.kit.traces import recorded, recording

trace, cache = fixtures.trace, fixtures.cache


def test_threads_lose_no_event(cache: Any, trace: Path) -> None:
    def work() -> None:
        mine = caches["default"]
        for number in range(500):
            mine.get(f"k{number}")

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(recorded(trace)) == 4000


def _record_in_child(count: int) -> None:
    for _ in range(count):
        caches["default"].get("child")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
def test_each_process_writes_a_file_of_its_own(cache: Any, trace: Path) -> None:
    """The events that wait at a fork are written once, by the parent."""
    cache.get("parent")
    processes = [
        multiprocessing.get_context("fork").Process(target=_record_in_child, args=(3,)) for _ in "ab"
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()

    assert len(recorded(trace)) == 1 + 2 * 3
    files = Trace(find_files([str(trace)])).files
    assert len({file.header.process for file in files}) == 3


def _record_and_die() -> None:
    for number in range(100):
        caches["default"].get(f"k{number}")
    flush_all()
    caches["default"].get("too-late")
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
@table("name", ["t.jsonl", "t.jsonl.gz", "t.jsonl.zst"], afresh=True)
def test_a_killed_process_leaves_a_readable_trace(settings: Any, tmp_path: Path, name: str) -> None:
    settings.CACHES = {"memory": MEMORY, "default": recording("memory", tmp_path / name)}
    process = multiprocessing.get_context("fork").Process(target=_record_and_die)
    process.start()
    process.join()

    assert process.exitcode == -signal.SIGKILL
    assert len(recorded(tmp_path / name)) == 100


def test_a_trace_is_bounded_and_keeps_the_newest_events(
    settings: Any, trace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.CACHES = {"memory": MEMORY, "default": recording("memory", trace, MAX_BYTES=64 * 1024)}
    for number in range(4000):
        caches["default"].get(f"k{number}")
        if number % 100 == 0:
            flush_all()

    flush_all()
    sizes = [file.stat().st_size for file in trace.parent.iterdir()]
    assert len(sizes) == 4
    assert sum(sizes) < 2 * 64 * 1024
    events = recorded(trace)
    assert 200 < len(events) < 4000
    keys = {each.key for each in events}
    caches["default"].get("k3999")
    assert recorded(trace)[-1].key in keys


@table("obstacle", ["a missing folder", "a full disk"], afresh=True)
def test_a_disk_that_refuses_costs_the_trace_and_no_call(
    settings: Any, tmp_path: Path, obstacle: str, caplog: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One warning, and recording goes on when the disk works again."""
    folder = tmp_path / "folder"
    trace = folder / "trace.jsonl"
    if obstacle == "a full disk":
        folder.mkdir()
        full = Path("/dev/full")
        if not full.exists():
            pytest.skip("needs /dev/full")
        really_open = Path.open
        monkeypatch.setattr(
            Path, "open", lambda self, *args, **kw: really_open(full, "wb", 0) if args else really_open(self)
        )
    settings.CACHES = {"memory": MEMORY, "default": recording("memory", trace)}
    cache = caches["default"]
    with caplog.at_level(logging.WARNING, "django_momento"):
        for _ in range(3):
            cache.set("k", 1)
            assert cache.get("k") == 1
            flush_all()
    (warning,) = caplog.messages
    assert "cannot be written" in warning
    assert str(trace) in warning

    monkeypatch.undo()
    folder.mkdir(exist_ok=True)
    monkeypatch.setattr(writing, "monotonic", lambda: monotonic() + writing.PAUSE_AFTER_ERROR)
    cache.get("k")
    assert [each.verb for each in recorded(trace)] == ["get"]
    assert Trace(find_files([str(trace)])).files[0].header.sample == 1.0


def test_events_beyond_the_bound_are_counted_as_lost(
    cache: Any, trace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "MAX_WAITING", 10)
    monkeypatch.setattr(writing, "PAUSE", 3600)
    writer = writing.find_writer(trace, 1.0, 256 * 1024 * 1024)
    for _ in range(25):
        cache.get("k")
    writer.flush()

    found = Trace(find_files([str(trace)]))
    assert len(list(found.events())) == 10
    assert found.lost == 15
