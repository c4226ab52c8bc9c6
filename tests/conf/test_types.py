"""Switches, durations and sizes, as people write them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from django_momento.conf.types import parse_bool, parse_bytes, parse_seconds
from tests.kit.tables import table


@table("text", ["true", "TRUE", "1", "yes", "y", "on", " on "])
def test_a_switch_is_on(text: str) -> None:
    """Every usual word for it is understood, in any case."""
    assert parse_bool(text) is True


@table("text", ["false", "False", "0", "no", "n", "off", " off "])
def test_a_switch_is_off(text: str) -> None:
    """Every usual word for it is understood, in any case."""
    assert parse_bool(text) is False


@table(
    ("text", "expected"),
    [
        ("90", 90),
        ("1.5", 1.5),
        ("3.6e3", 3600),
        ("-1", -1),
        (" 5 ", 5),
        ("500ms", 0.5),
        ("30s", 30),
        ("30S", 30),
        ("30 sec", 30),
        ("30 secs", 30),
        ("1 second", 1),
        ("5m", 300),
        ("5 min", 300),
        ("5 minutes", 300),
        ("1h", 3600),
        ("1.5h", 5400),
        ("2 hours", 7200),
        ("2d", 172800),
        ("14 days", 1209600),
        ("2w", 1209600),
        ("1h30m", 5400),
        ("1h 30m", 5400),
        ("1m500ms", 60.5),
    ],
)
def test_a_duration_is_read_in_seconds(text: str, expected: float) -> None:
    """A number is seconds; units may be short or long, and follow one another."""
    assert expected == parse_seconds(text)


@table(
    ("text", "expected"),
    [
        ("0", 0),
        ("1024", 1024),
        ("512B", 512),
        ("64k", 65536),
        ("64K", 65536),
        ("64 kB", 65536),
        ("1KiB", 1024),
        ("1.5k", 1536),
        ("2M", 2097152),
        ("2 MiB", 2097152),
        ("1G", 1073741824),
    ],
)
def test_a_size_is_read_in_bytes(text: str, expected: int) -> None:
    """Every k is 1,024, as Momento counts."""
    assert expected == parse_bytes(text)


@table(
    ("reader", "texts"),
    [
        (parse_bool, ["", "2", "maybe", "true false", "tru"]),
        (parse_seconds, ["", "s", "soon", "1,5", "5x", "5ms3", "1hs", "5mss", "1m s", "-5s", "5 5s"]),
        (parse_bytes, ["", "k", "-1", "1e3", "64kk", "5x", "0.3k", "1 2", "9" * 400]),
    ],
)
def test_what_is_none_is_refused(reader: Callable[[str], object], texts: list[str]) -> None:
    """Nothing is guessed."""
    for text in texts:
        with pytest.raises(ValueError):  # noqa: PT011 - its words are the caller's
            reader(text)
