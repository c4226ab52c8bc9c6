"""``RecordingCache`` behaves as the cache that it wraps. Its trace has all calls, and no key or value."""

from __future__ import annotations

import asyncio
import threading
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import pytest
from django.core.cache import caches
from django.core.cache.backends.locmem import LocMemCache
from django.core.checks import run_checks

from django_momento.exceptions import ConfigurationError
from django_momento.traces.files import import_zstd
from django_momento.traces.format import Event
from tests.kit import recorded as fixtures
from tests.kit.faces import FACES, call
from tests.kit.raw import encode
from tests.kit.recorded import MEMORY
from tests.kit.tables import table
from tests.kit.traces import recorded, recording

trace, cache = fixtures.trace, fixtures.cache


DECOMPRESS: dict[str, Callable[[bytes], bytes]] = {
    ".jsonl": bytes,
    ".gz": lambda data: zlib.decompressobj(wbits=31).decompress(data),
    ".zst": lambda data: import_zstd("zstd").ZstdDecompressor().decompress(data),
}

E007 = "django_momento.E007"


SECRET = "a-value-that-nobody-should-see"


class Extended(LocMemCache):
    """A backend with methods and arguments beyond Django's."""

    color = "blue"

    def ttl(self, key: str) -> int:
        return len(key)

    def get(self, key: Any, default: Any = None, version: Any = None, client: str = "none") -> Any:
        return client if client != "none" else super().get(key, default, version)


class Native(LocMemCache):
    """A backend with an async method of its own. ``threads`` are those that it ran in."""

    threads: ClassVar[set[int]] = set()

    async def aget(self, key: Any, default: Any = None, version: Any = None) -> Any:
        self.threads.add(threading.get_ident())
        return self.get(key, default, version)


def facts(events: list[Event]) -> list[tuple[Any, ...]]:
    return [(each.verb, each.hit, each.timeout, each.batch) for each in events]


@FACES
def test_each_verb_is_recorded_with_its_outcome(cache: Any, trace: Path, face: str) -> None:
    call(cache, face, "set", "a", 1, 60)
    call(cache, face, "set", "for-ever", 1, None)
    assert call(cache, face, "get", "a") == 1
    assert call(cache, face, "get", "missing", "default") == "default"
    assert call(cache, face, "get_many", ["a", "missing"]) == {"a": 1}
    assert call(cache, face, "set_many", {"b": 2, "c": 3}) == []
    assert call(cache, face, "add", "a", 5, 10) is False
    assert call(cache, face, "add", "d", 5, 10) is True
    assert call(cache, face, "incr", "a", 2) == 3
    assert call(cache, face, "decr", "a") == 2
    with pytest.raises(ValueError, match="missing"):
        call(cache, face, "incr", "missing")
    assert call(cache, face, "touch", "a", 30) is True
    assert call(cache, face, "has_key", "missing") is False
    assert call(cache, face, "get_or_set", "e", lambda: 7, 20) == 7
    assert call(cache, face, "get_or_set", "e", lambda: 8, 20) == 7
    assert call(cache, face, "incr_version", "b") == 2
    assert call(cache, face, "delete", "a") is True
    call(cache, face, "delete_many", ["a", "c", "missing"])
    call(cache, face, "clear")

    assert facts(recorded(trace)) == [
        ("set", None, 60, 1),
        ("set", None, None, 1),
        ("get", 1, None, 1),
        ("get", 0, None, 1),
        ("get_many", 1, None, 2),
        ("get_many", 0, None, 2),
        ("set_many", None, 300, 2),
        ("set_many", None, 300, 2),
        ("add", 1, 10, 1),
        ("add", 0, 10, 1),
        ("incr", 1, None, 1),
        ("incr", 1, None, 1),
        ("incr", 0, None, 1),
        ("touch", 1, 30, 1),
        ("has_key", 0, None, 1),
        ("get_or_set", 0, 20, 1),
        ("get_or_set", 1, 20, 1),
        ("incr_version", 1, None, 1),
        ("delete", 1, None, 1),
        *[("delete_many", None, None, 3)] * 3,
        ("clear", None, None, 1),
    ]


@table("name", ["t.jsonl", "t.jsonl.gz", "t.jsonl.zst"], afresh=True)
def test_a_trace_has_no_key_and_no_value(settings: Any, tmp_path: Path, name: str) -> None:
    settings.CACHES = {"memory": MEMORY, "default": recording("memory", tmp_path / name)}
    caches["default"].set("user:4711:token", SECRET)
    caches["default"].get("user:4711:token")

    first, second = recorded(tmp_path / name)
    assert first.key == second.key
    assert (first.group, first.key_bytes) == ("user", len(":1:user:4711:token"))
    (file,) = tmp_path.iterdir()
    content = DECOMPRESS[file.suffix](file.read_bytes()).decode()
    assert first.key in content
    for secret in (SECRET, "4711:token"):
        assert secret not in content


@pytest.mark.parametrize("key", ["token", "token of somebody", "t" * 200, "tökén", "", None])
@pytest.mark.filterwarnings("ignore::django.core.cache.CacheKeyWarning")
def test_a_key_without_a_colon_is_not_its_own_group(cache: Any, trace: Path, key: Any) -> None:
    cache.get(key)
    assert [event.group for event in recorded(trace)] == ["other"]


def test_a_sample_has_all_calls_of_its_keys(settings: Any, tmp_path: Path) -> None:
    """A key is in the sample or not, in each call and in batches. The other keys are counted."""
    half = tmp_path / "half.jsonl"
    settings.CACHES = {"memory": MEMORY, "half": recording("memory", half, SAMPLE=0.5)}
    keys = [f"k{number}" for number in range(200)]
    for key in keys:
        caches["half"].set(key, 1)
    caches["half"].get_many(keys)

    events = [each for each in recorded(half) if each.key]
    sets, gets = ([each.key for each in events if each.verb == verb] for verb in ("set", "get_many"))
    assert sorted(sets) == sorted(gets)
    assert 60 < len(sets) < 140
    assert {each.batch for each in events} == {1, 200}
    others = [each for each in recorded(half) if not each.key]
    assert {(each.verb, each.hit, each.batch) for each in others} == {("set", None, 1), ("get_many", 1, 200)}
    assert sum(each.keys for each in others) == 400 - len(events)


def test_other_methods_arguments_and_attributes_are_those_of_the_wrapped_cache(
    settings: Any, trace: Path
) -> None:
    settings.CACHES = {
        "other": {"BACKEND": f"{__name__}.Extended", "KEY_PREFIX": "shop", "VERSION": 3, "TIMEOUT": 7},
        "default": recording("other", trace),
    }
    cache: Any = caches["default"]

    assert (cache.ttl("abc"), cache.color, cache.get("k", client="eu")) == (3, "blue", "eu")
    assert (cache.key_prefix, cache.version, cache.default_timeout) == ("shop", 3, 7)
    assert cache.make_key("k") == "shop:3:k"
    assert "k" not in cache
    with pytest.raises(AttributeError, match="lock"):
        cache.lock("k")
    cache.set("k", 1)
    cache.has_key("k")
    cache.key_prefix = "other"
    assert caches["other"].key_prefix == "other"
    cache.set("k", 1)
    second, first, third = recorded(trace)[-3:]
    assert first.key == second.key != third.key


def test_the_size_is_that_of_the_stored_item(cache: Any, trace: Path, make_cache: Any, momento: Any) -> None:
    """Each value has the length that Momento stores for it. A large one has its compressed size too."""
    values = [1, -(2**63), 2**70, True, None, "text", "\u00e9" * 300, b"b" * 100_000, {"k": [1.5] * 500}]
    for number, value in enumerate(values):
        cache.set(f"k{number}", value)
    events = recorded(trace)

    theirs = make_cache()
    for number, value in enumerate(values):
        theirs.set(f"k{number}", value)
        stored = encode(theirs, b":1:k%d" % number, value)
        assert events[number].value_bytes == len(stored), value
    assert [each.compressed_bytes is not None for each in events] == [False] * 7 + [True] * 2


def test_a_value_that_cannot_be_pickled_costs_only_its_size(settings: Any, trace: Path) -> None:
    dummy = {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}
    settings.CACHES = {"dummy": dummy, "default": recording("dummy", trace)}

    caches["default"].set("k", lambda: None)

    (event,) = recorded(trace)
    assert (event.verb, event.value_bytes) == ("set", None)


def test_the_async_methods_are_those_of_the_wrapped_cache(settings: Any, trace: Path) -> None:
    """Tasks of several event loops record, and no call runs in another thread than its loop's."""
    Native.threads.clear()
    settings.CACHES = {
        "native": {"BACKEND": f"{__name__}.Native", "LOCATION": "native"},
        "default": recording("native", trace),
    }
    cache = caches["default"]

    async def many() -> None:
        await asyncio.gather(*(cache.aget(f"k{number}") for number in range(50)))

    asyncio.run(many())
    asyncio.run(many())
    assert Native.threads == {threading.get_ident()}
    assert len(recorded(trace)) == 100


def test_keys_of_any_type_are_recorded(cache: Any, trace: Path) -> None:
    """True, 1 and 1.0 are equal, and different keys of a cache. A list has no hash."""
    for key in (1, True, 1.0, "1", ["a"]):
        cache.set(key, 1)
    cache.delete_many([["a"], 1])
    keys = [each.key for each in recorded(trace)]
    assert keys[0] == keys[3] == keys[6]
    assert keys[4] == keys[5]
    assert len(set(keys)) == 4


@table(
    ("options", "text"),
    [
        ({"CACHE": "nothing"}, "CACHE is 'nothing', which is no alias"),
        ({"CACHE": "default"}, "leads back to itself"),
        ({"CACHE": "dual"}, "leads back to itself"),
        ({"CACHE": None}, "CACHE is None"),
        ({"TRACE": None}, "TRACE is None"),
        ({"TRACE": "trace.txt"}, "ends with one of .jsonl, .jsonl.gz, .jsonl.zst"),
        ({"SAMPLE": 0}, "SAMPLE is 0"),
        ({"SAMPLE": 1.5}, "SAMPLE is 1.5"),
        ({"SAMPLE": "half"}, "SAMPLE is 'half'"),
        ({"MAX_BYTES": 10}, "MAX_BYTES is 10"),
        ({"MAX_BYTES": float("inf")}, "MAX_BYTES is inf"),
        ({"MAX_BYTES": float("nan")}, "MAX_BYTES is nan"),
        ({"SAMPEL": 1}, "OPTIONS has 'SAMPEL'"),
        ({"KEY_GROUP": "no.such.function"}, "KEY_GROUP is 'no.such.function'"),
    ],
    afresh=True,
)
def test_a_wrong_option_is_an_error_that_names_it(
    settings: Any, tmp_path: Path, options: dict[str, Any], text: str
) -> None:
    configured = recording("memory", tmp_path / "t.jsonl")
    configured["OPTIONS"].update(options)
    dual = {"BACKEND": "django_momento.migration.DualCache", "OPTIONS": {"OLD": "default", "NEW": "memory"}}
    settings.CACHES = {"memory": MEMORY, "dual": dual, "default": configured}
    with pytest.raises(ConfigurationError, match=text):
        caches["default"].get("k")
    # Not the tag alone: Django's own checks make each cache.
    messages = [f"{problem.msg} {problem.hint}" for problem in run_checks() if problem.id == E007]
    assert len(messages) == 1
    assert text in messages[0]
    caches["default"].close()


def test_a_setting_of_the_wrapped_alias_is_refused_unless_it_is_the_same(settings: Any, trace: Path) -> None:
    both = {"memory": {**MEMORY, "TIMEOUT": 60}, "default": {**recording("memory", trace), "TIMEOUT": 60}}
    settings.CACHES = both
    assert caches["default"].default_timeout == 60

    both["default"]["TIMEOUT"] = 90
    settings.CACHES = dict(both)
    with pytest.raises(ConfigurationError, match=r"TIMEOUT is 90, and 60 in CACHES\['memory'\]"):
        caches["default"].get("k")


def _first_letter(key: str) -> str:
    return key[0]


def test_key_group_names_the_groups(settings: Any, trace: Path) -> None:
    settings.CACHES = {
        "memory": MEMORY,
        "default": recording("memory", trace, KEY_GROUP=f"{__name__}._first_letter"),
    }
    caches["default"].get("xyz")
    assert recorded(trace)[0].group == "x"
