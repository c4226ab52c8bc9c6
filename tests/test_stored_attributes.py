"""Values that were stored with attributes, as the verbs of a cache see them."""

from __future__ import annotations

import time
from typing import Any

import pytest

from django_momento.cache import MomentoCache
from django_momento.client import operations
from django_momento.codec.attributes import Attributed, Attributes
from tests.conftest import MakeCache
from tests.kit.faces import EACH_FACE, call
from tests.kit.raw import decode, encode, find_client
from tests.kit.tables import table


def store(cache: MomentoCache, key: str, value: Any, attributes: Attributes) -> None:
    momento_key = f":1:{key}".encode()
    data = encode(cache, momento_key, value, attributes)
    find_client(cache).run(cache.options.cache_name, operations.set(momento_key, data, 60_000))


def in_seconds(seconds: float) -> Attributes:
    return Attributes(round((time.time() + seconds) * 1000))


@EACH_FACE
@table("options", [{}, {"SERIALIZER": "json"}, {"ENCRYPTION_KEY": "A" * 22}], afresh=True)
def test_a_read_after_the_time_a_value_is_fresh_is_a_miss(
    make_cache: MakeCache, face: str, options: dict[str, Any]
) -> None:
    cache = make_cache(OPTIONS=options)
    for key, seconds in {"fresh": 60, "stale": -1}.items():
        store(cache, key, [key], in_seconds(seconds))

    assert call(cache, face, "get", "fresh") == ["fresh"]
    assert call(cache, face, "get", "stale", "missing") == "missing"
    assert call(cache, face, "get_many", ["fresh", "stale"]) == {"fresh": ["fresh"]}
    with pytest.raises(ValueError, match="'stale' not found"):
        call(cache, face, "incr_version", "stale")


@EACH_FACE
def test_an_integer_with_attributes_cannot_be_incremented(make_cache: MakeCache, face: str) -> None:
    """It is not stored as digits, and stays as it is."""
    for options in ({}, {"SERIALIZER": "json"}):
        cache = make_cache(OPTIONS=options)
        store(cache, "count", 5, in_seconds(60))

        with pytest.raises(TypeError, match="not an integer"):
            call(cache, face, "incr", "count")
        assert call(cache, face, "get", "count") == 5


@EACH_FACE
def test_a_value_keeps_its_attributes_under_another_version(make_cache: MakeCache, face: str) -> None:
    cache = make_cache()
    attributes = Attributes(2**60, (("products", b"8 bytes."),))
    store(cache, "key", 5, attributes)

    assert call(cache, face, "incr_version", "key") == 2

    data = find_client(cache).run(cache.options.cache_name, operations.get(b":2:key"))
    assert decode(cache, b":2:key", data) == Attributed(5, attributes)
