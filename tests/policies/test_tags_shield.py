"""Tags in an outage, and beside a near cache."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from django_momento.exceptions import MomentoCacheError
from django_momento.local import LocalServer
from django_momento.policies import versions as module
from tests.kit.clock import Clock
from tests.kit.faces import FACES, call
from tests.policies.test_shield import Momento


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clocks by which the age of a version is measured."""
    clock = Clock()
    monkeypatch.setattr(module, "monotonic", clock)
    monkeypatch.setattr(module, "wall", clock)
    return clock


@pytest.fixture
def site(momento: LocalServer, settings: Any) -> Iterator[Momento]:
    site = Momento(momento, settings)
    yield site
    site.answer()


@FACES
def test_a_near_value_is_forgotten_when_its_tag_is_invalidated_elsewhere(
    site: Momento, clock: Clock, face: str
) -> None:
    """After TAG_SECONDS, however long NEAR_SECONDS is. The process sees its own invalidation at once."""
    cache = site.make(NEAR_SECONDS=600, STALE_IF_ERROR=0.001)
    cache.set("k", 1, tags=["t"])
    assert [call(cache, face, "get", "k"), call(cache, face, "get_many", ["k"])] == [1, {"k": 1}]
    site.elsewhere.invalidate_tags("t")
    assert call(cache, face, "get", "k") == 1
    clock.advance(1.1)
    assert [call(cache, face, "get", "k"), call(cache, face, "get_many", ["k"])] == [None, {}]
    cache.set("k", 2, tags=["t"])
    assert call(cache, face, "get", "k") == 2
    call(cache, face, "invalidate_tags", "t")
    assert call(cache, face, "get", "k") is None


@FACES
@pytest.mark.parametrize("options", [{}, {"CLEAR": "prefix"}])
def test_a_near_value_that_was_forgotten_makes_room_for_that_of_another_process(
    site: Momento, clock: Clock, face: str, options: dict[str, Any]
) -> None:
    """With one miss, and not for NEAR_SECONDS."""
    cache = site.make(NEAR_SECONDS=600, **options)
    elsewhere = site.make(CLIENT_TIMEOUT=31, **options)
    for number, verb in enumerate([("get", "k"), ("get_many", ["k"])]):
        cache.set("k", number, tags=["t"])
        elsewhere.invalidate_tags("t")
        elsewhere.set("k", "new", tags=["t"])
        clock.advance(1.1)
        assert call(cache, face, *verb) in (None, {})
        assert call(cache, face, *verb) in ("new", {"k": "new"})


@FACES
def test_a_tagged_value_is_served_stale_in_an_outage(site: Momento, clock: Clock, face: str) -> None:
    cache = site.cache
    cache.set("k", 1, tags=["t"])
    assert call(cache, face, "get", "k") == 1
    clock.advance(5)
    assert call(cache, face, "get", "k") == 1
    site.fail()
    clock.advance(5)
    assert [call(cache, face, "get", "k"), call(cache, face, "get_many", ["k"])] == [1, {"k": 1}]


@FACES
def test_an_invalidation_that_failed_in_an_outage_is_made_up_for(
    site: Momento, clock: Clock, face: str
) -> None:
    """Until then this process serves none of the values, and afterwards nobody does."""
    cache = site.cache
    cache.set("k", 1, tags=["t"])
    assert site.elsewhere.get("k") == 1
    site.fail()
    with suppress(MomentoCacheError):
        call(cache, face, "invalidate_tags", "t")
    assert call(cache, face, "get", "k") is None
    site.recover()
    clock.advance(5)
    assert [site.elsewhere.get("k"), call(cache, face, "get", "k")] == [None, None]
    cache.set("k", 2, tags=["t"])
    clock.advance(5)
    assert [site.elsewhere.get("k"), call(cache, face, "get", "k")] == [2, 2]
