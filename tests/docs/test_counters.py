"""The table of counted events has each kind that the code records."""

from __future__ import annotations

import ast
import re
import threading
import time

from django.conf import settings
from django.core.cache import cache, caches
from django.db import transaction
from pytest_django import DjangoDbBlocker

from django_momento import events
from django_momento.cache import MomentoCache
from django_momento.client.registry import clients
from django_momento.local import LocalServer
from django_momento.monitoring.statistics import Stats
from django_momento.policies import leases
from tests.docs.conftest import Apply
from tests.docs.pages import ROOT, table


def wait_for_others(cache: MomentoCache) -> None:
    """Let get_or_set() wait for another caller and for another process, and return a stale value."""
    cache.get_or_set("stale", "old", 0.01, stale=60)
    time.sleep(0.03)
    cache.get_or_set("stale", lambda: cache.get_or_set("stale", "inner", stale=60), stale=60)

    def default() -> str:
        thread = threading.Thread(target=lambda: cache.get_or_set("joined", "inner", wait=0.01))
        thread.start()
        thread.join()
        return "outer"

    cache.get_or_set("joined", default)
    momento_key = b":1:leased"
    clients.get(cache.options.connection).run(
        cache.options.cache_name, leases.acquire(momento_key, bytes(16), 60_000)
    )
    cache.get_or_set("leased", "value", lease=60, wait=0.01)


def test_the_counters_are_all_there(
    apply: Apply, momento: LocalServer, django_db_blocker: DjangoDbBlocker
) -> None:
    """The table has the counters of unreadable values and of outages, and those of the client are figures."""
    loud = settings.CACHES["default"]
    config = {**loud, "OPTIONS": {**loud["OPTIONS"], "IGNORE_EXCEPTIONS": True}}
    apply(
        {
            "CACHES": {
                "loud": loud,
                "default": config,
                "unsigned": {**config, "OPTIONS": {**config["OPTIONS"], "SIGN": False}},
            }
        }
    )
    caches["unsigned"].set("foreign", ["value"])
    assert cache.get("foreign") is None
    cache.set_many({"large": "x" * 6_000_000, "small": 1}, timeout=10**9)
    default = caches["default"]
    assert isinstance(default, MomentoCache)
    client = clients.get(default.options.connection)
    with default.lock("lost", 60):
        default.clear()
    wait_for_others(default)
    momento.stop()
    cache.get("foreign")
    with django_db_blocker.unblock(), transaction.atomic():
        caches["loud"].invalidate_tags("tag", on_commit=True)  # type: ignore[attr-defined]  # a cache of ours
    counted = {**events.events.counts("default"), **events.events.counts("loud")}
    documented = [name.strip("`") for name, _ in table("reference/monitoring.md", "event")]
    assert counted.keys() <= {*documented}
    assert sorted(documented) == sorted(kinds_of_events())
    assert client.counts.keys() <= Stats.__annotations__.keys()


def kinds_of_events() -> set[str]:
    """Return each kind of event that the code of a cache records, which is a name in a call of a recorder."""
    return {
        str(argument.value)
        for path in (ROOT / "django_momento").rglob("*.py")
        # A move from one cache to another has a report of its own.
        if path.parent.name != "migration"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and getattr(node.func, "attr", getattr(node.func, "id", "")).strip("_") in ("record", "count")
        for argument in node.args[:2]
        if isinstance(argument, ast.Constant) and re.fullmatch("[a-z_]+", str(argument.value))
    }
