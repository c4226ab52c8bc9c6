"""An expiry is understood however it is written, and what is none is said to be none."""

from __future__ import annotations

import pytest

from django_momento.credentials.api_key import unix_seconds
from tests.kit.tables import table

MOMENT = 1_800_000_000.0


@table(
    "written",
    [
        1_800_000_000,
        1_800_000_000.0,
        1_800_000_000_000,
        "1800000000",
        "1800000000.0",
        " 1800000000000 ",
        "1.8e9",
        "2027-01-15T08:00:00Z",
        "2027-01-15T08:00:00+00:00",
        "2027-01-15T08:00:00.000Z",
        "2027-01-15T10:00:00+02:00",
        "2027-01-15T08:00:00",
        "2027-01-15 08:00",
    ],
)
def test_a_moment_is_understood_however_it_is_written(written: object) -> None:
    """Seconds are Momento's, milliseconds JavaScript's, and ISO 8601 what people write."""
    moment = unix_seconds(written)

    assert (MOMENT, float) == (moment, type(moment))


@table(("written", "seconds"), [(1, 1.0), (0.5, 0.5), ("1", 1.0), (99_999_999_999, 99_999_999_999.0)])
def test_small_numbers_are_seconds(written: object, seconds: float) -> None:
    """A key that expired long ago has expired."""
    assert seconds == unix_seconds(written)


@table("written", [None, "", 2**64 - 1, "18446744073709551615", 10**400, float("inf"), "9" * 400])
def test_what_never_comes_is_no_expiry(written: object) -> None:
    """Nothing is written, or the largest number there is."""
    assert unix_seconds(written) is None


@table(
    "written",
    [
        0,
        -1,
        "0",
        "-5",
        float("nan"),
        "nan",
        float("-inf"),
        True,
        False,
        "soon",
        "2027-13-01",
        "0001-01-01T00:00:00+23:59",
        " ",
        [],
        {},
        b"1",
        "1;2",
    ],
)
def test_what_is_not_a_time_is_refused_without_being_shown(written: object) -> None:
    """The words can go into a log: what stood beside a secret does not."""
    with pytest.raises(ValueError, match=r"^is not a time$") as refused:
        unix_seconds(written)

    assert ("is not a time",) == refused.value.args
    assert refused.value.__context__ is None
