"""Any sequence of calls answers what Django's LocMemCache answers, whichever face each call goes through."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from django.core.cache.backends.locmem import LocMemCache
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from django_momento.cache import MomentoCache
from django_momento.local import LocalServer
from tests.conftest import CACHE_NAME, local_options

KEYS = st.sampled_from(["a", "b", "c"])
VERSIONS = st.sampled_from([None, 1, 2])
# Not bool and float, which LocMem counts with and Momento cannot.
VALUES: st.SearchStrategy[Any] = (
    st.none() | st.integers(-5, 5) | st.integers(2**63 - 3, 2**63 + 3) | st.text(max_size=5)
)
VALUES |= st.lists(st.integers() | st.text(max_size=3), max_size=3)
# Long ones and those that are over: what expires in between is for the server's own tests, with its clock.
TIMEOUTS = st.sampled_from([None, 1000, 0, -1])
BATCHES = st.dictionaries(KEYS, VALUES)


class Outcome:
    """What a call answered or raised, comparable."""

    @staticmethod
    def of(act: Any) -> Any:
        try:
            return act()
        except (TypeError, ValueError) as error:
            return type(error)


class Caches(RuleBasedStateMachine):
    """Our cache and LocMem, given the same calls."""

    server: LocalServer

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.ours = MomentoCache(CACHE_NAME, {"OPTIONS": local_options(self.server)})
        self.model = LocMemCache("model", {})

    @initialize()
    def start_empty(self) -> None:
        self.ours.clear()
        self.model.clear()

    def teardown(self) -> None:
        self.loop.close()

    def both(self, verb: str, is_async: bool, *args: Any, **kwargs: Any) -> None:
        expected = Outcome.of(lambda: getattr(self.model, verb)(*args, **kwargs))
        if is_async:
            twin = getattr(self.ours, f"a{verb}")
            answer = Outcome.of(lambda: self.loop.run_until_complete(twin(*args, **kwargs)))
        else:
            answer = Outcome.of(lambda: getattr(self.ours, verb)(*args, **kwargs))
        assert (expected, type(expected)) == (answer, type(answer))

    @rule(key=KEYS, version=VERSIONS, is_async=st.booleans())
    def get(self, key: str, version: int | None, is_async: bool) -> None:
        self.both("get", is_async, key, "default", version=version)

    @rule(key=KEYS, value=VALUES, timeout=TIMEOUTS, version=VERSIONS, is_async=st.booleans())
    def set(self, key: str, value: Any, timeout: Any, version: int | None, is_async: bool) -> None:
        self.both("set", is_async, key, value, timeout, version=version)

    @rule(key=KEYS, value=VALUES, version=VERSIONS, is_async=st.booleans())
    def add(self, key: str, value: Any, version: int | None, is_async: bool) -> None:
        self.both("add", is_async, key, value, 1000, version=version)

    @rule(key=KEYS, value=VALUES, is_async=st.booleans())
    def get_or_set(self, key: str, value: Any, is_async: bool) -> None:
        self.both("get_or_set", is_async, key, lambda: value)

    @rule(key=KEYS, timeout=TIMEOUTS, is_async=st.booleans())
    def touch(self, key: str, timeout: Any, is_async: bool) -> None:
        self.both("touch", is_async, key, timeout)

    @rule(key=KEYS, verb=st.sampled_from(["delete", "has_key"]), version=VERSIONS, is_async=st.booleans())
    def delete_or_look(self, key: str, verb: str, version: int | None, is_async: bool) -> None:
        self.model.has_key(key, version=version)  # LocMem says that it deleted what had expired long before
        self.both(verb, is_async, key, version=version)

    @rule(key=KEYS, delta=st.integers(-3, 3), verb=st.sampled_from(["incr", "decr"]), is_async=st.booleans())
    def count(self, key: str, delta: int, verb: str, is_async: bool) -> None:
        stored = self.model.get(key)
        if isinstance(stored, int) and abs(stored) > 2**62:
            return  # LocMem counts beyond 64 bits
        self.both(verb, is_async, key, delta)

    @rule(key=KEYS, delta=st.sampled_from([1, -1, 2]), version=VERSIONS, is_async=st.booleans())
    def incr_version(self, key: str, delta: int, version: int | None, is_async: bool) -> None:
        self.both("incr_version", is_async, key, delta, version=version)

    @rule(keys=st.lists(KEYS, max_size=4), version=VERSIONS, is_async=st.booleans())
    def get_many(self, keys: list[str], version: int | None, is_async: bool) -> None:
        self.both("get_many", is_async, keys, version=version)

    @rule(data=BATCHES, timeout=TIMEOUTS, version=VERSIONS, is_async=st.booleans())
    def set_many(self, data: dict[str, Any], timeout: Any, version: int | None, is_async: bool) -> None:
        self.both("set_many", is_async, data, timeout, version=version)

    @rule(keys=st.lists(KEYS, max_size=4), is_async=st.booleans())
    def delete_many(self, keys: list[str], is_async: bool) -> None:
        self.both("delete_many", is_async, keys)

    @rule(is_async=st.booleans())
    def clear(self, is_async: bool) -> None:
        self.both("clear", is_async)


@pytest.mark.filterwarnings("ignore::django.core.cache.CacheKeyWarning")
def test_any_sequence_of_calls_agrees_with_locmem(momento: LocalServer) -> None:
    """Both faces of the backend are one cache, and it is the one that Django documents."""
    Caches.server = momento
    run_state_machine_as_test(
        Caches,
        settings=settings(
            max_examples=60,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
