"""A Momento that fails when a test says so, a shielded cache, and the same cache in another process."""

from __future__ import annotations

from typing import Any

from django.core.cache import caches

from django_momento.cache import MomentoCache
from django_momento.events import events
from django_momento.exceptions import MomentoCacheError
from django_momento.local import LocalServer
from django_momento.policies.near import Near
from django_momento.policies.shield import Repairs
from tests.conftest import CACHE_NAME, local_options
from tests.kit.raw import find_memory
from tests.kit.waiting import eventually


class Momento:
    """A server that can fail, a shielded cache, and the same cache as another process sees it."""

    def __init__(self, server: LocalServer, settings: Any) -> None:
        self.server = server
        self._settings = settings
        self.cache = self.make()
        self.elsewhere = MomentoCache(CACHE_NAME, {"OPTIONS": local_options(server, CONNECT_TIMEOUT=6)})

    def make(self, **options: Any) -> MomentoCache:
        options = local_options(self.server, **{"STALE_IF_ERROR": 100, **options})
        backend = "django_momento.cache.MomentoCache"
        self._settings.CACHES = {"default": {"BACKEND": backend, "LOCATION": CACHE_NAME, "OPTIONS": options}}
        cache = caches["default"]
        assert isinstance(cache, MomentoCache)
        return cache

    def fail(self, status: str = "unavailable") -> None:
        """Let every call fail from now on."""
        self.server.fail(status)

    def recover(self) -> None:
        """Answer calls again, and wait until the process has noticed and repaired its keys."""
        self.answer()
        eventually(lambda: not self.repairs)

    def answer(self) -> None:
        """Answer calls again, and wait until the process has noticed."""
        self.server.fail("")
        eventually(lambda: _answers(self.cache) and _answers(self.elsewhere))

    @property
    def near(self) -> Near:
        return find_memory(self.cache)

    @property
    def repairs(self) -> Repairs | list[object]:
        return self.near.repairs if self.near.repairs is not None else []

    def counts(self) -> dict[str, int]:
        return {kind: number for kind, number in events.counts("default").items() if kind in COUNTED}


def _answers(cache: MomentoCache) -> bool:
    """Return whether calls on both connections, the SDK's and our own, get a response."""
    try:
        cache.set("probe", 1)
        return cache.touch("probe", 100)
    except MomentoCacheError:
        return False


COUNTED = {"stale_reads", "failed_writes", "repaired_keys", "dropped_repairs"}
