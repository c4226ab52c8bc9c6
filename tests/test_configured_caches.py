"""Which aliases of CACHES are this backend's."""

from __future__ import annotations

from typing import Any

from django_momento.cache import MomentoCache
from django_momento.configured_caches import momento_aliases

BACKEND = "django_momento.cache.MomentoCache"


class SubclassedCache(MomentoCache):
    """A site's own backend on top of ours."""


def test_only_momentos_aliases_are_found(settings: Any) -> None:
    """Subclasses count; other backends, and those that cannot be imported, do not."""
    settings.CACHES = {
        "default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},
        "momento": {"BACKEND": BACKEND, "LOCATION": "a"},
        "subclass": {"BACKEND": "tests.test_configured_caches.SubclassedCache", "LOCATION": "a"},
        "broken": {"BACKEND": "no.such.Backend"},
        "function": {"BACKEND": "os.getcwd"},
    }
    assert ["momento", "subclass"] == momento_aliases()
