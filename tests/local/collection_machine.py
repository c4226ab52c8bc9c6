"""The base of the property tests of collections: a cache, its clock, and a plain model of both."""

from __future__ import annotations

from typing import Any, ClassVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from django_momento.local.storage.collections import ELEMENT_OVERHEAD, Collection
from django_momento.local.storage.retention import ITEM_OVERHEAD, Retention
from django_momento.local.storage.store import Store
from tests.local.clock import FakeClock

KEYS = st.sampled_from([b"a", b"b"])
ELEMENTS = st.sampled_from([b"", b"u", b"vv", b"www", b"1", b"-7"])
SOME = st.lists(ELEMENTS, max_size=5)
TTLS = st.sampled_from([1, 2, 5, 100])
PAUSES = st.sampled_from([1, 2, 4, 95])
INDEXES = st.none() | st.integers(-5, 5)
SETTINGS = settings(max_examples=60, stateful_step_count=40, deadline=None, derandomize=True, database=None)


class CollectionMachine(RuleBasedStateMachine):
    """The model holds plain values with their time of expiry, and is never told of a TTL it need not know."""

    wanted: ClassVar[type[Collection]]
    empty: ClassVar[Any]

    @initialize()
    def start(self) -> None:
        self.clock = FakeClock()
        self.store = Store(Retention(self.clock))
        self.store.create("cache")
        self.cache = self.store.cache("cache")
        self.model: dict[bytes, tuple[Any, int]] = {}

    def live(self, key: Any) -> Any:
        """Return a copy of the model's value, or an empty one."""
        value, expires_at = self.model.get(key, (self.empty, 0))
        return type(self.empty)(value if self.clock.now < expires_at else self.empty)

    def write(self, key: Any, value: Any, ttl: Any = 0, refresh_ttl: Any = False) -> None:
        new = not self.live(key)
        expires_at = self.clock.now + ttl if new or refresh_ttl else self.model[key][1]
        if value:
            self.model[key] = (value, expires_at)
        else:
            self.model.pop(key, None)

    def parts(self, value: Any) -> Any:
        """Return the bytes of each element, for their memory to be counted anew."""
        return list(value)

    @rule(pause=PAUSES)
    def time_passes(self, pause: Any) -> None:
        self.clock.advance(pause)

    @rule(key=KEYS)
    def delete(self, key: Any) -> None:
        self.cache.delete(key)
        self.model.pop(key, None)

    @rule(key=KEYS, ttl=TTLS)
    def overwrite_ttl(self, key: Any, ttl: Any) -> None:
        if self.cache.set_ttl(key, ttl):
            self.model[key] = (self.live(key), self.clock.now + ttl)

    @invariant()
    def items_ttls_and_memory_agree(self) -> None:
        for key in (b"a", b"b"):
            expected = self.live(key)
            assert bool(expected) == self.cache.has(key)
            stored = self.cache.collection(key, self.wanted)
            assert self.cache.remaining_ttl(key) == (
                self.model[key][1] - self.clock.now if expected else None
            )
            assert len(expected) == len(stored or ())
            if stored:
                parts = self.parts(expected)
                assert stored.size == sum(map(len, parts)) + len(parts) * ELEMENT_OVERHEAD
        live = [self.cache.collection(key, self.wanted) for key in self.model if self.live(key)]
        assert self.store.memory_used() == sum(1 + value.size + ITEM_OVERHEAD for value in live if value)

    def teardown(self) -> None:
        self.clock.advance(10_000)
        self.store.drop_expired(10_000)
        assert self.store.memory_used() == 0
