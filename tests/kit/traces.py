"""Traces of the tests: recorded by aliases that wrap others, or written line by line."""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from django.core.management import call_command

from django_momento.traces.format import HASH_SPACE, Event, Header
from django_momento.traces.reading import Trace, find_files
from django_momento.traces.writer import flush_all

# Milliseconds since the epoch: where the traces that tests write begin.
START = 1_764_000_000_000
DAY = 24 * 3600 * 1000


def recording(cache: str, trace: Path, **options: Any) -> dict[str, Any]:
    """Return the settings of an alias that records another one."""
    return {
        "BACKEND": "django_momento.recorder.RecordingCache",
        "OPTIONS": {"CACHE": cache, "TRACE": str(trace), **options},
    }


def recorded(trace: Path) -> list[Event]:
    """Return the events that this process has recorded so far."""
    flush_all()
    return [Event(*fields) for _, fields in Trace(find_files([str(trace)])).events()]


def write_trace(path: Path, events: Iterable[Event], sample: float = 1.0, process: str = "1-1") -> Path:
    """Write a trace of one process, and return its path."""
    lines = [json.dumps(Header(sample, process, START).as_dict()), *map(json.dumps, events)]
    path.write_text("\n".join(lines) + "\n")
    return path


def write_sample(path: Path, events: Iterable[Event], share: float) -> Path:
    """Write the trace that a RecordingCache with this SAMPLE would write of some events."""
    kept: list[Event] = []
    others: Counter[tuple[int, str, int | None, int]] = Counter()
    for each in events:
        if int(each.key, 16) < share * HASH_SPACE:
            kept.append(each)
        else:
            others[each.time // 1000, each.verb, each.hit, each.batch] += 1
    kept += [
        Event(second * 1000, 0, verb, "", "", 0, hit=hit, batch=batch, keys=count)
        for (second, verb, hit, batch), count in others.items()
    ]
    return write_trace(path, sorted(kept, key=lambda each: each.time), sample=share)


def forecast_of(*traces: Path, **options: Any) -> dict[str, Any]:
    """Run ``momento_forecast`` and return its JSON."""
    out = io.StringIO()
    call_command("momento_forecast", *map(str, traces), json=True, stdout=out, **options)
    found: dict[str, Any] = json.loads(out.getvalue())
    return found


def event(seconds: float, verb: str, key: int = 1, **fields: Any) -> Event:
    """Return an event so many seconds after the start, on the key of a number."""
    given = {"group": "group", "key_bytes": 10, **fields}
    return Event(START + round(seconds * 1000), 0, verb, f"{key:016x}", **given)
