"""The doctor's report, as library code."""

from __future__ import annotations

import json
from time import time
from typing import Any

import pytest

from django_momento.cache import MomentoCache
from django_momento.diagnostics.examination import Step, examine
from django_momento.diagnostics.latency import Latency
from django_momento.diagnostics.limits import Measurement
from django_momento.events import observers
from django_momento.local import LocalServer
from django_momento.local.limits import ON_DEMAND
from tests.conftest import MakeCache
from tests.kit.clock import Clock
from tests.kit.tables import table
from tests.kit.waiting import HANG_GUARD

BACKEND = "django_momento.cache.MomentoCache"
ALL_STEPS = ["options", "credentials", "connection", "cache", "round trip", "latency", "limits"]


def test_a_cache_that_works_passes_every_step(make_cache: MakeCache) -> None:
    """Each step says what it found, and took some time."""
    make_cache(KEY_PREFIX="site")
    steps = list(examine("default", requests=3))
    assert [step.name for step in steps] == ALL_STEPS
    assert all(step.ok and step.found and step.seconds >= 0 for step in steps)


def test_the_report_leaves_nothing_in_the_cache(make_cache: MakeCache, momento: LocalServer) -> None:
    """What is written to be read back is deleted."""
    make_cache()
    list(examine("default"))
    assert 2 == momento.calls["Set"] == momento.calls["Delete"]


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


def test_a_cache_created_by_another_meanwhile_exists(make_cache: MakeCache) -> None:
    """Two deployments may both run the doctor with ``create``."""
    make_cache("made-twice")
    steps = examine("default", create=True)
    assert [next(steps).name for _ in range(3)] == ALL_STEPS[:3]
    list(examine("default", create=True))
    assert next(steps).found == "'made-twice' exists"


@table(("verb", "answer"), [("get", None), ("delete", False)], afresh=True)
def test_a_value_that_does_not_come_back_fails_the_round_trip(
    make_cache: MakeCache, monkeypatch: pytest.MonkeyPatch, verb: str, answer: Any
) -> None:
    """A cache that forgets at once is not one that works."""
    make_cache()
    monkeypatch.setattr(MomentoCache, verb, lambda *args, **kwargs: answer)
    *_, last = examine("default")
    assert (last.name, last.ok) == ("round trip", False)
    assert "SERIALIZER" in last.fix


def facts_of(step: Step) -> dict[str, Measurement]:
    return {fact.name: fact for fact in step.facts}


def limits() -> dict[str, Measurement]:
    *_, last = examine("default", requests=3)
    assert ("limits", True) == (last.name, last.ok)
    return facts_of(last)


def test_what_momento_makes_of_max_ttl_is_read_back(make_cache: MakeCache) -> None:
    """The server's own answer, to within what the calls took."""
    make_cache(TIMEOUT=600, OPTIONS={"MAX_TTL": 7 * 86400})
    ttl = limits()["ttl_seconds"]

    assert ttl.value == pytest.approx(7 * 86400, abs=60)
    assert (86400, True) == (ttl.allowed, ttl.ok)
    assert "TIMEOUT is 10 min, MAX_TTL 7 days, which Momento granted" in ttl.says


def test_a_max_ttl_that_momento_cuts_is_remarked(settings: Any) -> None:
    """Momento cuts without a word; the doctor has one."""
    with LocalServer(caches=["tests"], limits=ON_DEMAND) as server:
        options = {"CREDENTIALS": "local", "ENDPOINT": server.address, "MAX_TTL": 7 * 86400}
        settings.CACHES = {"default": {"BACKEND": BACKEND, "LOCATION": "tests", "OPTIONS": options}}
        ttl = limits()["ttl_seconds"]

    assert ttl.value == pytest.approx(86400, abs=60)
    assert ttl.ok is False
    assert "Momento cut MAX_TTL, 7 days, to 24 h" in ttl.says


def test_what_the_configuration_adds_to_an_item_is_measured(make_cache: MakeCache) -> None:
    """A longer prefix is that many bytes more; JSON without a signature adds its quotes only."""
    make_cache(OPTIONS={"SERIALIZER": "json"})
    plain = limits()["overhead_bytes"]
    make_cache(KEY_PREFIX="site", OPTIONS={"SERIALIZER": "json"})
    prefixed = limits()["overhead_bytes"]

    assert len(":1:") + len('""') == plain.value
    assert len("site:1:") + len('""') == prefixed.value
    assert "1019 bytes together cost one operation" in plain.says
    make_cache(KEY_PREFIX="site", OPTIONS={"SERIALIZER": "json", "CLEAR": "prefix"})
    assert prefixed.value + len("0123456789abcdef:") == limits()["overhead_bytes"].value


def test_the_rate_is_compared_with_what_momento_allows(make_cache: MakeCache) -> None:
    """It is that of the latency step."""
    make_cache()
    *_, latency, last = examine("default", requests=3)
    assert latency.latency is not None
    rate = facts_of(last)["operations_per_second"]

    assert (latency.latency.per_second, 100) == (rate.value, rate.allowed)


@table(("concern", "gets"), [("balanced", 1), ("consistent", 2)], afresh=True)
def test_the_operations_of_the_check_are_those_that_the_server_counts(
    concern: str, gets: int, make_cache: MakeCache, momento: LocalServer
) -> None:
    """And the measured rate is told in operations, of which a consistent get takes two."""
    make_cache(OPTIONS={"READ_CONCERN": concern})
    before = list(observers)
    *_, latency, last = examine("default", requests=5)
    used = facts_of(last)["operations_used"]

    assert used.value == momento.operations.total()
    assert latency.latency is not None
    assert f"use {latency.latency.per_second * gets:,.0f} a second" in used.says
    assert observers == before


def test_a_limit_that_the_doctor_itself_hits_is_explained(settings: Any) -> None:
    """Too many gets on end are refused as those of a site would be."""
    limits = ON_DEMAND._replace(operations_per_second=10)
    # One second for all of them, however long they take.
    with LocalServer(caches=["tests"], limits=limits, clock=Clock().milliseconds) as server:
        options = {"CREDENTIALS": "local", "ENDPOINT": server.address}
        settings.CACHES = {"default": {"BACKEND": BACKEND, "LOCATION": "tests", "OPTIONS": options}}
        *_, last = examine("default", requests=50)

    assert ("latency", "LimitExceeded") == (last.name, last.error)
    assert "Or time fewer gets with --requests: these were 50 in a row." in last.fix


def test_the_credentials_say_where_the_key_came_from_and_when(
    momento: LocalServer, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its kind, source and age are facts; the key is not."""
    monkeypatch.setenv("MOMENTO_API_KEY", "any-key-will-do")
    options = {"CREDENTIALS": "env", "ENDPOINT": momento.address, "CLIENT_TIMEOUT": HANG_GUARD}
    settings.CACHES = {"default": {"BACKEND": BACKEND, "LOCATION": "tests", "OPTIONS": options}}
    started = time()
    steps = {step.name: step for step in examine("default", requests=1)}
    facts = facts_of(steps["credentials"])

    assert ("opaque", "Environment variable MOMENTO_API_KEY") == (facts["kind"].value, facts["source"].value)
    assert facts["fetched_at"].value == pytest.approx(started, abs=60)
    assert "any-key" not in json.dumps([step.as_dict() for step in steps.values()])


def test_a_server_that_needs_no_key_has_no_age(make_cache: MakeCache) -> None:
    """There is nothing that was fetched."""
    make_cache()
    steps = {step.name: step for step in examine("default", requests=1)}
    assert ["kind", "source"] == list(facts_of(steps["credentials"]))


def test_progress_is_told_as_it_is_made(make_cache: MakeCache) -> None:
    """Each step when it begins, and each get."""
    make_cache()
    told: list[tuple[str, int, int]] = []
    list(examine("default", requests=3, progress=lambda *progress: told.append(progress)))

    assert [(name, 0, 0) for name in ALL_STEPS] == [progress for progress in told if not progress[2]]
    assert [("latency", done, 3) for done in range(3)] == [progress for progress in told if progress[2]]


@table(
    ("options", "expected"),
    [
        ({}, "values as pickle, signed, at most 86400 s"),
        ({"SERIALIZER": "json", "MAX_TTL": 60}, "values as json, unsigned, at most 60 s"),
        ({"MAX_TTL": 10**8}, "at most 100000000 s"),
        ({"ENCRYPTION_KEY": "AAAAAAAAAAAAAAAAAAAAAA==", "COMPRESSOR": "zlib"}, "pickle, zlib, encrypted, at"),
    ],
    afresh=True,
)
def test_the_options_say_what_becomes_of_values(
    make_cache: MakeCache, options: dict[str, Any], expected: str
) -> None:
    """How they are stored, and how long they live at most."""
    make_cache(OPTIONS=options)
    first = next(examine("default"))
    assert expected in first.found


def test_mistakes_are_those_of_the_alias_that_was_asked_for(settings: Any) -> None:
    """Also where another one has the same settings."""
    config = {"BACKEND": BACKEND, "OPTIONS": {"CREDENTIALS": "env"}}
    settings.CACHES = {"default": config, "pages": config}
    (step,) = examine("pages")
    assert "CACHES['pages']['LOCATION'] must be the name of a Momento cache" in step.cause


def test_a_step_is_a_dict_for_machines() -> None:
    """The names in the JSON are those of the documentation."""
    step = Step(
        "latency", 0.5, "found", latency=Latency.of([7.0]), facts=(Measurement("rate", 5, "5 a second"),)
    )
    answer = step.as_dict()

    assert ["cause", "error", "facts", "fix", "found", "latency", "name", "ok", "seconds"] == sorted(answer)
    assert answer["ok"] is True
    assert 7 == answer["latency"]["p99"]
    assert [{"up_to": 10, "requests": 1}] == list(answer["latency"]["histogram"])
    assert [{"name": "rate", "value": 5, "says": "5 a second", "allowed": None, "ok": True}] == list(
        answer["facts"]
    )
