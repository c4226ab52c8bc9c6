"""The guide from django-redis, followed with a small shop: on a real Redis before, and on Momento after it.

Every change of the shop's code is one that a row of the guide names. Both shops do the same.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from django_momento.local import LocalServer
from tests.docs.pages import ROOT, tables
from tests.kit.redis import RedisServer

SHOP = """
import datetime, json, sys
import django
from django.conf import settings

settings.configure(CACHES={"default": json.loads(sys.argv[1])}, SECRET_KEY="only for tests", USE_TZ=True)
django.setup()

from django.core.cache import cache

RENDERED = []


def page(shop, number):
    def render():
        RENDERED.append((shop, number))
        return f"page {number} of {shop}"

    return cache.get_or_set(f"shop:{shop}:page:{number}", render, 3600)


def forget(shop):
    cache.delete_pattern(f"shop:{shop}:*")


def count_visit(shop):
    return cache.incr(f"visits:{shop}", ignore_key_check=True)


def count_known(shop):
    try:
        return cache.incr(f"known:{shop}")
    except ValueError:
        return "unknown"


def hold(item):
    return cache.set(f"held:{item}", True, 60, nx=True)


def log_in(user):
    cache.set(f"online:{user}", True, 300)


def online():
    return sorted(key.removeprefix("online:") for key in cache.iter_keys("online:*"))


def seconds_left(user):
    return cache.ttl(f"online:{user}") or 0


def prolong(user):
    cache.expire(f"online:{user}", 900)


def keep(user):
    cache.persist(f"online:{user}")


def report():
    with cache.lock("report", timeout=30):
        other = cache.lock("report", timeout=30)
        return other.acquire(blocking=False)


def tidy_up():
    cache.clear()
    return cache.get("visits:tea")


done = [page("tea", 1), page("tea", 2), page("coffee", 1), page("tea", 1), len(RENDERED)]
forget("tea")
done += [page("tea", 1), page("coffee", 1), len(RENDERED)]
done += [count_visit("tea"), count_visit("tea"), count_known("tea"), bool(hold("pot")), bool(hold("pot"))]
log_in("ada"), log_in("grace"), log_in("ada")
cache.delete("online:grace")
done += [online(), 290 <= seconds_left("ada") <= 300, seconds_left("grace")]
prolong("ada")
done += [890 <= seconds_left("ada") <= 900]
keep("ada")
done += [cache.get("online:ada"), report(), report(), tidy_up()]
print(json.dumps(done))
"""

# The methods in the guide's table, and the changes of the shop that its rows ask for.
CHANGES = [
    ("delete_pattern", "render, 3600)", 'render, 3600, tags=[f"shop:{shop}"])'),
    ("delete_pattern", 'cache.delete_pattern(f"shop:{shop}:*")', 'cache.invalidate_tags(f"shop:{shop}")'),
    (
        "ignore_key_check",
        'return cache.incr(f"visits:{shop}", ignore_key_check=True)',
        'cache.add(f"visits:{shop}", 0, None)\n    return cache.incr(f"visits:{shop}")',
    ),
    ("nx=True", 'cache.set(f"held:{item}", True, 60, nx=True)', 'cache.add(f"held:{item}", True, 60)'),
    (
        "iter_keys",
        'cache.set(f"online:{user}", True, 300)\n',
        (
            'cache.set(f"online:{user}", True, 300)\n'
            '    cache.set("online", cache.get("online", set()) | {user}, None)\n'
        ),
    ),
    (
        "iter_keys",
        'cache.iter_keys("online:*"))',
        'cache.get_many([f"online:{user}" for user in cache.get("online", set())]))',
    ),
    ("persist", 'cache.persist(f"online:{user}")', 'cache.touch(f"online:{user}", None)'),
]

# Methods that have their name and meaning here too.
UNCHANGED = ("ttl", "expire", "lock", "get_or_set")


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[dict[str, Any]]:
    directory = tmp_path / "redis"
    directory.mkdir()
    with RedisServer(directory) as server:
        yield {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": server.url}


@pytest.fixture
def momento() -> Iterator[dict[str, Any]]:
    with LocalServer(caches=["my-cache"]) as server:
        options = {"CREDENTIALS": "local", "ENDPOINT": server.address, "CLEAR": "prefix"}
        yield {"BACKEND": "django_momento.cache.MomentoCache", "LOCATION": "my-cache", "OPTIONS": options}


def run(shop: str, config: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    """Run a shop with this cache, in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    environment.pop("DJANGO_SETTINGS_MODULE", None)
    command = [sys.executable, "-c", shop, json.dumps(config)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)


def test_a_shop_does_the_same_after_the_changes_that_the_guide_names(
    redis: dict[str, Any], momento: dict[str, Any]
) -> None:
    before = run(SHOP, redis)
    assert before.returncode == 0, before.stderr
    shop = SHOP
    for _method, old, new in CHANGES:
        assert shop.count(old) == 1, old
        shop = shop.replace(old, new)
    after = run(shop, momento)
    assert after.returncode == 0, after.stderr

    assert json.loads(before.stdout) == json.loads(after.stdout)
    assert json.loads(before.stdout)[-4:] == [True, False, False, None]


def test_each_method_that_is_missing_names_its_replacement(momento: dict[str, Any]) -> None:
    """The shop fails at one after the other, until all changes are made."""
    shop, met = SHOP, []
    for _ in range(len(CHANGES) + 1):
        done = run(shop, momento)
        if not done.returncode:
            break
        error = done.stderr.strip().splitlines()[-1]
        method = next(each for each, *_ in CHANGES if each.removesuffix("=True") in error)
        met.append(method)
        assert any(word in error for word in ("invalidate_tags", "add(", "touch(")), error
        for each, old, new in CHANGES:
            if each == method:
                shop = shop.replace(old, new)
    assert met == ["delete_pattern", "ignore_key_check", "nx=True", "iter_keys", "persist"]


def test_the_guide_has_a_row_for_each_method_of_the_shop() -> None:
    rows = [row for row in tables("docs/how-to/migrate-from-django-redis.md") if row]
    text = str(rows)
    for method in {*UNCHANGED, *(each for each, *_ in CHANGES)}:
        assert method in text
