"""Read the files of a trace, merged by time.

A process that was killed leaves a file whose last line is cut short. Such a line is skipped and counted, and
so is every other line that is not an event.
"""

from __future__ import annotations

import heapq
import json
import zlib
from collections.abc import Callable, Iterable, Iterator
from operator import itemgetter
from pathlib import Path
from typing import Any

from ..codec.imports import OptionError
from ..redaction import quote
from .files import SUFFIXES, import_zstd, split_name
from .format import LOST, MARK, VERSION, Event, Header

_CHUNK_BYTES = 1024 * 1024
# A line that is longer is not an event, and neither is a file of one line that does not end.
_MAX_LINE_BYTES = 64 * 1024
# Events are written when their calls end. Milliseconds after which no earlier event is expected.
_LATENESS = 10_000
_GZIP = 31
# Milliseconds before the start of a process and after it, beyond which a time is an error of its clock.
_MAX_EARLY = 24 * 3600 * 1000
_MAX_LATE = 400 * _MAX_EARLY
_MAX_SECONDS = 10**12
# A larger size, duration or count is an error of the file.
_MAX_NUMBER = 10**10
# Errors of json.loads(): RecursionError if brackets are nested too deep.
_NO_JSON = (ValueError, RecursionError)
_FIELDS = list(Event._fields)
_time = itemgetter(0)


class TraceError(Exception):
    """A trace cannot be used. The message has the cause and the fix."""


class TraceFile:
    """A file of a trace. Raises TraceError if it is none."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = 0
        self.skipped = 0
        self.lost = 0
        self.events = 0
        self.bytes_read = 0
        try:
            self.size = path.stat().st_size
        except OSError as error:
            raise TraceError(f"{path} cannot be read ({error.strerror}).") from error
        self.header = self._read_header()

    def batches(self) -> Iterator[list[list[Any]]]:
        """Yield the events as lists of the fields of ``Event``, in lists ordered by time."""
        waiting: list[list[Any]] = []
        for lines in self._lines():
            waiting += self._parse(lines)
            waiting.sort(key=_time)
            bound = waiting[-1][0] - _LATENESS if waiting else 0
            count = _count_before(waiting, bound)
            if count:
                yield waiting[:count]
                del waiting[:count]
        if waiting:
            yield waiting

    def _read_header(self) -> Header:
        where = f"{self.path} is not a trace of RecordingCache"
        fix = "Give the files that TRACE names."
        try:
            first = next((lines[0] for lines in self._lines() if lines), b"")
        except TraceError as error:
            raise TraceError(f"{where}: {error} {fix}") from error
        self.bytes_read = 0
        if not first:
            content = "has no whole line" if self.size else "is empty"
            raise TraceError(f"{self.path} {content}, so there is no trace in it. Record some traffic first.")
        try:
            found = json.loads(first)
            version = found[MARK]
        except (*_NO_JSON, KeyError, TypeError):
            raise TraceError(
                f"{where}: its first line is {quote(first.decode(errors='replace'), 60)!r}. {fix}"
            ) from None
        if version != VERSION or found.get("fields") != _FIELDS:
            raise TraceError(
                f"{self.path} has version {quote(version, 20)} of the format, and this release of "
                f"django-momento reads version {VERSION}. Use the release that recorded it."
            )
        try:
            header = Header(float(found["sample"]), str(found["process"]), int(found["started"]))
        except (ValueError, KeyError, TypeError, OverflowError):
            raise TraceError(f"{where}: its header is incomplete. {fix}") from None
        if not 0 < header.sample <= 1:
            raise TraceError(f"{where}: its header has the sample {header.sample:g}. {fix}")
        return header

    def _lines(self) -> Iterator[list[bytes]]:
        """Yield the whole lines, in lists. Skip a last line that is cut short."""
        rest = b""
        for data in self._data():
            *lines, rest = (rest + data).split(b"\n")
            if len(rest) > _MAX_LINE_BYTES:
                raise TraceError(f"it has a line of more than {_MAX_LINE_BYTES:,} bytes.")
            yield lines
        if rest:
            try:
                json.loads(rest)
            except _NO_JSON:
                self.skipped += 1
            else:
                yield [rest]

    def _data(self) -> Iterator[bytes]:
        """Yield the decompressed content. Stop at data that cannot be decompressed, and count it."""
        try:
            decompress = _decompressor(self.path)
        except OptionError as error:
            raise TraceError(f"its compression {error.cause} {error.fix}") from error
        self.bytes_read = 0
        has_data = False
        try:
            with self.path.open("rb") as file:
                while data := file.read(_CHUNK_BYTES):
                    self.bytes_read += len(data)
                    try:
                        content = decompress(data)
                    except Exception as error:
                        if not has_data:
                            raise TraceError("it cannot be decompressed.") from error
                        self.skipped += 1
                        return
                    has_data = True
                    yield content
        except OSError as error:
            raise TraceError(f"it cannot be read ({error.strerror}).") from error

    def _parse(self, lines: list[bytes]) -> list[list[Any]]:
        try:
            found = json.loads(b"[" + b",".join(lines) + b"]")
        except _NO_JSON:
            found = []
            for line in lines:
                try:
                    found.append(json.loads(line))
                except _NO_JSON:
                    self.skipped += bool(line.strip())
        started = self.header.started
        first, last = started - _MAX_EARLY, started + _MAX_LATE
        events = [
            each for each in found if type(each) is list and _is_event(each) and first <= each[0] <= last
        ]
        if len(events) != len(found):
            self._count_others(found, len(events))
        self.events += len(events)
        return events

    def _count_others(self, found: list[Any], events: int) -> None:
        others = [each for each in found if type(each) is dict]
        self.lost += sum(each[LOST] for each in others if type(each.get(LOST)) is int)
        self.skipped += len(found) - events - sum(LOST in each or MARK in each for each in others)


def _is_event(fields: list[Any]) -> bool:
    """Return whether the fields of a line are those of an event."""
    if len(fields) != len(_FIELDS):
        return False
    time, took, verb, key, group, key_bytes, value_bytes, packed, timeout, hit, batch, count = fields
    return (
        type(time) is type(took) is type(key_bytes) is type(batch) is type(count) is int
        and type(verb) is type(key) is type(group) is str
        and key.isascii()
        and (value_bytes is None or (type(value_bytes) is int and 0 <= value_bytes < _MAX_NUMBER))
        and (packed is None or (type(packed) is int and 0 <= packed < _MAX_NUMBER))
        and (timeout is None or _is_timeout(timeout))
        and (hit is None or hit == 0 or hit == 1)
        and 0 <= took < _MAX_NUMBER
        and 0 <= key_bytes < _MAX_NUMBER
        and 0 < batch < _MAX_NUMBER
        and 0 < count < _MAX_NUMBER
    )


def _is_timeout(value: object) -> bool:
    return (type(value) is int or type(value) is float) and -_MAX_SECONDS < value < _MAX_SECONDS


def _count_before(events: list[list[Any]], bound: int) -> int:
    low, high = 0, len(events)
    while low < high:
        middle = (low + high) // 2
        if events[middle][0] < bound:
            low = middle + 1
        else:
            high = middle
    return low


def _decompressor(path: Path) -> Callable[[bytes], bytes]:
    _, suffix = split_name(path)
    if suffix == ".jsonl.gz":
        stream = zlib.decompressobj(wbits=_GZIP)
        return lambda data: stream.decompress(data) if not stream.eof else b""
    if suffix == ".jsonl.zst":
        frames = import_zstd("zstd").ZstdDecompressor()
        return lambda data: frames.decompress(data) if not frames.eof else b""
    return lambda data: data


def find_files(names: Iterable[str]) -> list[Path]:
    """Return the files that names stand for: a file, a folder of traces, or TRACE itself.

    Raises TraceError if there is none.
    """
    found: list[Path] = []
    for name in names:
        path = Path(name)
        if path.is_dir():
            files = [each for each in path.iterdir() if each.name.endswith(SUFFIXES)]
        elif path.exists():
            files = [path]
        else:
            files = _files_of(path)
        if not files:
            raise TraceError(
                f"There is no trace {quote(name)}. Give the files of a trace, their folder, or the path that "
                "TRACE names."
            )
        found += sorted(files)
    for path in found:
        try:
            split_name(path)
        except ValueError as error:
            raise TraceError(f"{error}, so it is not a trace. Give the files that TRACE names.") from error
    return list(dict.fromkeys(found))


def _files_of(path: Path) -> list[Path]:
    """Return the files that processes have written for TRACE, which is no file itself."""
    try:
        name, suffix = split_name(path)
    except ValueError:
        return []
    if not path.parent.is_dir():
        return []
    return [
        each
        for each in path.parent.iterdir()
        if each.name.startswith(f"{name}-") and each.name.endswith(suffix)
    ]


class Trace:
    """All files of a trace. Raises TraceError if they do not belong together or hold no event."""

    def __init__(self, paths: Iterable[Path]) -> None:
        self.files = [TraceFile(path) for path in paths]
        samples = {file.header.sample for file in self.files}
        if len(samples) > 1:
            shares = ", ".join(f"{sample:g}" for sample in sorted(samples))
            raise TraceError(
                f"The files were recorded with different values of SAMPLE ({shares}). Give files "
                "of one value."
            )
        self.sample = samples.pop()
        starts = [file.header.started for file in self.files]
        if max(starts) - min(starts) > _MAX_LATE:
            raise TraceError(
                "The files were recorded more than 400 days apart. Give the files of one recording."
            )

    @property
    def skipped(self) -> int:
        """The number of lines that are no events, and of files that end in the middle."""
        return sum(file.skipped for file in self.files)

    @property
    def lost(self) -> int:
        """The number of events that the recorder could not write."""
        return sum(file.lost for file in self.files)

    @property
    def size(self) -> int:
        """The size of all files in bytes."""
        return sum(file.size for file in self.files)

    @property
    def bytes_read(self) -> int:
        """The number of bytes that were read so far."""
        return sum(file.bytes_read for file in self.files)

    def events(self) -> Iterator[tuple[str, list[Any]]]:
        """Yield each event after the name of its process, in the order of time."""
        streams = [self._stream(file) for file in self.files]
        if len(streams) == 1:
            return streams[0]
        return heapq.merge(*streams, key=_time_of_pair)

    def _stream(self, file: TraceFile) -> Iterator[tuple[str, list[Any]]]:
        process = file.header.process
        for events in file.batches():
            for event in events:
                yield process, event


def _time_of_pair(pair: tuple[str, list[Any]]) -> int:
    time: int = pair[1][0]
    return time
