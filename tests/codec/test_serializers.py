"""What each serializer takes and gives back, and what a dotted path must name."""

from __future__ import annotations

import dataclasses
import datetime as dt
import decimal
import enum
import math
import sys
import uuid
from typing import Any

import pytest
from django.utils.html import format_html
from django.utils.safestring import SafeString

from django_momento.codec.imports import OptionError
from django_momento.codec.serializers import find_serializer
from tests.kit.codecs import KEY, Configuration, Literals, needs_careful_msgpack, refusal
from tests.kit.tables import table


class Colour(enum.IntEnum):
    RED = 1


class Name(str):
    """Text of a type of its own."""


@dataclasses.dataclass
class Point:
    x: int


class Sloppy:
    """Answers text where bytes are due."""

    dumps = loads = staticmethod(str)


class NeedsArguments:
    def __init__(self, level: int) -> None:
        self.level = level


class Mute:
    loads = staticmethod(bytes)


class Deaf:
    dumps = staticmethod(bytes)
    loads = "not a method"


an_object = Literals()


def unusable(name: str) -> OptionError:
    with pytest.raises(OptionError) as raised:
        find_serializer(name)
    assert "SERIALIZER" == raised.value.option
    assert raised.value.fix
    return raised.value


@table(
    "value",
    [
        Colour.RED,
        Point(1),
        dt.datetime(2026, 1, 1, tzinfo=dt.timezone.utc),
        dt.date(2026, 1, 1),
        uuid.UUID(int=1),
        decimal.Decimal(1),
        {1, 2},
        object(),
        [Colour.RED],
        2**64,
        -(2**63) - 1,
        "\ud800",
    ],
)
def test_msgpack_refuses_what_would_come_back_as_something_else(value: object) -> None:
    """ormsgpack would store a date as text and a dataclass as a dict; silence is worse than a TypeError."""
    with pytest.raises(TypeError):
        find_serializer("msgpack").dumps(value)


@table(
    ("serializer", "value", "answer"),
    [
        ("json", (1, "a"), [1, "a"]),
        ("json", {1: "a"}, {"1": "a"}),
        ("msgpack", (1, "a"), [1, "a"]),
        ("msgpack", {1: "a", None: "b", (1, 2): "c"}, {1: "a", None: "b", (1, 2): "c"}),
        ("msgpack", bytearray(b"bytes"), b"bytes"),
        ("msgpack", {dt.date(2026, 1, 1): 1}, {"2026-01-01": 1}),
        ("msgpack", math.inf, math.inf),
        ("msgpack", b"\xff\0", b"\xff\0"),
        ("msgpack", 2**64 - 1, 2**64 - 1),
    ],
)
def test_what_comes_back_is_documented(serializer: str, value: object, answer: object) -> None:
    """docs/values.md says what each changes; nothing else changes."""
    found = find_serializer(serializer)

    assert repr(answer) == repr(found.loads(found.dumps(value)))


def test_a_value_nested_too_deep_for_msgpack_raises() -> None:
    """ormsgpack has a limit, and meeting it while writing is loud."""
    deep: list[Any] = []
    for _ in range(2000):
        deep = [deep]

    with pytest.raises(TypeError):
        find_serializer("msgpack").dumps(deep)


@needs_careful_msgpack
@table(
    "data",
    [
        b"\x91" * 100_000,
        b"\xdd\xff\xff\xff\xff" * 1000,
        b"\xdf\xff\xff\xff\xff\x00" * 1000,
        b"\xdb\xff\xff\xff\xff",
        b"\xd4\x01\x00",
        b"\xc1",
        b"",
        b"\xa2\xff\xff",
    ],
)
def test_what_is_no_msgpack_is_unreadable(data: bytes) -> None:
    """Depth, lengths that lie, extension types and broken text are misses."""
    codec = Configuration("msgpack", "neither").codec()

    assert refusal(codec, b"\x83" + data).startswith("it cannot be deserialized (")


def test_msgpack_that_believes_a_forger_needs_a_seal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before 1.13 ormsgpack sets memory aside for as many entries as a header claims: 6 KB took 2.5 GB."""
    monkeypatch.setattr("ormsgpack.__version__", "1.12.2")
    with pytest.raises(OptionError) as raised:
        Configuration("msgpack", "neither").codec()

    assert "SERIALIZER" == raised.value.option
    assert "ormsgpack before 1.13" in raised.value.cause
    assert "Set SIGN or ENCRYPTION_KEY, or upgrade." == raised.value.fix
    for protection in "SIGN", "ENCRYPTION_KEY":
        codec = Configuration("msgpack", protection).codec()
        assert "value" == codec.decode(KEY, codec.encode(KEY, "value"))


def test_msgpack_without_its_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever sets SERIALIZER first and installs later gets the command."""
    monkeypatch.setitem(sys.modules, "ormsgpack", None)

    assert "Install it: python -m pip install 'django-momento[msgpack]'." == unusable("msgpack").fix


@table("name", ["Literals", "an_object"])
def test_a_dotted_path_names_a_class_or_an_object(name: str) -> None:
    """A class is called without arguments; an object is taken as it is."""
    path = f"{__name__ if name == 'an_object' else 'tests.kit.codecs'}.{name}"
    codec = Configuration(path, "SIGN").codec()

    assert ("value", 1.5, b"") == codec.decode(KEY, codec.encode(KEY, ("value", 1.5, b"")))


@table(
    ("path", "reason"),
    [
        ("no_such_module.Serializer", "cannot be imported (ModuleNotFoundError"),
        (f"{__name__}.NoSuchClass", "cannot be imported (ImportError"),
        (f"{__name__}.NeedsArguments", "a class that cannot be instantiated (TypeError"),
        (f"{__name__}.Mute", "which has no method dumps()"),
        (f"{__name__}.Deaf", "which has no method loads()"),
        (f"{__name__}.KEY", "which has no method dumps()"),
    ],
)
def test_a_dotted_path_that_names_no_serializer_says_why(path: str, reason: str) -> None:
    """The error names the path, and what is wrong with what is there."""
    cause = unusable(path).cause

    assert repr(path) in cause
    assert reason in cause


def test_a_module_that_raises_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """A bug in the site's own module is told as what it is, not as a module that is missing."""
    (tmp_path / "broken_serializer.py").write_text("1 / 0")
    monkeypatch.syspath_prepend(tmp_path)

    assert "ZeroDivisionError" in unusable("broken_serializer.Serializer").cause


def test_a_dotted_path_that_answers_text_raises() -> None:
    """What cannot be stored is a bug of the serializer's, and loud."""
    with pytest.raises(TypeError, match=r"Sloppy\.dumps\(\) must return bytes, not str"):
        Configuration(f"{__name__}.Sloppy", "neither").codec().encode(KEY, "value")


def test_one_dotted_path_does_not_read_another() -> None:
    """Text of one serializer, which visitors may have written, must not be taken for another's code."""
    one = Configuration("tests.kit.codecs.Literals", "neither").codec()
    other = Configuration(f"{__name__}.an_object", "neither").codec()

    assert "it is unsigned data of a dotted path, which this configuration does not accept" == refusal(
        other, one.encode(KEY, "value")
    )


@table(
    "value",
    ["\ud800", "\udfff in the middle of ü", ["\ud83d"], {"\ud800": ["\udc00"]}, {"ü": "\U0001f600"}],
)
@table("seal", ["neither", "SIGN"])
def test_json_returns_lone_surrogates_as_they_were(value: object, seal: str) -> None:
    """A visitor can send a lone surrogate, and json.dumps() takes it."""
    codec = Configuration("json", seal).codec()
    data = codec.encode(KEY, value)

    assert value == codec.decode(KEY, data)


@table("text", ["1e999", "-1e999", "[1E+400]", '{"a":1.0e309}', "1" * 400 + ".0"])
def test_a_json_number_that_no_float_can_hold_is_unreadable(text: str) -> None:
    """Python would read infinity, which is not the number that was stored."""
    assert "it cannot be deserialized (ValueError)" == refusal(
        Configuration("json", "neither").codec(), text.encode()
    )


@table("number", [1.7976931348623157e308, -5e-324, 0.1, 1e22, 1e-999, 10**400])
def test_json_returns_every_number_that_it_takes(number: float) -> None:
    codec = Configuration("json", "neither").codec()

    assert number == codec.decode(KEY, codec.encode(KEY, number))


@table(
    ("value", "stored"),
    [
        (SafeString("<b>"), "<b>"),
        (format_html("<b>{}</b>", "&"), "<b>&amp;</b>"),
        (Name("text"), "text"),
        ([SafeString("a"), (Name("b"),)], ["a", ["b"]]),
        ({SafeString("key"): {Name("name"): SafeString("value")}}, {"key": {"name": "value"}}),
        (SafeString("\U0001f600"), "\U0001f600"),
        (SafeString(""), ""),
    ],
)
@table("serializer", ["json", "msgpack"])
def test_a_subclass_of_str_is_stored_as_text(serializer: str, value: object, stored: object) -> None:
    """Templates return SafeString. It comes back as str, so that a template escapes it."""
    codec = Configuration(serializer, "SIGN").codec()
    read = codec.decode(KEY, codec.encode(KEY, value))

    assert stored == read
    assert all(type(text) is str for text in texts_in(read))


def texts_in(value: object) -> list[str]:
    if isinstance(value, dict):
        return texts_in([*value.keys(), *value.values()])
    if isinstance(value, list):
        return [text for each in value for text in texts_in(each)]
    return [value] if isinstance(value, str) else []
