"""Which aliases of CACHES are this backend's."""

from __future__ import annotations

from io import StringIO
from typing import Any

import pytest
from django.core.checks import run_checks
from django.core.management import CommandError, call_command

from django_momento.cache import MomentoCache
from django_momento.checks.aliases import momento_aliases
from tests.kit.tables import table

BACKEND = "django_momento.cache.MomentoCache"


class SubclassedCache(MomentoCache):
    """A site's own backend on top of ours."""


def test_only_momentos_aliases_are_found(settings: Any) -> None:
    """Subclasses count; other backends, and those that cannot be imported, do not."""
    settings.CACHES = {
        "default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},
        "momento": {"BACKEND": BACKEND, "LOCATION": "a"},
        "subclass": {"BACKEND": "tests.checks.test_aliases.SubclassedCache", "LOCATION": "a"},
        "broken": {"BACKEND": "no.such.Backend"},
        "function": {"BACKEND": "os.getcwd"},
    }
    assert ["momento", "subclass"] == momento_aliases()


@table("url", ["momento://my-cache?secret_id=a", "momento-local://127.0.0.1:8080/a"], afresh=True)
def test_the_url_of_a_cache_in_place_of_its_settings_is_an_error(settings: Any, url: str) -> None:
    """Which says how to read it, in the check and in the doctor."""
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}, "pages": url}
    (error,) = run_checks(tags=["momento"])

    assert "django_momento.E003" == error.id
    assert error.msg == "CACHES['pages'] is the text of a cache URL, but Django expects a dict."
    assert "Env.cache_url_config(url)" in str(error.hint)
    with pytest.raises(CommandError, match="1 of 1 caches failed: pages"):
        call_command("momento_check", stdout=StringIO())
