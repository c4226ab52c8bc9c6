"""A Momento server for the caches of a page, and the settings of a page on top of the site's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from django_momento.client.registry import clients
from django_momento.conf.loading import parse
from django_momento.conf.options import OPTIONS
from django_momento.events import events
from django_momento.local import LocalServer
from django_momento.monitoring.meter import meter
from tests.kit import ctrl_c, output, stalls

# pytest finds fixtures and hooks by the names of a module.
pytest_configure = stalls.pytest_configure
same_output_everywhere, ctrl_c_everywhere = output.same_output_everywhere, ctrl_c.ctrl_c_everywhere

BACKEND = "django_momento.cache.MomentoCache"
ENCRYPTION_KEY = "A" * 43


@pytest.fixture
def momento() -> Iterator[LocalServer]:
    with LocalServer(create_missing_caches=True) as server:
        yield server
        clients.close()
        events.forget()
        meter.forget()


Apply = Callable[[dict[str, Any]], None]


@pytest.fixture
def apply(settings: Any, momento: LocalServer) -> Apply:
    """Take settings over as a site would, with its Momento caches on the test's server."""

    def apply(given: dict[str, Any]) -> None:
        for name in given.keys() - {"CACHES"}:
            setattr(settings, name, given[name])
        if "CACHES" in given:
            configured = given["CACHES"].items()
            settings.CACHES = {alias: move_to_server(alias, config, momento) for alias, config in configured}

    apply(
        {
            "CACHES": {
                "default": {
                    "BACKEND": BACKEND,
                    "LOCATION": "my-cache",
                    "OPTIONS": {"CREDENTIALS": "embedded"},
                }
            }
        }
    )
    return apply


def move_to_server(alias: str, config: dict[str, Any], momento: LocalServer) -> dict[str, Any]:
    """Parse an alias as it is written, and return it with the key and endpoint of the server."""
    if config["BACKEND"] != BACKEND:
        return {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}
    rest = {name: value for name, value in config.items() if name not in ("BACKEND", "LOCATION")}
    parse(alias, config["LOCATION"], rest)
    options = {
        name: value
        for name, value in rest.get("OPTIONS", {}).items()
        if not OPTIONS[name].sources and name != "CREDENTIALS"
    }
    if options.get("ENCRYPTION_KEY") == "secret":
        options["ENCRYPTION_KEY"] = ENCRYPTION_KEY
    options |= {"CREDENTIALS": "local", "ENDPOINT": momento.address}
    return {**config, "OPTIONS": options}
