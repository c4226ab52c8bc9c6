"""The recipes of how-to/monitor.md: each does what the page says."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest
import sentry_sdk
from django.core.cache import cache, caches
from django.test import RequestFactory

from django_momento.local import LocalServer
from tests.docs.conftest import Apply
from tests.docs.pages import blocks

PAGE = "docs/how-to/monitor.md"


@pytest.fixture
def recipe(apply: Apply) -> Any:
    """Return the namespace of a file of the page, by its name."""

    def load(name: str) -> dict[str, Any]:
        (block,) = [block for block in blocks(PAGE) if block.caption == name]
        namespace: dict[str, Any] = {"__name__": name}
        exec(compile(block.text, name, "exec", dont_inherit=True), namespace)
        return namespace

    return load


@pytest.fixture
def observers(monkeypatch: pytest.MonkeyPatch) -> Any:
    from django_momento import events

    before = list(events.observers)
    yield events.observers
    events.observers[:] = before


def test_slow_calls_are_logged(
    recipe: Any, observers: Any, momento: LocalServer, caplog: pytest.LogCaptureFixture
) -> None:
    observers.append(recipe("slow_calls.py")["log_slow_calls"])
    cache.get("warm:1")
    caplog.clear()
    momento.delay(150)
    cache.get("page:1")
    (record,) = [record for record in caplog.records if record.name == "slow_calls"]
    assert record.getMessage().startswith("get of page took ")


def test_the_cost_of_a_feature_is_counted(recipe: Any, observers: Any) -> None:
    namespace = recipe("feature_cost.py")
    observers.append(namespace["count_operations"])
    with namespace["cost_of"]("search"):
        cache.get("page:1")
        cache.get("page:2")
    cache.get("page:3")
    assert namespace["operations"] == {"search": 2, "other": 1}


def test_sentry_gets_a_breadcrumb(recipe: Any, observers: Any) -> None:
    reports: list[Any] = []
    sentry_sdk.init(before_send=lambda report, hint: reports.append(report))
    try:
        observers.append(recipe("sentry_calls.py")["add_breadcrumb"])
        cache.get("page:secret")
        sentry_sdk.capture_message("something went wrong")
    finally:
        sentry_sdk.init()
    crumbs = [crumb for crumb in reports[0]["breadcrumbs"]["values"] if crumb["category"] == "cache"]
    assert [(crumb["message"], crumb["data"]["operations"]) for crumb in crumbs] == [("get page", 1)]


def test_a_low_hit_rate_is_an_alert(recipe: Any, caplog: pytest.LogCaptureFixture) -> None:
    check = recipe("hit_rate.py")["check_hit_rate"]
    check(lookups=1)
    cache.set("page:1", 1)
    caplog.clear()
    for key in ("page:1", "page:2", "page:3", "page:4"):
        cache.get(key)
    assert check(lookups=1000) is None
    with caplog.at_level(logging.ERROR):
        assert check(lookups=4) == 0.25
    assert "The hit rate of the cache is 25 %" in caplog.text


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("", "ok"),
        ("unauthenticated", "misconfigured"),
        ("not_found", "misconfigured"),
        ("resource_exhausted", "throttled"),
        ("unavailable", "out"),
    ],
)
def test_the_health_check_tells_errors_apart(
    status: str, state: str, recipe: Any, momento: LocalServer
) -> None:
    view = recipe("health.py")["cache_health"]
    caches["default"].get("warm")
    momento.fail(status)
    response = view(RequestFactory().get("/"))
    assert json.loads(response.content)["state"] == state
    assert response.status_code == (200 if state == "ok" else 503)
