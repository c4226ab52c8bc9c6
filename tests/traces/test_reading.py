"""Reading traces: whole, cut short, garbled, of several processes, and what is no trace at all."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from django_momento.traces.files import SUFFIXES, TraceFiles
from django_momento.traces.format import LOST, Event, Header
from django_momento.traces.reading import Trace, TraceError, find_files
from tests.kit.tables import table
from tests.kit.traces import DAY, START, event, write_trace

EVENTS = [event(number, "get", number, hit=1) for number in range(200)]


def write(folder: Path, suffix: str, process: str = "7-1", whole: bool = True, portion: int = 10) -> Path:
    """Write the events as the recorder does, a portion at a time, and return the only file."""
    header = json.dumps(Header(1.0, process, START).as_dict()) + "\n"
    files = TraceFiles(folder / f"t{suffix}", process, header.encode(), 64 * 1024 * 1024)
    for start in range(0, len(EVENTS), portion):
        lines = [json.dumps(each) for each in EVENTS[start : start + portion]]
        files.write(("\n".join(lines) + "\n").encode())
    files.close() if whole else files.abandon()
    (path,) = find_files([str(folder / f"t{suffix}")])
    return path


def read(*paths: Path) -> tuple[list[Event], Trace]:
    """Return the events of a trace, and the trace with its counts."""
    trace = Trace(paths)
    return [Event(*fields) for _, fields in trace.events()], trace


@table("suffix", SUFFIXES, afresh=True)
def test_what_was_written_is_read(tmp_path: Path, suffix: str) -> None:
    """All formats, also while the process is still writing."""
    for whole in (True, False):
        folder = tmp_path / str(whole)
        folder.mkdir()
        events, trace = read(write(folder, suffix, whole=whole))
        assert events == EVENTS
        assert (trace.skipped, trace.lost, trace.sample) == (0, 0, 1.0)


@pytest.mark.parametrize("suffix", SUFFIXES)
@settings(deadline=None, max_examples=40, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_file_that_is_cut_anywhere_gives_the_events_before(
    tmp_path_factory: pytest.TempPathFactory, suffix: str, data: st.DataObject
) -> None:
    path = write(tmp_path_factory.mktemp("cut"), suffix)
    content = path.read_bytes()
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    try:
        events, trace = read(path)
    except TraceError as error:
        assert "first line" in str(error) or "there is no trace in it" in str(error)  # noqa: PT017 - cut within the header
        return
    assert events == EVENTS[: len(events)]
    assert trace.skipped <= 1


GARBAGE = st.one_of(
    st.text(st.characters(blacklist_characters="\n", blacklist_categories=["Cs"]), min_size=1, max_size=40),
    st.sampled_from(
        ["[1,2]", "null", '{"a":1}', '[1,0,"get","k","g",1,null,null,null,2,1,1]', "[[]]", "][", "[" * 50_000]
    ),
    st.sampled_from(
        [
            json.dumps(EVENTS[0]._replace(**wrong))
            for wrong in (
                {"time": 0},
                {"time": 10**30},
                {"time": START + 401 * DAY},
                {"timeout": float("nan")},
                {"timeout": float("inf")},
                {"timeout": 10**400},
                {"key_bytes": -1},
                {"key_bytes": 10**400},
                {"value_bytes": 10**400},
                {"compressed_bytes": -1},
                {"took": -1},
                {"batch": 10**400},
                {"key": "\ud800"},
                {"value_bytes": 1.5},
                {"keys": 0},
                {"batch": 0},
                {"hit": "yes"},
            )
        ]
    ),
)


@settings(deadline=None, max_examples=60, suppress_health_check=list(HealthCheck))
@given(places=st.lists(st.tuples(st.integers(1, 200), GARBAGE), max_size=6))
def test_lines_that_are_no_events_are_skipped_and_counted(
    tmp_path_factory: pytest.TempPathFactory, places: list[tuple[int, str]]
) -> None:
    path = write_trace(tmp_path_factory.mktemp("garbled") / "t.jsonl", EVENTS)
    lines = path.read_text().split("\n")
    places = [(place, text) for place, text in places if text.strip()]
    for place, text in sorted(places, reverse=True):
        lines.insert(place, text)
    path.write_text("\n".join(lines), encoding="utf-8", newline="\n")

    events, trace = read(path)
    assert events == EVENTS
    assert trace.skipped == len(places)


@table("suffix", SUFFIXES[1:], afresh=True)
def test_data_that_cannot_be_decompressed_ends_a_file(tmp_path: Path, suffix: str) -> None:
    path = write(tmp_path, suffix, portion=200)
    content = bytearray(path.read_bytes() * 1)
    garbled = bytes(byte ^ 0xFF for byte in content)
    path.write_bytes(garbled)
    with pytest.raises(TraceError, match=r"it cannot be decompressed\. Give the files"):
        read(path)


def test_files_of_several_processes_are_merged_by_time(tmp_path: Path) -> None:
    """Events of one file may be late: the order is that of their starts."""
    late = [event(2, "get", 1), event(0, "get", 2), event(1, "get", 3)]
    one = write_trace(tmp_path / "a.jsonl", late, process="1")
    two = write_trace(tmp_path / "b.jsonl", [event(0.5, "get", 4), event(3, "get", 5)], process="2")

    pairs = list(Trace([one, two]).events())
    assert [int(fields[3], 16) for _, fields in pairs] == [2, 4, 3, 1, 5]
    assert [process for process, _ in pairs] == ["1", "2", "1", "1", "2"]


def test_lost_events_are_counted(tmp_path: Path) -> None:
    path = write_trace(tmp_path / "t.jsonl", EVENTS)
    path.write_text(path.read_text() + json.dumps({LOST: 12}) + "\n")
    assert read(path)[1].lost == 12


def test_a_trace_is_found_by_its_files_its_folder_and_its_path(tmp_path: Path) -> None:
    for suffix in SUFFIXES:
        write(tmp_path, suffix)
    (tmp_path / "other.txt").write_text("no trace")
    assert len(find_files([str(tmp_path)])) == 3
    (plain,) = find_files([str(tmp_path / "t.jsonl")])
    assert find_files([str(plain), str(plain)]) == [plain]


@table(
    ("name", "content", "text"),
    [
        ("t.jsonl", "", "is empty, so there is no trace in it. Record some traffic first."),
        ("t.jsonl", "hello\n", "is not a trace of RecordingCache: its first line is 'hello'."),
        ("t.jsonl", '{"a": 1}\n', "is not a trace of RecordingCache"),
        ("t.jsonl", "[]\n", "is not a trace of RecordingCache"),
        ("t.jsonl", "x" * 100_000, "it has a line of more than 65,536 bytes."),
        ("t.jsonl", '{"momento_trace": 9}\n', "has version 9 of the format"),
        ("t.jsonl.gz", "hello\n", "it cannot be decompressed."),
        ("t.jsonl.zst", "hello\n", "it cannot be decompressed."),
        ("t.csv", "a,b\n", "does not end with .jsonl, .jsonl.gz or .jsonl.zst"),
    ],
    afresh=True,
)
def test_a_file_that_is_no_trace_is_an_error_that_says_why(
    tmp_path: Path, name: str, content: str, text: str
) -> None:
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(TraceError) as raised:
        Trace(find_files([str(path)]))
    assert text in str(raised.value)
    assert name in str(raised.value)


@table("field", ["sample", "process", "started"], afresh=True)
@table("value", [None, "x", -1], afresh=True)
def test_a_header_with_a_wrong_field_is_refused_or_read(tmp_path: Path, field: str, value: object) -> None:
    """A name of a process may be any text."""
    header = {**Header(1.0, "1", START).as_dict(), field: value}
    path = tmp_path / "t.jsonl"
    path.write_text(json.dumps(header) + "\n")
    if field == "process" or (field == "started" and value == -1):
        assert Trace([path]).sample == 1.0
    else:
        with pytest.raises(TraceError, match="is not a trace of RecordingCache: its header"):
            Trace([path])


def test_files_of_different_samples_are_refused(tmp_path: Path) -> None:
    paths = [write_trace(tmp_path / f"{sample}.jsonl", EVENTS, sample=sample) for sample in (1.0, 0.5)]
    with pytest.raises(TraceError, match=r"different values of SAMPLE \(0.5, 1\)"):
        Trace(paths)


def test_files_of_different_years_are_refused(tmp_path: Path) -> None:
    one, two = (write_trace(tmp_path / f"{name}.jsonl", EVENTS) for name in "ab")
    two.write_text(two.read_text().replace(f'"started": {START}', f'"started": {START - 500 * DAY}'))
    with pytest.raises(TraceError, match="more than 400 days apart"):
        Trace([one, two])
