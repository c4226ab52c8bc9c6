"""The example site as a visitor meets it: in Chromium, served by uvicorn, with its key in a Secrets Manager.

The browser lives as long as this package's tests and no longer: Playwright keeps an event loop running in
the main thread, in which no other test could call ``asyncio.run()``.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
from playwright.sync_api import Browser, expect, sync_playwright

from django_momento.cache import MomentoCache
from django_momento.local import LocalServer
from tests.browser import chromium
from tests.browser.visitor import DESKTOP, Visitor
from tests.conftest import local_options
from tests.kit import aws as fixtures
from tests.kit.aws import REGION, V2_KEY, SecretsManager
from tests.kit.processes import Server
from tests.kit.waiting import HANG_GUARD
from tests.processes.requests import wait_until_open

# pytest finds fixtures by the names of a module.
moto_server = fixtures.moto_server

CACHE = "example"
SECRET_ID = "Momento_Auth_Token"


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        try:
            browser, _ = chromium.launch(playwright)
        except chromium.NoChromium as error:
            pytest.fail(str(error), pytrace=False)
        # Milliseconds. The default is five seconds, for which a busy machine may be away.
        expect.set_options(timeout=HANG_GUARD * 1000)
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def cache_server() -> Iterator[LocalServer]:
    with LocalServer(caches=[CACHE]) as server:
        yield server


UVICORN = ("uvicorn", "example_project.asgi:application", "--port", "0", "--lifespan", "off")
GUNICORN = ("gunicorn", "example_project.wsgi:application", "--bind", "127.0.0.1:0", "--threads", "4")


@contextmanager
def serving(
    cache_server: LocalServer,
    secrets_manager: SecretsManager,
    log: Path,
    command: tuple[str, ...] = UVICORN,
) -> Iterator[str]:
    """Serve the site in a process of its own, which starts with no figures. Return its address."""
    settings = {
        "DJANGO_SETTINGS_MODULE": "example_project.settings",
        "CACHE_URL": f"momento://{CACHE}?secret_id={SECRET_ID}&region={REGION}&client_timeout=15",
        "DEBUG": "false",
        "SECRET_KEY": "only for the browser's tests",
        "ALLOWED_HOSTS": "127.0.0.1",
        "AWS_ENDPOINT_URL_SECRETS_MANAGER": secrets_manager.url,
        "AWS_ACCESS_KEY_ID": "made-up",
        "AWS_SECRET_ACCESS_KEY": "made-up",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }
    with Server(*command, log=log, address=cache_server.address, **settings) as server:
        address = server.printed(r"(?:running on|Listening at:) (http://\S+)")
        wait_until_open(address)
        yield address
        assert server.terminate() in (0, -signal.SIGTERM)
        assert "Traceback" not in server.output
        assert V2_KEY not in server.output


@pytest.fixture(scope="package")
def secrets_manager(moto_server: SecretsManager, cache_server: LocalServer) -> SecretsManager:
    """A Secrets Manager that has the API key."""
    # The process has one moto: what the tests before these stored is in this one too.
    requests.post(f"{moto_server.url}/moto-api/reset", timeout=HANG_GUARD).raise_for_status()
    moto_server.create(SECRET_ID, json.dumps({"api_key": V2_KEY, "endpoint": cache_server.address}))
    return moto_server


@pytest.fixture(scope="package")
def served(
    cache_server: LocalServer, secrets_manager: SecretsManager, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The address of the site."""
    with serving(cache_server, secrets_manager, tmp_path_factory.mktemp("site") / "log") as address:
        yield address


@pytest.fixture
def site(served: str, cache_server: LocalServer) -> str:
    """The address of the site, whose cache is empty."""
    MomentoCache(CACHE, {"OPTIONS": local_options(cache_server)}).clear()
    return served


Visit = Callable[..., Visitor]


@pytest.fixture
def visit(site: str, browser: Browser) -> Iterator[Visit]:
    """Open windows on the site, each of a visitor of its own, in whose console there must be no error.

    Keyword arguments are those of Playwright's ``new_context``, such as ``color_scheme``.
    """
    visitors: list[Visitor] = []
    with ExitStack() as contexts:

        def open_window(window: tuple[int, int] = DESKTOP, **options: Any) -> Visitor:
            width, height = window
            viewport: Any = {"width": width, "height": height}
            context = browser.new_context(base_url=site, viewport=viewport, **options)
            context.set_default_timeout(HANG_GUARD * 1000)
            contexts.callback(context.close)
            visitors.append(Visitor(context.new_page()))
            return visitors[-1]

        yield open_window
        assert [] == [error for visitor in visitors for error in visitor.errors]
