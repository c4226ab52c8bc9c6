"""Timeouts of every kind of number, and those that are no number."""

from __future__ import annotations

import pydoc
from collections.abc import Callable
from ctypes import c_int16
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from django.core.cache.backends.base import DEFAULT_TIMEOUT

from django_momento.cache import MomentoCache
from django_momento.local import LocalServer
from django_momento.policies.timeouts import shorten, to_milliseconds, to_whole_seconds
from tests.conftest import MakeCache
from tests.kit.faces import EACH_FACE, call
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


class Duration:
    """A duration of another library, which is no timedelta."""

    def total_seconds(self) -> float:
        return 60.0


@table(
    ("timeout", "expected"),
    [
        (timedelta(minutes=1), 60_000),
        (timedelta(milliseconds=1.5), 2),
        (timedelta(microseconds=1), 1),
        (timedelta(0), 0),
        (timedelta(days=-1), 0),
        (timedelta.max, 3_600_000),
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
    (Duration(), TypeError),
    (float("nan"), ValueError),
    (Decimal("nan"), ValueError),
    (Decimal("snan"), ValueError),
    (Real(float("nan")), ValueError),
    (Fraction(10**400), ValueError),
]


@table("verb", ["set", "add", "touch", "set_many", "get_or_set"], afresh=True)
@table(("timeout", "error"), NO_NUMBERS, afresh=True)
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
    with pytest.raises(error, match=r"timeout is .*It must be a number of seconds, a timedelta or None"):
        getattr(cache, verb)(*arguments.get(verb, ["new", 2]), timeout=timeout)

    assert {"old": "value"} == cache.get_many(["old", "new"])


def test_a_duration_of_another_library_is_told_its_seconds() -> None:
    """The likeliest mistake has its own fix."""
    with pytest.raises(TypeError, match=r"Give its total_seconds\(\)"):
        to_milliseconds(Duration(), 3600.0)


@table("verb", ["set", "add", "touch", "set_many", "get_or_set"], afresh=True)
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


@EACH_FACE
@table("verb", ["set", "add", "touch", "expire", "set_many", "get_or_set", "TIMEOUT"], afresh=True)
def test_a_timedelta_is_as_good_as_its_seconds(make_cache: MakeCache, face: str, verb: str) -> None:
    """In every verb that takes a timeout, and in the settings of an alias."""
    minute = timedelta(minutes=1)
    cache = make_cache(TIMEOUT=minute if verb == "TIMEOUT" else 30)
    if verb in {"touch", "expire"}:
        cache.set("key", 1, 30)
    arguments: dict[str, list[Any]] = {"set_many": [{"key": 1}], "touch": ["key"], "expire": ["key"]}
    given = {} if verb == "TIMEOUT" else {"timeout": minute}
    call(cache, face, "set" if verb == "TIMEOUT" else verb, *arguments.get(verb, ["key", 1]), **given)

    assert cache.ttl("key") in range(51, 61)


@EACH_FACE
def test_ttl_is_the_seconds_left_and_none_for_a_missing_key(
    make_cache: MakeCache, face: str, momento: LocalServer
) -> None:
    """A key that exists never shows 0."""
    cache = make_cache()
    cache.set("old", 1, 60, version=2)
    cache.set("short", 1, 0.9)
    momento.reset_calls()

    assert call(cache, face, "ttl", "old", version=2) in range(51, 61)
    assert call(cache, face, "ttl", "short") in {1, None}
    assert call(cache, face, "ttl", "old") is None
    assert call(cache, face, "expire", "old", 500, version=2) is True
    assert call(cache, face, "ttl", "old", version=2) > 60
    assert call(cache, face, "expire", "old", 500) is False
    assert {"ItemGetTtl": 4, "UpdateTtl": 2} == momento.calls


@table(("milliseconds", "expected"), [(0, 1), (1, 1), (999, 1), (1000, 1), (1001, 2), (60_000, 60)])
def test_a_remaining_time_is_rounded_up_to_whole_seconds(milliseconds: int, expected: int) -> None:
    assert expected == to_whole_seconds(milliseconds)


@EACH_FACE
def test_ttl_and_expire_find_no_key_while_an_open_cache_is_away(make_cache: MakeCache, face: str) -> None:
    """As if the key were missing."""
    cache = make_cache(OPTIONS={"IGNORE_EXCEPTIONS": True, "ENDPOINT": "127.0.0.1:9"})

    assert call(cache, face, "ttl", "key") is None
    assert call(cache, face, "expire", "key", 60) is False


JITTERED: dict[str, Callable[[MomentoCache, int], object]] = {
    "set": lambda cache, number: cache.set(f"key{number}", 1, 10_000),
    "add": lambda cache, number: cache.add(f"key{number}", 1, 10_000),
    "touch": lambda cache, number: cache.touch(f"key{number}", 10_000),
    "get_or_set": lambda cache, number: cache.get_or_set(f"key{number}", 1, 10_000),
}


@table("verb", [*JITTERED, "set_many", "default"], afresh=True)
def test_ttl_jitter_shortens_timeouts_at_random_and_never_by_more(make_cache: MakeCache, verb: str) -> None:
    """Of the items of one set_many too, each by another part."""
    cache = make_cache(TIMEOUT=10_000, OPTIONS={"TTL_JITTER": 0.25})
    numbers = range(20)
    if verb == "touch":
        make_cache().set_many({f"key{number}": 1 for number in numbers}, 1000)
    if verb == "set_many":
        cache.set_many({f"key{number}": 1 for number in numbers}, 10_000)
    for number in numbers if verb != "set_many" else ():
        JITTERED.get(verb, lambda cache, number: cache.set(f"key{number}", 1))(cache, number)
    left = [cache.ttl(f"key{number}") for number in numbers]

    assert all(7_300 < seconds <= 10_000 for seconds in left if seconds)
    assert len({*left}) > 3


@table(("ttl", "jitter"), [(1, 1.0), (1, 0.5), (2, 1.0), (10**14, 1.0), (1000, 0.0)])
def test_a_shortened_ttl_is_at_least_a_millisecond_and_at_most_the_whole(ttl: int, jitter: float) -> None:
    assert all(1 <= shorten(ttl, jitter) <= ttl for _ in range(200))


def test_jitter_revives_no_timeout_that_is_over(make_cache: MakeCache) -> None:
    """A timeout of 0 still deletes."""
    cache = make_cache(OPTIONS={"TTL_JITTER": 1})
    cache.set("key", 1, 0)
    cache.set_many({"other": 1}, -1)

    assert {} == cache.get_many(["key", "other"])
