"""Any two of the backends that people have, as OLD and NEW, on both faces."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import caches

from tests.conftest import CACHE_NAME, local_options
from tests.kit.faces import EACH_FACE, call
from tests.kit.tables import table

NAMES = ("memory", "file", "redis", "django_redis", "momento", "silent")


@pytest.fixture
def configuration(redis_server, momento):
    def configure(name: str, folder: Path) -> dict[str, Any]:
        django = "django.core.cache.backends"
        prefix = {"KEY_PREFIX": name}
        return {
            "memory": {"BACKEND": f"{django}.locmem.LocMemCache", "LOCATION": str(folder)},
            "file": {"BACKEND": f"{django}.filebased.FileBasedCache", "LOCATION": str(folder)},
            "redis": redis_server.settings(**prefix),
            "django_redis": {
                "BACKEND": "django_redis.cache.RedisCache",
                "LOCATION": redis_server.url,
                **prefix,
            },
            "momento": {
                "BACKEND": "django_momento.cache.MomentoCache",
                "LOCATION": CACHE_NAME,
                "OPTIONS": local_options(momento),
            },
            "silent": {"BACKEND": "tests.migration.backends.Silent", "LOCATION": f"{folder}-silent"},
        }[name]

    return configure


@EACH_FACE
@table(("old", "new"), permutations(NAMES, 2), afresh=True)
def test_a_migration_leads_from_each_backend_to_each_other(
    make_dual, phases, configuration, tmp_path, face, old, new
):
    """Values that only OLD has are copied, if it tells their time, and nothing written on the way is lost."""
    cache = make_dual(configuration(old, tmp_path), configuration(new, tmp_path))
    caches["old"].set_many({"a": "1", "b": ["2"], "c": {"3": 3}}, 100)

    def do(verb: str, *args: Any) -> Any:
        return call(cache, face, verb, *args)

    assert ("1", {"b": ["2"]}) == (do("get", "a"), do("get_many", ["b", "none"]))
    do("set", "d", "4", 100)
    phases.switch("dual")
    assert ("1", {"b": ["2"], "d": "4"}) == (do("get", "a"), do("get_many", ["b", "d", "none"]))
    assert (True, False) == (do("add", "lock", "mine"), do("add", "lock", "other"))
    do("set", "count", 1)
    assert (3, 3) == (do("incr", "count", 2), do("get", "count"))
    assert (True, False) == (do("touch", "a", 200), do("touch", "none", 200))
    assert (True, None) == (do("delete", "c"), do("get", "c"))
    assert "5" == do("get_or_set", "e", "5", 100)
    phases.switch("done")
    copied = {} if old == "silent" else {"a": "1", "b": ["2"]}
    assert {**copied, "d": "4", "e": "5"} == do("get_many", ["a", "b", "c", "d", "e"])
