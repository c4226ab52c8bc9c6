"""RecordingCache on real Redis servers, by Django's backend and by django-redis with its own methods."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import caches

from tests.kit.faces import FACES, call
from tests.kit.redis import RedisServer
from tests.kit.traces import forecast_of, recorded, recording


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(params=["django.core.cache.backends.redis.RedisCache", "django_redis.cache.RedisCache"])
def cache(request: Any, redis: RedisServer, settings: Any, tmp_path: Path) -> Iterator[Any]:
    wrapped = {"BACKEND": request.param, "LOCATION": redis.url, "KEY_PREFIX": "shop", "TIMEOUT": 90}
    settings.CACHES = {"redis": wrapped, "default": recording("redis", tmp_path / "t.jsonl.zst")}
    caches["redis"].clear()
    yield caches["default"]
    caches["redis"].close()


@FACES
def test_values_are_those_of_redis_and_the_forecast_is_made_of_its_trace(
    cache: Any, tmp_path: Path, face: str
) -> None:
    assert call(cache, face, "get", "k") is None
    call(cache, face, "set", "k", {"a": 1})
    assert call(cache, face, "get", "k") == caches["redis"].get("k") == {"a": 1}
    assert call(cache, face, "get_or_set", "computed", lambda: 7) == 7
    assert call(cache, face, "get_many", ["k", "missing"]) == {"k": {"a": 1}}
    call(cache, face, "set_many", {"n": 1, "m": 2}, 60)
    assert call(cache, face, "incr", "n") == 2
    assert call(cache, face, "delete", "k")

    found = forecast_of(tmp_path / "t.jsonl.zst")
    assert (found["baseline"]["reads"], found["baseline"]["hits"]) == (5, 2)
    # get 1, set 1, get 1, get_or_set 2, get_many 2, set_many 2, incr 2, delete 2
    assert found["baseline"]["operations"] == 13


def test_the_methods_of_django_redis_pass(cache: Any, tmp_path: Path) -> None:
    if not hasattr(cache, "ttl"):
        with pytest.raises(AttributeError, match="lock"):
            cache.lock("name")
        return
    cache.set("k", 1, timeout=60)
    assert 50 < cache.ttl("k") <= 60
    assert cache.set("k", 2, nx=True) is False
    assert cache.set("other", 2, nx=True) is True
    with cache.lock("name", timeout=60):
        pass
    assert cache.delete_pattern("oth*") == 1
    outcomes = [(each.verb, each.hit, each.timeout) for each in recorded(tmp_path / "t.jsonl.zst")]
    assert outcomes == [("set", None, 60), ("add", 1, 90), ("add", 0, 90)]
