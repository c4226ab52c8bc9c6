"""A migration from a Redis server to Momento under the load of eight threads, with both sides killed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.core.cache import caches

from django_momento.events import events
from django_momento.migration.state import NEW, OLD, Migration, migrations
from tests.conftest import CACHE_NAME
from tests.kit.redis import RedisServer
from tests.kit.waiting import eventually
from tests.migration.conftest import Phases
from tests.migration.traffic import Traffic
from tests.processes.momento import Momento

MIN_HIT_RATE = 0.95


class EachThreadsCache:
    """The cache of the thread that asks, as a site has it."""

    def __getattr__(self, name: str) -> Any:
        return getattr(caches["default"], name)


class Stages:
    """The stages of a test: a number of calls each, during which the hit rate must hold."""

    def __init__(self, traffic: Traffic, calls: int) -> None:
        self._traffic = traffic
        self._calls = calls
        self.rates: dict[str, float] = {}
        # The events of each stage, such as failed calls to a side.
        self.failures: dict[str, dict[str, int]] = {}

    def run(self, name: str, until: Callable[[], object] = lambda: True) -> None:
        before = events.counts("default")
        self.rates[name] = self._traffic.run(self._calls, until)
        counts = events.counts("default")
        self.failures[name] = {kind: counts[kind] - before.get(kind, 0) for kind in counts}

    @property
    def poor(self) -> dict[str, object]:
        """Return the stages with too few hits, with their events."""
        return {name: (rate, self.failures[name]) for name, rate in self.rates.items() if rate < MIN_HIT_RATE}


def configure(settings: Any, redis: RedisServer, momento: Momento, phases: Phases) -> None:
    seconds = {"socket_timeout": 5, "socket_connect_timeout": 5}
    options = {"CREDENTIALS": "local", "ENDPOINT": momento.address, "CLIENT_TIMEOUT": 5}
    settings.CACHES = {
        "default": {
            "BACKEND": "django_momento.migration.DualCache",
            "OPTIONS": {
                "OLD": "redis",
                "NEW": "momento",
                "PHASE": phases.spelling,
                "SAMPLE": 0.2,
                "IGNORE_EXCEPTIONS": True,
            },
        },
        "redis": redis.settings(OPTIONS=seconds),
        "momento": {
            "BACKEND": "django_momento.cache.MomentoCache",
            "LOCATION": CACHE_NAME,
            "OPTIONS": options,
        },
    }


def is_settled(migration: Migration) -> bool:
    """Return whether both sides can be reached, and no key has an outdated value."""
    is_out = any(health.is_out for health in migration.health.values())
    return not is_out and not any(map(migration.ledger.count, (OLD, NEW)))


def migrate(stages: Stages, redis: RedisServer, momento: Momento, phases: Phases) -> None:
    """Go through all phases and back, and kill each side once in ``dual`` and once in ``shadow``."""
    (migration,) = migrations.all()

    def switch(phase: str) -> None:
        phases.write(phase)
        eventually(lambda: migration.phase.peek() == phase)

    for phase, name in (("dual", NEW), ("dual", OLD), ("shadow", OLD), ("shadow", NEW)):
        killed = redis if name == OLD else momento
        if migration.phase.peek() != phase:
            switch(phase)
        # A key that is outdated on the side that lives would be a miss without the other one.
        stages.run(f"{phase}, before the death of {name}", lambda: is_settled(migration))
        killed.kill()
        stages.run(f"{phase}, without {name}")
        killed.start()
        stages.run(f"{phase}, with {name} again", lambda: is_settled(migration))
    switch("dual")
    stages.run("dual, again")
    switch("done")
    stages.run("done")


def test_no_value_is_wrong_and_no_call_fails_while_phases_change_and_sides_die(
    settings, tmp_path, phases, monkeypatch
):
    """Each value read is the last one written, and at least 95 % of the reads in each stage are hits."""
    monkeypatch.setattr("django_momento.migration.ledger.SETTLE_SECONDS", 2.5)
    with RedisServer(tmp_path) as redis, Momento(tmp_path) as momento:
        configure(settings, redis, momento, phases)
        with Traffic(EachThreadsCache()) as traffic:
            stages = Stages(traffic, 800)
            traffic.run(3000)
            migrate(stages, redis, momento, phases)

    assert (traffic.wrong, traffic.failed) == ([], [])
    assert stages.poor == {}
