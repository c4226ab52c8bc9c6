"""Sizes and durations as typed on the command line."""

import pytest

from django_momento.local.units import parse_duration, parse_size
from tests.kit.tables import table


@table(
    ("text", "size"),
    [("1", 1), ("1048576", 1048576), ("2k", 2048), ("64M", 64 * 1024**2), (" 1G ", 1024**3)],
)
def test_sizes_are_bytes_or_carry_a_unit(text: str, size: int) -> None:
    """Plain bytes and K, M and G in either case are understood."""
    assert parse_size(text) == size


@table("text", ["", "0", "0M", "-1", "1.5G", "M", "64MB", "1T", "1_000", "²"])
def test_what_is_no_size_is_refused_by_name(text: str) -> None:
    """The error repeats the text and shows how to write a size."""
    with pytest.raises(ValueError, match="is not a size greater than 0") as caught:
        parse_size(text)
    assert str(caught.value).startswith(repr(text))


@table(("text", "milliseconds"), [("0ms", 0), ("50ms", 50), (" 50 MS ", 50), ("1s", 1000), ("2 s", 2000)])
def test_durations_carry_a_unit(text: str, milliseconds: int) -> None:
    """Milliseconds and seconds, in either case."""
    assert parse_duration(text) == milliseconds


@table("text", ["", "0", "50", "-1s", "0.5s", "s", "1m", "1 00ms", "²s"])
def test_a_duration_without_a_known_unit_is_refused(text: str) -> None:
    """50 could be either."""
    with pytest.raises(ValueError, match="is not a duration") as caught:
        parse_duration(text)
    assert str(caught.value).startswith(repr(text))
