"""A source of keys that changes and fails as a test wants, and whoever puts its keys to use."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator

import pytest

from django_momento.client import rotation as rotation_module
from django_momento.client.rotation import Rotation
from django_momento.credentials.credential import Credential
from django_momento.redaction import SecretStr
from tests.kit.clock import Clock
from tests.kit.waiting import HANG_GUARD, patience


def credential(key: str = "old", expires_at: float | None = None) -> Credential:
    return Credential(SecretStr(key), "opaque", "the test", "127.0.0.1", "127.0.0.1", 1, expires_at)


class Source:
    """Where the key is: ``fetches`` counts, ``error`` makes it fail, ``answering`` makes it wait."""

    def __init__(self, key: str = "old", expires_at: float | None = None) -> None:
        self.credential = credential(key, expires_at)
        self.version = 0
        self.looks = 0
        self.fetches = 0
        self.error: Exception | None = None
        self.begun = threading.Event()
        self.answering = threading.Event()
        self.answering.set()

    def change(self, key: str, expires_at: float | None = None) -> None:
        self.credential = credential(key, expires_at)
        self.version += 1

    def fetch(self, refresh: bool) -> Credential:
        self.fetches += 1
        fetched = self.credential
        self.begun.set()
        assert self.answering.wait(HANG_GUARD)
        if self.error is not None:
            raise self.error
        return fetched

    def watch(self) -> int:
        self.looks += 1
        return self.version


class Holder:
    """Whoever puts a key to use; ``keys`` are those that were."""

    def __init__(self, *keys: str) -> None:
        self.keys = list(keys)
        self.error: Exception | None = None

    def use(self, credential: Credential, cache: str) -> bool:
        if self.error is not None:
            raise self.error
        if credential.api_key == self.keys[-1]:
            return False
        self.keys.append(credential.api_key)
        return True


def make_rotation(
    source: Source, holder: Holder, source_version: Callable[[], object] | None = None
) -> Rotation:
    """Return a rotation that has fetched its first key, with the counts of the source at 0."""
    rotation = Rotation(source.fetch, holder.use, source_version)
    rotation.refresh("tests")
    source.fetches = 0
    source.begun.clear()
    return rotation


def landed(rotation: Rotation) -> None:
    """Wait for a fetch in the background, if there is one."""
    for _ in patience():
        if not rotation.is_fetching:
            return
    pytest.fail("the fetch does not end")


def looked(rotation: Rotation, clock: Clock) -> None:
    """Do as a call does."""
    if clock.now >= rotation.due_at:
        rotation.refresh_if_due("tests")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(rotation_module, "monotonic", clock)
    monkeypatch.setattr(rotation_module, "wall", clock)
    return clock


@pytest.fixture
def whole_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything that is drawn is as large as it may be."""
    monkeypatch.setattr(random, "uniform", lambda low, high: high)


@pytest.fixture
def source() -> Iterator[Source]:
    source = Source()
    yield source
    source.answering.set()


@pytest.fixture
def holder() -> Holder:
    return Holder("old")


@pytest.fixture
def rotation(clock: Clock, source: Source, holder: Holder) -> Rotation:
    return make_rotation(source, holder)
