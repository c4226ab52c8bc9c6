"""From CACHES to the codec: OPTIONS say what is stored, and what is missing is said before any value is."""

from __future__ import annotations

import base64
import logging
import sys
from typing import Any

import pytest
from django.core.cache import caches
from django.test import override_settings

from django_momento.cache import MomentoCache
from django_momento.codec.compressors import find_compressor
from django_momento.events import events
from django_momento.exceptions import ConfigurationError
from django_momento.local import LocalServer
from tests.conftest import MakeCache, local_options
from tests.kit.codecs import DOTTED_PATH
from tests.kit.raw import read_bytes, write_bytes
from tests.kit.tables import table

KEYS = [base64.b64encode(bytes((number,)) * 32).decode() for number in range(3)]
LONG = ["value"] * 1000


def stored(cache: MomentoCache, value: object) -> bytes:
    """Return the bytes that Momento has after a cache stored a value."""
    cache.set("key", value)
    data = read_bytes(cache, "key")
    assert data is not None
    return data


def refusal(**options: Any) -> ConfigurationError:
    """Return the reason why a cache with these OPTIONS cannot be used."""
    config: dict[str, Any] = {"BACKEND": "django_momento.cache.MomentoCache", "LOCATION": "my-cache"}
    # A length of its own: a codec that another test has made would not be made again.
    config["OPTIONS"] = {"CREDENTIALS": "env", "COMPRESS_MIN_LENGTH": 4321} | options
    with override_settings(CACHES={"pages": config}):
        cache = caches["pages"]
        assert isinstance(cache, MomentoCache)
        with pytest.raises(ConfigurationError) as refused:
            cache.check_settings()
    return refused.value


@table(
    "options",
    [
        {},
        {"SERIALIZER": "json"},
        {"SERIALIZER": "json", "COMPRESSOR": "zlib"},
        {"SERIALIZER": "msgpack", "COMPRESSOR": "lz4"},
        {"SERIALIZER": DOTTED_PATH, "COMPRESSOR": "gzip"},
        {"ENCRYPTION_KEY": KEYS[0], "COMPRESSOR": "zstd"},
        {"ENCRYPTION_KEY": KEYS[0], "SIGN": True, "COMPRESSOR": "lzma"},
    ],
    afresh=True,
)
def test_values_come_back_from_a_server(make_cache: MakeCache, options: dict[str, Any]) -> None:
    """Through the whole of it: short, long, many, counted, moved to another version."""
    cache = make_cache(OPTIONS=options)
    cache.set_many({"short": "value", "long": LONG, "count": 1})

    assert {"short": "value", "long": LONG, "count": 2} == {
        **cache.get_many(["short", "long"]),
        "count": cache.incr("count"),
    }
    cache.incr_version("long")
    assert LONG == cache.get("long", version=2)
    assert cache.add("new", LONG)
    assert LONG == cache.get("new")


@table(
    ("options", "first"),
    [
        ({}, 0xA1),
        ({"SIGN": False}, 0x81),
        ({"SERIALIZER": "msgpack"}, 0xA3),
        ({"SERIALIZER": "json", "SIGN": True}, 0xA2),
        ({"SERIALIZER": DOTTED_PATH}, 0xA4),
        ({"SERIALIZER": DOTTED_PATH, "SIGN": False}, 0x84),
        ({"ENCRYPTION_KEY": KEYS[0]}, 0xC1),
        ({"ENCRYPTION_KEY": KEYS[0], "SIGN": True}, 0xC1),
        ({"ENCRYPTION_KEY": KEYS[0], "SIGN": False}, 0xC1),
        ({"ENCRYPTION_KEY": KEYS[0], "SERIALIZER": "json"}, 0xC2),
        ({"COMPRESSOR": "zlib"}, 0xB1),
        ({"COMPRESSOR": "zlib", "COMPRESS_MIN_LENGTH": 10_000}, 0xA1),
    ],
    afresh=True,
)
def test_options_say_what_is_stored(make_cache: MakeCache, options: dict[str, Any], first: int) -> None:
    """Pickles and what a dotted path writes are sealed unless that is switched off by hand."""
    assert first == stored(make_cache(OPTIONS=options), LONG)[0]


def test_encryption_can_be_turned_on_and_its_keys_changed_without_a_miss(make_cache: MakeCache) -> None:
    """The way of docs/values.md: SIGN beside ENCRYPTION_KEY, then a second key behind, then in front."""
    steps: list[dict[str, Any]] = [
        {},
        {"SIGN": True, "ENCRYPTION_KEY": KEYS[0]},
        {"SIGN": True, "ENCRYPTION_KEY": f"{KEYS[0]},{KEYS[1]}"},
        {"SIGN": True, "ENCRYPTION_KEY": f"{KEYS[1]},{KEYS[0]}"},
    ]
    for number, options in enumerate(steps):
        cache = make_cache(OPTIONS=options)
        cache.set(f"key-{number}", LONG)
        assert [LONG] * (number + 1) == [cache.get(f"key-{earlier}") for earlier in range(number + 1)]

    cache = make_cache(OPTIONS={"ENCRYPTION_KEY": KEYS[1]})
    assert [None, None, None, LONG] == [cache.get(f"key-{number}") for number in range(4)]


def test_a_secret_key_changes_without_a_miss(make_cache: MakeCache) -> None:
    """Django's own rotation holds for signed values."""
    with override_settings(SECRET_KEY="old"):
        make_cache().set("key", "value")
    with override_settings(SECRET_KEY="new", SECRET_KEY_FALLBACKS=["old"]):
        assert "value" == make_cache().get("key")
    with override_settings(SECRET_KEY="new"):
        assert make_cache().get("key") is None


@table("method", ["get", "get_many", "get_or_set", "incr_version"], afresh=True)
def test_what_cannot_be_read_is_a_miss_for_every_method(
    make_cache: MakeCache, method: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The values of another key are misses with a warning that shows none, whichever method meets them."""
    make_cache(OPTIONS={"ENCRYPTION_KEY": KEYS[0]}).set("key", "hunter2")
    cache = make_cache(OPTIONS={"ENCRYPTION_KEY": KEYS[1]})
    caplog.set_level(logging.WARNING, "django_momento")

    match method:
        case "get":
            assert "default" == cache.get("key", "default")
        case "get_many":
            assert {} == cache.get_many(["key"])
        case "get_or_set":
            cache.get_or_set("key", "new")
        case "incr_version":
            with pytest.raises(ValueError, match="'key' not found"):
                cache.incr_version("key")
    assert "hunter2" not in caplog.text


@table(
    ("options", "module", "extra"),
    [
        ({"SERIALIZER": "msgpack"}, "ormsgpack", "msgpack"),
        ({"COMPRESSOR": "lz4"}, "lz4.block", "lz4"),
        ({"COMPRESSOR": "zstd"}, "backports.zstd", "zstd"),
        ({"ENCRYPTION_KEY": KEYS[0]}, "cryptography.hazmat.primitives.ciphers.aead", "encryption"),
    ],
    afresh=True,
)
def test_a_missing_package_is_said_with_the_command(
    options: dict[str, str], module: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not with the first value, at night: alias, option and command, and nothing of a key."""
    find_compressor.cache_clear()
    monkeypatch.setitem(sys.modules, "compression.zstd", None)
    monkeypatch.setitem(sys.modules, module, None)
    [name] = options
    error = refusal(**options)

    assert f"CACHES['pages']['OPTIONS']['{name}'] needs the module {module}, which cannot be" in error.cause
    assert f"Install it: python -m pip install 'django-momento[{extra}]'." == error.fix
    assert KEYS[0] not in str(error)


def test_a_dotted_path_that_cannot_be_used_is_said_with_its_alias() -> None:
    """A typo in the path names alias and option, too."""
    assert (
        "CACHES['pages']['OPTIONS']['SERIALIZER'] is 'tests.kit.codecs.NoSuch', which cannot be imported"
        in refusal(SERIALIZER="tests.kit.codecs.NoSuch").cause
    )


def test_all_packages_that_are_missing_are_said_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """One installation then mends them, with the words that each has alone."""
    find_compressor.cache_clear()
    for module in ("ormsgpack", "lz4.block", "cryptography.hazmat.primitives.ciphers.aead"):
        monkeypatch.setitem(sys.modules, module, None)
    options = {"SERIALIZER": "msgpack", "COMPRESSOR": "lz4", "ENCRYPTION_KEY": KEYS[0]}
    problems = refusal(**options).problems

    assert {"encryption", "msgpack", "lz4"} == {
        each.fix.partition("[")[2].partition("]")[0] for each in problems
    }
    assert [] == [each for each in problems if "CACHES['pages']['OPTIONS']['" not in each.cause]


def test_a_serializer_that_needs_a_seal_is_not_used_without(monkeypatch: pytest.MonkeyPatch) -> None:
    """An old ormsgpack must not meet what anybody may have written."""
    monkeypatch.setattr("ormsgpack.__version__", "1.12.2")

    assert "CACHES['pages']['OPTIONS']['SERIALIZER'] needs signed or encrypted values here" in str(
        refusal(SERIALIZER="msgpack", SIGN=False)
    )


def test_a_cache_shows_no_key(make_cache: MakeCache) -> None:
    """Neither the options nor the codec nor the cache show a key where they are printed."""
    cache = make_cache(OPTIONS={"ENCRYPTION_KEY": ",".join(KEYS)})
    cache.set("key", "value")
    parts = [cache, cache.options, *vars(cache).values()]
    shown = " ".join(f"{part} {part!r} {getattr(part, '__dict__', '')!r}" for part in parts)
    assert "Codec" in shown

    assert [] == [key for key in KEYS if key in shown or repr(base64.b64decode(key)) in shown]


@pytest.mark.parametrize("options", [{}, {"ENCRYPTION_KEY": KEYS[0]}], ids=["signed", "encrypted"])
def test_a_value_copied_to_another_momento_cache_is_not_read(options: dict[str, Any]) -> None:
    """LOCATION is part of the signature, and of the encryption."""
    with LocalServer(caches=["one", "other"]) as server:
        config = {
            "BACKEND": "django_momento.cache.MomentoCache",
            "OPTIONS": local_options(server, **options),
        }
        aliases = {name: {**config, "LOCATION": name} for name in ("one", "other")}
        with override_settings(CACHES=aliases):
            one, other = caches["one"], caches["other"]
            assert isinstance(one, MomentoCache)
            assert isinstance(other, MomentoCache)
            data = stored(one, "value")
            write_bytes(one, "copy", data)
            write_bytes(other, "key", data)

            assert one.get("key") == "value"
            assert other.get("key", "missing") == "missing"
            assert events.counts("other") == {"unreadable_values": 1}
            assert one.get("copy", "missing") == "missing"
