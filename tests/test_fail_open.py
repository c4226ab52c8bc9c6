"""IGNORE_EXCEPTIONS: every method of both faces, in every way that Momento can be away; and without it."""

from __future__ import annotations

import asyncio
import inspect
import logging
import pickle
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.cache import caches

from django_momento import events as journal_module
from django_momento.cache import MomentoCache
from django_momento.client import breaker
from django_momento.client.registry import clients
from django_momento.events import PAUSE, events
from django_momento.exceptions import (
    CircuitOpen,
    ConfigurationError,
    CredentialError,
    FailedPrecondition,
    MomentoCacheError,
    ServerUnavailable,
)
from django_momento.local import LocalServer
from django_momento.policies.limits import Limit
from tests.conftest import CACHE_NAME
from tests.kit import circuits
from tests.kit.clock import Clock
from tests.kit.ports import free_port, unserved
from tests.kit.tables import table
from tests.kit.waiting import eventually

no_probes, slow_rows = circuits.no_probes, circuits.slow_rows

# What each method answers when the cache cannot be asked, for these arguments; incr raises as for a miss.
NEUTRAL: dict[str, tuple[list[Any], Any]] = {
    "get": (["key", "default"], "default"),
    "set": (["key", "value"], None),
    "add": (["key", "value"], False),
    "touch": (["key"], False),
    "delete": (["key"], False),
    "has_key": (["key"], False),
    "__contains__": (["key"], False),
    "get_many": ([["a", "b"]], {}),
    "set_many": ([{"a": 1, "b": 2}], ["a", "b"]),
    "delete_many": ([["a", "b"]], None),
    "get_or_set": (["key", "value"], "value"),
    "clear": ([], None),
    "ttl": (["key"], None),
    "expire": (["key"], False),
    "run_once": (["key", 60], False),
    # Loud or not, the argument on_outage decides. tests/policies/test_limits.py has all of its values.
    "rate_limit": (["key", 5, 60], Limit(True, 0, 5, 0.0)),
    "invalidate_tags": (["tag"], None),
    "delete_on_commit": (["key"], None),
    "close": ([], None),
    "incr": (["key"], ValueError),
    "decr": (["key"], ValueError),
    "incr_version": (["key"], ValueError),
    "decr_version": (["key"], ValueError),
}
# What needs no cache to answer.
NOT_CALLS = {
    *("get_backend_timeout", "key_func", "make_and_validate_key", "make_key", "validate_key"),
    *("options", "extra_options", "check_settings", "memo", "lock", "alock"),
}

PUBLIC = {name for name in dir(MomentoCache) if not name.startswith("_")} - NOT_CALLS
METHODS = sorted(PUBLIC | {"__contains__"})


def verb(method: str) -> str:
    """Return which row of the table is for a method: an async method has that of its twin."""
    return method[1:] if method.startswith("a") and method[1:] in PUBLIC else method


def called(cache: Any, method: str, *args: Any) -> Any:
    """Call a method of either face, without arguments with those of its row."""
    answer = getattr(cache, method)(*(args or NEUTRAL[verb(method)][0]))
    return asyncio.run(answer) if inspect.iscoroutine(answer) else answer


class Away:
    """A cache that cannot be asked: the OPTIONS to get there, and the ``error`` that a loud one raises."""

    def __init__(self, settings: Any, error: type[MomentoCacheError], **options: Any) -> None:
        self.error = error
        # The control plane has no breaker: it is another service of Momento's.
        self.error_of_control = error
        self._settings = settings
        self._options = options

    def cache(self, **options: Any) -> Any:
        self._settings.CACHES = {
            "default": {
                "BACKEND": "django_momento.cache.MomentoCache",
                "LOCATION": CACHE_NAME,
                "OPTIONS": {**self._options, **options},
            }
        }
        return caches["default"]

    def error_of(self, method: str) -> type[MomentoCacheError]:
        return self.error_of_control if verb(method) == "clear" else self.error

    def start_afresh(self) -> None:
        """Forget events, and clients with their failures unless those are the circumstance."""
        if self.error is not CircuitOpen:
            clients.close()
        events.forget()


@pytest.fixture(scope="module")
def gone() -> Iterator[str]:
    """The address of a server that is gone."""
    with unserved() as port:
        yield f"127.0.0.1:{port}"


@pytest.fixture
def server_down(settings: Any, gone: str, slow_rows: None) -> Away:
    return Away(settings, ServerUnavailable, CREDENTIALS="local", ENDPOINT=gone)


@pytest.fixture
def no_key(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Away:
    monkeypatch.delenv("MOMENTO_API_KEY", raising=False)
    return Away(settings, CredentialError, CREDENTIALS="env")


@pytest.fixture
def breaker_open(server_down: Away, no_probes: None) -> Away:
    cache = server_down.cache()
    for _ in range(breaker.FAILURE_THRESHOLD):
        # Nothing that is repeated, and so the fastest to fail.
        with pytest.raises(ServerUnavailable):
            cache.touch("key")
    server_down.error = CircuitOpen
    return server_down


CIRCUMSTANCES = ["server_down", "breaker_open", "no_key"]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock of the pauses between warnings. It stands still until a test moves it."""
    clock = Clock()
    monkeypatch.setattr(journal_module, "monotonic", clock)
    return clock


@pytest.fixture(params=CIRCUMSTANCES)
def away(request: pytest.FixtureRequest, clock: Clock, caplog: pytest.LogCaptureFixture) -> Away:
    """Each way to be away."""
    away: Away = request.getfixturevalue(request.param)
    caplog.clear()
    return away


def ignored(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    return [record for record in caplog.records if "ignored" in record.getMessage()]


def test_every_method_has_a_neutral_answer() -> None:
    """A method that is added to the face, or to Django's, must be added to the table too."""
    assert NEUTRAL.keys() == {verb(method) for method in METHODS}


@table("method", METHODS)
def test_failing_open_answers_what_a_miss_would(
    away: Away, method: str, caplog: pytest.LogCaptureFixture
) -> None:
    """No page breaks and no rate limit is reset; each failure is counted, and one of them is logged."""
    away.start_afresh()
    caplog.clear()
    cache = away.cache(IGNORE_EXCEPTIONS=True)
    neutral = NEUTRAL[verb(method)][1]
    for _ in range(3):
        if neutral is ValueError:
            with pytest.raises(ValueError, match="'key' not found"):
                called(cache, method)
        else:
            answer = called(cache, method)
            assert (type(neutral), neutral) == (type(answer), answer)
    if verb(method) == "close":
        assert ([], {}) == (ignored(caplog), events.counts("default"))
        return
    (record,) = ignored(caplog)
    assert ("django_momento", logging.WARNING) == (record.name, record.levelno)
    assert f"Cache 'default': ignored {away.error_of(method).__name__}: " in record.getMessage()
    failures = 9 if verb(method) == "get_or_set" else 3
    assert {"ignored_exceptions": failures} == events.counts("default")


@table("method", [method for method in METHODS if verb(method) not in {"close", "rate_limit"}])
def test_failing_loud_raises_our_exceptions(away: Away, method: str) -> None:
    """Whoever catches MomentoCacheError has caught all that an outage can do."""
    away.start_afresh()
    cache = away.cache()
    with pytest.raises(away.error_of(method)) as caught:
        called(cache, method)
    assert isinstance(caught.value, MomentoCacheError)
    assert caught.value.cause
    assert caught.value.fix
    assert {} == events.counts("default")


@pytest.mark.parametrize("circumstance", ["server_down", "breaker_open"])
@table("method", ["set", "aset", "add", "aadd", "set_many", "aset_many", "get_or_set"])
def test_a_value_that_cannot_be_stored_is_loud(
    request: pytest.FixtureRequest, circumstance: str, method: str
) -> None:
    """It is the program's mistake, and would not be found before the cache is back."""
    cache = request.getfixturevalue(circumstance).cache(IGNORE_EXCEPTIONS=True)
    unpicklable = {"bad": lambda: None}
    args = [unpicklable] if verb(method) == "set_many" else ["key", unpicklable]
    with pytest.raises((pickle.PicklingError, AttributeError)):
        called(cache, method, *args)


def test_arguments_that_make_no_sense_are_loud(server_down: Away) -> None:
    """They are mistakes of the program too."""
    cache = server_down.cache(IGNORE_EXCEPTIONS=True)
    with pytest.raises(TypeError):
        cache.set("key", "value", timeout="soon")
    with pytest.raises(TypeError):
        cache.get_many(None)


def test_settings_that_are_wrong_are_loud(away: Away) -> None:
    """A cache that was never configured right has no outage to wait out."""
    with pytest.raises(ConfigurationError, match=r"'IGNORE_EXEPTIONS'.*Did you mean 'IGNORE_EXCEPTIONS'"):
        away.cache(IGNORE_EXCEPTIONS=True, IGNORE_EXEPTIONS=True).get("key")


def test_a_key_that_cannot_be_read_costs_only_its_own_value(settings: Any) -> None:
    """A rate limit under one of the keys is no text that get_many() can read."""
    with LocalServer(caches=[CACHE_NAME]) as server:
        away = Away(settings, FailedPrecondition, CREDENTIALS="local", ENDPOINT=server.address)
        for near_seconds in (0, 60):
            cache = away.cache(IGNORE_EXCEPTIONS=True, NEAR_SECONDS=near_seconds)
            cache.set_many({"a": 1, "b": 2})
            cache.rate_limit("hits", 5, 60)
            assert cache.get_many(["a", "hits", "b"]) == {"a": 1, "b": 2}
            assert asyncio.run(cache.aget_many(["b", "hits", "missing", "a"])) == {"a": 1, "b": 2}
            assert cache.get_many(["hits", "missing"]) == {}
        with pytest.raises(FailedPrecondition):
            away.cache().get_many(["a", "hits", "b"])


def test_a_counter_goes_on_after_an_outage_where_it_was(settings: Any) -> None:
    """Whatever a rate limit does meanwhile: what it counted is still counted."""
    with LocalServer(caches=[CACHE_NAME], port=free_port()) as server:
        away = Away(settings, ServerUnavailable, CREDENTIALS="local", ENDPOINT=server.address)
        cache = away.cache(IGNORE_EXCEPTIONS=True)
        cache.set("limit", 5, timeout=600)
        assert 6 == cache.incr("limit")
        server.stop()
        with unserved(server.port):
            for _ in range(10):
                assert cache.add("limit", 0, timeout=600) is False
                for count in (cache.incr, cache.decr):
                    with pytest.raises(ValueError, match="'limit' not found"):
                        count("limit")
                assert 0 == cache.get_or_set("limit", 0)
        server.start()
        # Until a probe has found that it is back, for the SDK's connection and for our own.
        eventually(lambda: cache.get("limit") is not None and cache.touch("limit", 600))
        assert 7 == cache.incr("limit")


def test_a_warning_says_how_many_there_were_since_the_last(
    server_down: Away, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """A long outage is a line every few seconds."""
    cache = server_down.cache(IGNORE_EXCEPTIONS=True)
    for _ in range(50):
        cache.get("key")
    clock.advance(PAUSE)
    cache.get("key")
    first, second = ignored(caplog)
    assert "since the last" not in first.getMessage()
    assert second.getMessage().endswith("(49 more since the last such warning)")
    assert {"ignored_exceptions": 51} == events.counts("default")


def test_what_is_not_logged_is_still_counted(away: Away, caplog: pytest.LogCaptureFixture) -> None:
    """LOG_IGNORED_EXCEPTIONS is about the log alone."""
    cache = away.cache(IGNORE_EXCEPTIONS=True, LOG_IGNORED_EXCEPTIONS=False)
    cache.get("key")
    assert ([], {"ignored_exceptions": 1}) == (ignored(caplog), events.counts("default"))
