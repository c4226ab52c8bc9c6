"""Values over Momento's limit of 5 MiB: the key reads as a miss afterwards, whoever stored the value."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from django.core.cache import caches
from django.http import HttpResponse
from django.middleware.cache import FetchFromCacheMiddleware, UpdateCacheMiddleware
from django.template import Context, Engine
from django.test import RequestFactory

from django_momento.client import operations
from django_momento.client.calls import Delete, Set
from django_momento.events import events
from django_momento.exceptions import ServerUnavailable, ValueTooLarge
from django_momento.local import LocalServer
from tests.conftest import MakeCache
from tests.kit.faces import call
from tests.kit.tables import table

LARGE = "x" * 6_000_000


@table("face", ["sync", "async"], afresh=True)
@table("fails_open", [False, True], afresh=True)
def test_a_set_that_is_too_large_leaves_a_miss(make_cache: MakeCache, face: str, fails_open: bool) -> None:
    """The old value is not taken for the new one, loud or open."""
    cache = make_cache(OPTIONS={"IGNORE_EXCEPTIONS": fails_open})
    cache.set("key", "old")
    if fails_open:
        call(cache, face, "set", "key", LARGE)
    else:
        with pytest.raises(ValueTooLarge):
            call(cache, face, "set", "key", LARGE)

    assert cache.get("key") is None


@table("face", ["sync", "async"], afresh=True)
@table("others", [{}, {"small": "new"}], afresh=True)
def test_a_set_many_that_is_too_large_leaves_a_miss(
    make_cache: MakeCache, face: str, others: dict[str, str]
) -> None:
    """For the keys that it returns, and no others."""
    cache = make_cache()
    cache.set_many({"large": "old", "small": "old"})

    assert ["large"] == call(cache, face, "set_many", {"large": LARGE, **others})
    assert {"small": "old", **others} == cache.get_many(["large", "small"])


@table("deleted", [True, False])
def test_an_item_that_momento_refuses_for_its_size_is_deleted(deleted: bool) -> None:
    """An account may have a lower limit than this package knows. The error is raised even if that fails."""
    calls = operations.set(b"key", b"value", 1000)

    assert Set(b"key", b"value", 1000) == next(calls)
    assert [Delete(b"key")] == calls.throw(ValueTooLarge("Momento refused the value."))
    with pytest.raises(ValueTooLarge, match="Momento refused the value"):
        calls.send([None if deleted else ServerUnavailable("gone")])


@table("fails_open", [False, True], afresh=True)
def test_a_page_that_is_too_large_is_served(
    make_cache: MakeCache, caplog: pytest.LogCaptureFixture, fails_open: bool
) -> None:
    """Middleware cannot catch the error, so that a warning and a count take its place."""
    make_cache(OPTIONS={"IGNORE_EXCEPTIONS": fails_open})

    def page(request: Any) -> HttpResponse:
        return HttpResponse(LARGE)

    middleware = UpdateCacheMiddleware(FetchFromCacheMiddleware(page))
    for _ in range(2):
        response = middleware(RequestFactory().get("/"))
        assert (200, len(LARGE)) == (response.status_code, len(response.content))

    assert {"ignored_exceptions": 2} == events.counts("default")
    (record,) = [record for record in caplog.records if record.name == "django_momento"]
    assert logging.WARNING == record.levelno
    assert "ValueTooLarge" in record.getMessage()


def test_other_errors_of_pages_stay_loud(settings: Any) -> None:
    """A page is no reason to hide an outage."""
    with LocalServer() as server:
        address = server.address
    options = {"CREDENTIALS": "local", "ENDPOINT": address}
    cache = {"BACKEND": "django_momento.cache.MomentoCache", "LOCATION": "a", "OPTIONS": options}
    settings.CACHES = {"default": cache}
    with pytest.raises(Exception, match="cannot be reached"):
        caches["default"].set("page", HttpResponse())


def test_a_page_with_a_fragment_that_is_too_large_is_served(
    make_cache: MakeCache, caplog: pytest.LogCaptureFixture
) -> None:
    """The tag of Django's templates stores it, and does not catch errors either."""
    make_cache()
    engine = Engine(libraries={"cache": "django.templatetags.cache"})
    template = engine.from_string("{% load cache %}{% cache 60 part %}{{ text }}{% endcache %}")

    assert LARGE == template.render(Context({"text": LARGE}))
    assert "ignored ValueTooLarge" in caplog.text
