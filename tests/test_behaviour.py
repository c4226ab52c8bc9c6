"""What a Django user may rely on, over both faces and pairwise configurations, against a real server."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any

import pytest

from django_momento.cache import MomentoCache
from django_momento.client.calls import ItemGetTtl
from django_momento.client.registry import clients
from tests.conftest import MakeCache
from tests.kit.pairs import pairwise
from tests.kit.tables import table

# What a site may set, the default first, and whether it calls the methods or their async twins.
FACTORS = {
    "face": ["sync", "async"],
    "keys": ["as they are", "with prefix and version"],
    "serializer": ["pickle", "json"],
    "sign": ["by default", "the other way"],
    "reads": ["balanced", "consistent"],
    "failures": ["raise", "are ignored"],
}
CONFIGURATIONS = pairwise(FACTORS)


def params(configuration: dict[str, str]) -> dict[str, Any]:
    """Return the part of CACHES that a configuration stands for."""
    given: dict[str, Any] = {}
    options: dict[str, Any] = {}
    if configuration["keys"] != "as they are":
        given |= {"KEY_PREFIX": "site", "VERSION": 7}
    if configuration["serializer"] != "pickle":
        options["SERIALIZER"] = configuration["serializer"]
    if configuration["sign"] != "by default":
        options["SIGN"] = configuration["serializer"] != "pickle"
    if configuration["reads"] != "balanced":
        options["READ_CONCERN"] = configuration["reads"]
    if configuration["failures"] != "raise":
        options["IGNORE_EXCEPTIONS"] = True
    return given | ({"OPTIONS": options} if options else {})


class Face:
    """A cache through its sync methods, or through their async twins, under the same names."""

    def __init__(self, cache: MomentoCache, face: str) -> None:
        self.cache = cache
        self._face = face

    def __getattr__(self, verb: str) -> Any:
        if self._face == "sync":
            return getattr(self.cache, verb)

        def call(*args: Any, **kwargs: Any) -> Any:
            return asyncio.run(getattr(self.cache, f"a{verb}")(*args, **kwargs))

        return call

    def remaining(self, key: str) -> int | None:
        """Milliseconds that a key has left; None if it is missing."""

        def steps() -> Iterator[Any]:
            return (yield ItemGetTtl(self.cache.make_key(key).encode()))

        options = self.cache.options
        answer: int | None = clients.get(options.connection).run(options.cache_name, steps())  # type: ignore[arg-type]  # steps of any kind
        return answer


@pytest.fixture
def make_face(make_cache: MakeCache) -> Callable[[dict[str, str]], Face]:
    return lambda configuration: Face(make_cache(**params(configuration)), configuration["face"])


def with_each_cache(test: Callable[..., None]) -> Callable[..., None]:
    """Call a test with the cache of each configuration."""
    ids = ["-".join(configuration.values()) for configuration in CONFIGURATIONS]

    @wraps(test)
    def with_cache(make_face: Any, configuration: dict[str, str], **others: Any) -> None:
        test(cache=make_face(configuration), **others)

    own = [it for name, it in inspect.signature(test).parameters.items() if name != "cache"]
    names = "make_face", "configuration"
    added = [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY) for name in names]
    with_cache.__signature__ = inspect.Signature([*own, *added])  # type: ignore[attr-defined]  # pytest reads it
    return table("configuration", CONFIGURATIONS, ids=ids, afresh=True)(with_cache)


def within(expected_ms: int, actual: int | None) -> bool:
    """Whether a remaining time is what was asked for, less what the test itself may have taken."""
    return actual is not None and expected_ms - 20_000 <= actual <= expected_ms


@with_each_cache
def test_what_is_set_is_got(cache: Face) -> None:
    """Values come back as they went in, with their types."""
    values: list[Any] = [
        "text",
        "",
        0,
        -1,
        2**63 - 1,
        True,
        False,
        None,
        1.5,
        [1, "two", None],
        {"a": {"b": []}},
    ]
    for value in values:
        cache.set("key", value)
        got = cache.get("key", "default")
        assert (value, type(value)) == (got, type(got))


@with_each_cache
def test_a_missing_key_reads_as_the_default(cache: Face) -> None:
    """A miss is the default, which is None unless given."""
    assert cache.get("missing") is None
    assert cache.get("missing", "default") == "default"


@with_each_cache
def test_integers_over_64_bits_are_values_like_any_other(cache: Face) -> None:
    """Only incr has a limit; set and get have none."""
    cache.set("key", 2**64)
    assert cache.get("key") == 2**64


@with_each_cache
@table("timeout", [0, -1, -0.5])
def test_a_timeout_that_is_over_stores_nothing(cache: Face, timeout: float) -> None:
    """Zero and below mean: already expired, for every verb that takes a timeout."""
    cache.set("key", "old", 100)
    cache.set("key", "new", timeout)
    assert cache.has_key("key") is False
    assert cache.add("key", "new", timeout) is True
    assert cache.has_key("key") is False
    cache.set("key", "old", 100)
    assert cache.add("key", "new", timeout) is False
    assert cache.touch("key", timeout) is True
    assert cache.touch("key", timeout) is False
    cache.set_many({"key": "a", "other": "b"}, 100)
    assert cache.set_many({"key": "new"}, timeout) == []
    assert cache.get_many(["key", "other"]) == {"other": "b"}


@with_each_cache
def test_a_timeout_is_the_time_a_key_has(cache: Face) -> None:
    """Seconds in Django's terms are milliseconds in Momento's; None is the longest there is."""
    for timeout, milliseconds in ((100, 100_000), (100.5, 100_500), (None, 86_400_000), (10**6, 86_400_000)):
        cache.set("key", "value", timeout)
        assert within(milliseconds, cache.remaining("key"))
        cache.set_many({"many": "value"}, timeout)
        assert within(milliseconds, cache.remaining("many"))
        cache.delete("key")
        cache.add("key", "value", timeout)
        assert within(milliseconds, cache.remaining("key"))
    cache.set("key", "value")
    assert within(300_000, cache.remaining("key"))


@with_each_cache
def test_a_tiny_timeout_is_still_a_timeout(cache: Face) -> None:
    """Less than a millisecond is rounded up to one, not down to none."""
    cache.set("key", "value", 0.0001)
    assert cache.get("key") in ("value", None)


@with_each_cache
def test_add_stores_only_if_absent(cache: Face) -> None:
    """The first one wins, and says so."""
    assert cache.add("key", "first") is True
    assert cache.add("key", "second") is False
    assert cache.get("key") == "first"


@with_each_cache
def test_touch_changes_only_the_timeout(cache: Face) -> None:
    """A touched value lives as long as asked from now on; a missing one cannot be touched."""
    cache.set("key", "value", 100)
    assert cache.touch("key", 1000) is True
    assert within(1_000_000, cache.remaining("key"))
    assert cache.touch("key") is True
    assert within(300_000, cache.remaining("key"))
    assert cache.touch("key", None) is True
    assert within(86_400_000, cache.remaining("key"))
    assert cache.get("key") == "value"
    assert cache.touch("missing", 100) is False


@with_each_cache
def test_delete_says_whether_there_was_something(cache: Face) -> None:
    """Django promises a bool."""
    cache.set("key", "value")
    assert cache.delete("key") is True
    assert cache.delete("key") is False
    assert cache.get("key") is None


@with_each_cache
def test_has_key_sees_every_value(cache: Face) -> None:
    """A None that was stored is there."""
    cache.set("key", None)
    assert cache.has_key("key") is True
    assert cache.has_key("missing") is False


@with_each_cache
def test_incr_and_decr_count_and_leave_the_expiry_alone(cache: Face) -> None:
    """A rate limit's window ends when it was to end, however often it is hit."""
    cache.set("key", 40, 100)
    assert cache.incr("key") == 41
    assert cache.incr("key", 5) == 46
    assert cache.decr("key", 6) == 40
    assert cache.get("key") == 40
    assert within(100_000, cache.remaining("key"))


@with_each_cache
def test_incr_of_a_missing_key_is_a_value_error(cache: Face) -> None:
    """Django's contract: nothing is created."""
    with pytest.raises(ValueError, match="'key' not found"):
        cache.incr("key")
    with pytest.raises(ValueError, match="'key' not found"):
        cache.decr("key")
    assert cache.has_key("key") is False


@with_each_cache
@table("value", ["text", None, True, 1.5, [1]])
def test_incr_of_something_else_is_a_type_error_and_changes_nothing(cache: Face, value: Any) -> None:
    """What is not stored as a 64-bit integer cannot be counted."""
    cache.set("key", value)
    with pytest.raises(TypeError):
        cache.incr("key")
    assert cache.get("key") == value


@with_each_cache
def test_incr_beyond_64_bits_overflows_and_changes_nothing(cache: Face) -> None:
    """Not a ValueError, which callers take for a missing key and answer with a fresh counter."""
    cache.set("key", 2**63 - 1)
    with pytest.raises(OverflowError):
        cache.incr("key")
    with pytest.raises(OverflowError):
        cache.incr("key", 2**63)
    assert cache.get("key") == 2**63 - 1


@with_each_cache
def test_incr_of_more_than_64_bits_is_refused_and_changes_nothing(cache: Face) -> None:
    """Such an integer is a value like any other, and no counter; how it is stored decides on the error."""
    cache.set("key", 2**64)
    with pytest.raises((TypeError, OverflowError)):
        cache.incr("key")
    assert cache.get("key") == 2**64


@with_each_cache
@table("delta", [1.5, "1", None])
def test_incr_by_something_else_is_a_type_error(cache: Face, delta: Any) -> None:
    """A delta is an integer."""
    cache.set("key", 1)
    with pytest.raises(TypeError):
        cache.incr("key", delta)
    assert cache.get("key") == 1


@with_each_cache
def test_many_keys_are_read_and_written_at_once(cache: Face) -> None:
    """Only what is there is answered, under the names that were asked for."""
    assert cache.set_many({"a": 1, "b": "two", "c": None}) == []
    assert cache.get_many(["a", "b", "c", "d", "a"]) == {"a": 1, "b": "two", "c": None}
    assert cache.get_many(key for key in "ad") == {"a": 1}
    cache.delete_many(["a", "d", "a"])
    assert cache.get_many(["a", "b"]) == {"b": "two"}


@with_each_cache
def test_nothing_asked_is_nothing_done(cache: Face) -> None:
    """Empty batches are answered at once."""
    assert cache.get_many([]) == {}
    assert cache.set_many({}) == []
    assert cache.delete_many([]) is None


@with_each_cache
def test_large_batches_arrive_whole(cache: Face) -> None:
    """Chunks are the backend's affair, not the caller's."""
    data = {f"key{number}": number for number in range(2100)}
    assert cache.set_many(data) == []
    assert cache.get_many(data) == data
    cache.delete_many(list(data))
    assert cache.get_many(data) == {}


@with_each_cache
def test_large_values_arrive_whole(cache: Face) -> None:
    """Values near the limit of an item pass alone and in batches of several messages."""
    data = {f"key{number}": "x" * 4_000_000 for number in range(3)}
    assert cache.set_many(data) == []
    assert cache.get_many(data) == data


@with_each_cache
def test_get_or_set_stores_what_was_missing(cache: Face) -> None:
    """A default is stored, called if it is callable, and not even looked at on a hit."""
    assert cache.get_or_set("key", "value") == "value"
    assert cache.get_or_set("key", lambda: pytest.fail("called on a hit")) == "value"
    assert cache.get_or_set("called", lambda: 5, 100) == 5
    assert within(100_000, cache.remaining("called"))
    assert cache.get_or_set("null", None) is None
    assert cache.has_key("null") is True


def test_aget_or_set_awaits_a_default(make_cache: MakeCache) -> None:
    """A coroutine function is a default as any callable is."""
    cache = make_cache()

    async def default() -> str:
        await asyncio.sleep(0)
        return "awaited"

    assert asyncio.run(cache.aget_or_set("key", default)) == "awaited"
    assert cache.get("key") == "awaited"


@with_each_cache
def test_get_or_set_answers_the_faster_callers_value(cache: Face) -> None:
    """Of two that compute a value at once, one is stored, and both answer that."""

    def slower() -> str:
        cache.cache.set("key", "faster")
        return "slower"

    assert cache.get_or_set("key", slower) == "faster"


@with_each_cache
def test_versions_do_not_see_each_other(cache: Face) -> None:
    """The same key in another version is another key."""
    cache.set("key", "one", version=1)
    cache.set("key", "two", version=2)
    assert cache.get("key", version=1) == "one"
    cache.delete("key", version=1)
    assert cache.get("key", version=1) is None
    assert cache.get("key", version=2) == "two"


@with_each_cache
def test_incr_version_moves_a_value(cache: Face) -> None:
    """The old version is gone, the new one has the value."""
    cache.set("key", "value", 100, version=1)
    assert cache.incr_version("key", version=1) == 2
    assert cache.get("key", version=1) is None
    assert cache.get("key", version=2) == "value"
    assert cache.decr_version("key", version=2) == 1
    assert cache.get("key", version=1) == "value"
    with pytest.raises(ValueError, match="'missing' not found"):
        cache.incr_version("missing")


@with_each_cache
def test_clear_empties_the_momento_cache(cache: Face) -> None:
    """Everything under LOCATION goes."""
    cache.set_many({"a": 1, "b": 2})
    cache.clear()
    assert cache.get_many(["a", "b"]) == {}


@with_each_cache
def test_close_between_requests_changes_nothing(cache: Face) -> None:
    """Django closes caches after every request; the client is the process's."""
    cache.set("key", "value")
    cache.close()
    assert cache.get("key") == "value"
