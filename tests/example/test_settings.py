"""The example's settings: safe defaults for one machine, and nothing unsafe beyond it."""

from __future__ import annotations

import asyncio
import importlib
import os
import subprocess
import sys

import pytest
from asgiref.testing import ApplicationCommunicator
from django.core.exceptions import ImproperlyConfigured
from django.test import Client

from django_momento.local import LocalServer
from tests.kit.tables import table

OBSERVER = "example_project.activity.observe"


def test_defaults_to_the_embedded_server(read_settings):
    """Without any environment variable the site needs no account, key or network."""
    assert read_settings()["CACHES"]["default"] == {
        "BACKEND": "django_momento.cache.MomentoCache",
        "LOCATION": "example",
        "OPTIONS": {"CREDENTIALS": "embedded", "OBSERVERS": OBSERVER},
    }


def test_takes_the_cache_from_the_environment(read_settings):
    """CACHE_URL chooses the cache."""
    caches = read_settings(CACHE_URL="momento://shop?secret_id=Token&region=eu-west-1")["CACHES"]

    assert caches["default"]["LOCATION"] == "shop"
    assert caches["default"]["OPTIONS"] == {
        "SECRET_ID": "Token",
        "REGION": "eu-west-1",
        "OBSERVERS": OBSERVER,
    }


def test_leaves_another_backend_as_it_is(read_settings):
    """Only a Momento cache can be observed; the site runs on any."""
    assert "LocMem" in read_settings(CACHE_URL="locmemcache://")["CACHES"]["default"]["BACKEND"]


@pytest.mark.parametrize("debug", ["0", "false", "off"])
def test_refuses_the_public_secret_key_without_debug(read_settings, debug):
    """A key that everyone can read signs nothing, so a site that is not local does not start with it."""
    with pytest.raises(ImproperlyConfigured, match="SECRET_KEY"):
        read_settings(DEBUG=debug)


def test_starts_without_debug_on_a_key_of_its_own(read_settings):
    """A secret key from the environment is all that a site without DEBUG needs."""
    settings = read_settings(DEBUG="0", SECRET_KEY="long and random", ALLOWED_HOSTS="a.example,b.example")

    assert settings["DEBUG"] is False
    assert settings["SECRET_KEY"] == "long and random"
    assert settings["ALLOWED_HOSTS"] == ["a.example", "b.example"]


def test_sessions_end_within_a_day(read_settings):
    """Momento on demand keeps nothing longer than a day, so no session promises to last longer."""
    assert read_settings()["SESSION_COOKIE_AGE"] <= 24 * 60 * 60


def test_is_served_over_asgi_too(site: Client):
    """The ASGI application of the demo responds like the WSGI application."""
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "GET",
        "path": "/",
        "query_string": b"",
        "headers": [(b"host", b"testserver")],
    }

    async def first_answer() -> dict[str, object]:
        application = ApplicationCommunicator(
            importlib.import_module("example_project.asgi").application, scope
        )
        await application.send_input({"type": "http.request"})
        message = await application.receive_output(timeout=10)
        await application.receive_output(timeout=10)  # the body: only then does Django tidy up
        await application.wait()
        return message

    assert asyncio.run(first_answer())["status"] == 200


@table(("variable", "expected"), [({"WARM_UP": "true"}, {"Get": 1, "KeysExist": 1}), ({}, {})])
def test_a_process_connects_while_it_starts_if_it_is_told_to(variable, expected):
    """So the first page of the demo shows the time of a cache call, without the key."""
    with LocalServer(caches=["example"]) as server:
        url = f"momento-local://{server.address}/example"
        environment = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
        subprocess.run(
            [sys.executable, "-c", "import example_project.asgi"],
            env={**environment, "CACHE_URL": url, **variable},
            check=True,
            timeout=60,
        )
        assert expected == dict(server.calls)
