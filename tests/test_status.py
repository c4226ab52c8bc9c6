"""The doctor's report, as library code."""

from __future__ import annotations

from typing import Any

import pytest

from django_momento import status
from django_momento.cache import MomentoCache
from django_momento.local import LocalServer
from django_momento.status import Latency, Step, examine, momento_aliases

from .conftest import MakeCache

BACKEND = "django_momento.cache.MomentoCache"
ALL_STEPS = ["options", "credentials", "connection", "cache", "round trip", "latency"]


class SubclassedCache(MomentoCache):
    """A site's own backend on top of ours."""


def test_a_cache_that_works_passes_every_step(make_cache: MakeCache) -> None:
    """Each step says what it found, and took some time."""
    make_cache(KEY_PREFIX="site")
    steps = list(examine("default", requests=3))
    assert [step.name for step in steps] == ALL_STEPS
    assert all(step.ok and step.found and step.seconds >= 0 for step in steps)


def test_the_report_leaves_nothing_in_the_cache(make_cache: MakeCache, momento: LocalServer) -> None:
    """What the round trip writes, it deletes."""
    make_cache()
    list(examine("default"))
    assert momento.calls["Set"] == momento.calls["Delete"] == 1


def test_failing_open_does_not_hide_failures_from_the_doctor(settings: Any) -> None:
    """A cache that quietly misses everything is just what the doctor is asked about."""
    gone = LocalServer().start()
    gone.stop()
    options = {"CREDENTIALS": "local", "ENDPOINT": gone.address, "IGNORE_EXCEPTIONS": True}
    settings.CACHES = {"default": {"BACKEND": BACKEND, "LOCATION": "tests", "OPTIONS": options}}
    *_, last = examine("default")
    assert (last.name, last.ok, last.error) == ("connection", False, "ServerUnavailable")


def test_a_missing_cache_is_created_on_request(make_cache: MakeCache, momento: LocalServer) -> None:
    """With ``create`` a missing cache is made, and one that is there is left alone."""
    make_cache("made-by-the-doctor")
    *_, last = examine("default")
    assert (last.name, last.error) == ("cache", "CacheNotFound")
    found = {step.name: step.found for step in examine("default", create=True)}
    assert found["cache"] == "'made-by-the-doctor' was created"
    found = {step.name: step.found for step in examine("default", create=True)}
    assert found["cache"] == "'made-by-the-doctor' exists"


def test_a_cache_created_by_another_meanwhile_exists(
    make_cache: MakeCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two deployments may both run the doctor with ``create``."""
    make_cache("made-twice")
    examination = status._Examination("default", 1, create=True)
    for step in (examination.options, examination.credentials, examination.connection):
        step()
    list(examine("default", create=True))
    assert examination.cache() == "'made-twice' exists"


@pytest.mark.parametrize(("verb", "answer"), [("get", None), ("delete", False)])
def test_a_value_that_does_not_come_back_fails_the_round_trip(
    make_cache: MakeCache, monkeypatch: pytest.MonkeyPatch, verb: str, answer: Any
) -> None:
    """A cache that forgets at once is not one that works."""
    make_cache()
    monkeypatch.setattr(MomentoCache, verb, lambda *args, **kwargs: answer)
    *_, last = examine("default")
    assert (last.name, last.ok) == ("round trip", False)
    assert "SERIALIZER" in last.fix


def test_only_momentos_aliases_are_found(settings: Any) -> None:
    """Subclasses count; other backends, and those that cannot be imported, do not."""
    settings.CACHES = {
        "default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},
        "momento": {"BACKEND": BACKEND, "LOCATION": "a"},
        "subclass": {"BACKEND": "tests.test_status.SubclassedCache", "LOCATION": "a"},
        "broken": {"BACKEND": "no.such.Backend"},
        "function": {"BACKEND": "os.getcwd"},
    }
    assert momento_aliases() == ["momento", "subclass"]


def test_a_latency_is_its_percentiles() -> None:
    """Of 1 to 100 ms the median is in the middle; of a single request all are the same."""
    latency = Latency.of([float(number) for number in range(100, 0, -1)])
    assert (latency.requests, latency.minimum, latency.maximum) == (100, 1, 100)
    assert latency.median == pytest.approx(50.5)
    assert latency.minimum < latency.median < latency.p90 < latency.p99 < latency.maximum
    assert Latency.of([7.0]) == Latency(1, 7, 7, 7, 7, 7)


def test_a_step_is_a_dict_for_machines() -> None:
    """The names in the JSON are those of the documentation."""
    step = Step("latency", 0.5, "found", latency=Latency.of([7.0]))
    answer = step.as_dict()
    assert sorted(answer) == ["cause", "error", "fix", "found", "latency", "name", "ok", "seconds"]
    assert answer["ok"] is True
    assert answer["latency"]["p99"] == 7
