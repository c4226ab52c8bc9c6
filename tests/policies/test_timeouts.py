"""Timeouts of every kind of number, and those that are no number."""

from __future__ import annotations

import pydoc
from ctypes import c_int16
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from django.core.cache.backends.base import DEFAULT_TIMEOUT

from django_momento.cache import MomentoCache
from django_momento.policies.timeouts import to_milliseconds
from tests.conftest import MakeCache
from tests.kit.tables import table


class Number:
    """An integer of 16 bits, such as ``numpy.int16``: it compares, and its products wrap around."""

    def __init__(self, value: int) -> None:
        self._value = value

    def __index__(self) -> int:
        return self._value

    def __gt__(self, other: Any) -> bool:
        return bool(self._value > other)

    def __mul__(self, other: int) -> Number:
        return Number(c_int16(self._value * other).value)


class Text(str):
    """A text that has __float__(), as NumPy's has."""

    def __float__(self) -> float:
        return float(str(self))


class Real:
    """A number of another library, which only float() can read."""

    def __init__(self, value: float) -> None:
        self._value = value

    def __float__(self) -> float:
        return self._value


@table(
    ("timeout", "expected"),
    [
        (60, 60_000),
        (0, 0),
        (-1, 0),
        (0.0001, 1),
        (1.5, 1500),
        (True, 1000),
        (False, 0),
        (Number(60), 60_000),
        (Number(200), 200_000),
        (Real(1.5), 1500),
        (Real(-1.0), 0),
        (Decimal("1.5"), 1500),
        (Decimal("1e400"), 3_600_000),
        (Fraction(3, 2), 1500),
        (10**400, 3_600_000),
        (-(10**400), 0),
        (float("inf"), 3_600_000),
        (float("-inf"), 0),
        (3601, 3_600_000),
        (None, 3_600_000),
    ],
)
def test_every_number_of_seconds_is_a_ttl(timeout: Any, expected: int) -> None:
    """In whole milliseconds, cut to MAX_TTL."""
    assert expected == to_milliseconds(timeout, 3600.0)


NO_NUMBERS: list[tuple[Any, type[Exception]]] = [
    ("60", TypeError),
    (Text("60"), TypeError),
    (b"60", TypeError),
    (bytearray(b"60"), TypeError),
    ("", TypeError),
    ([], TypeError),
    (object(), TypeError),
    (1j, TypeError),
    (timedelta(seconds=60), TypeError),
    (float("nan"), ValueError),
    (Decimal("nan"), ValueError),
    (Decimal("snan"), ValueError),
    (Real(float("nan")), ValueError),
    (Fraction(10**400), ValueError),
]


@pytest.mark.parametrize("verb", ["set", "add", "touch", "set_many", "get_or_set"])
@pytest.mark.parametrize(("timeout", "error"), NO_NUMBERS)
def test_anything_else_is_an_error_that_names_timeout(
    make_cache: MakeCache, verb: str, timeout: Any, error: type[Exception]
) -> None:
    """Loud in a cache that fails open too, and nothing changes."""
    cache = make_cache(OPTIONS={"IGNORE_EXCEPTIONS": True})
    cache.set("old", "value")
    arguments: dict[str, list[Any]] = {
        "set": ["old", 2],
        "set_many": [{"old": 2, "new": 2}],
        "touch": ["old"],
    }
    with pytest.raises(error, match=r"timeout is .*It must be a number of seconds, or None"):
        getattr(cache, verb)(*arguments.get(verb, ["new", 2]), timeout=timeout)

    assert {"old": "value"} == cache.get_many(["old", "new"])


def test_a_timedelta_is_told_its_seconds() -> None:
    """The likeliest mistake has its own fix."""
    with pytest.raises(TypeError, match=r"Give its total_seconds\(\)"):
        to_milliseconds(timedelta(seconds=60), 3600.0)


@pytest.mark.parametrize("verb", ["set", "add", "touch", "set_many", "get_or_set"])
def test_a_timeout_that_max_ttl_cuts_is_warned_of_once(
    make_cache: MakeCache, caplog: pytest.LogCaptureFixture, verb: str
) -> None:
    """With the group of the key, MAX_TTL and the alias, and without the rest of the key."""
    cache = make_cache(OPTIONS={"MAX_TTL": 3600})
    for number, timeout in enumerate([None, 3601, None]):
        key = f"state:{number}"
        arguments: dict[str, list[Any]] = {"set_many": [{key: 1}], "touch": [key]}
        getattr(cache, verb)(*arguments.get(verb, [key, 1]), timeout=timeout)

    (record,) = caplog.records
    message = record.getMessage()
    assert "Cache 'default'" in message
    assert "group 'state' from None to 3600 seconds" in message
    assert "MAX_TTL" in message
    assert "state:0" not in message


def test_a_timeout_of_the_settings_is_not_warned_of_with_each_call(
    make_cache: MakeCache, caplog: pytest.LogCaptureFixture
) -> None:
    """The system check W001 says it."""
    cache = make_cache(TIMEOUT=None, OPTIONS={"MAX_TTL": 3600})
    cache.set("key", "value")
    cache.set("key", "value", 3600)
    cache.touch("key", DEFAULT_TIMEOUT)

    assert [] == caplog.records


def test_help_shows_types_and_the_name_of_the_default() -> None:
    """Neither an address nor Any."""
    text = pydoc.plain(pydoc.render_doc(MomentoCache))

    assert "timeout: 'Timeout' = DEFAULT_TIMEOUT" in text
    assert "<object object" not in text
    assert "'Any'" not in text
