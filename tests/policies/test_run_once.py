"""Jobs that run once in an interval, on many machines."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from django_momento.cache import MomentoCache
from tests.conftest import MakeCache
from tests.kit import holders as fixtures
from tests.kit.at_once import at_once
from tests.kit.clock import Clock
from tests.kit.faces import EACH_FACE, FACES, call
from tests.kit.swallowing import SwallowingServer
from tests.kit.tables import table

clock, timed, in_doubt = fixtures.clock, fixtures.timed, fixtures.in_doubt
hold, holders = fixtures.hold, fixtures.holders


@FACES
def test_a_job_runs_once_in_its_interval(timed: MomentoCache, clock: Clock, face: str) -> None:
    """For one of many callers. The interval begins with that call."""
    assert 1 == at_once(16, lambda: call(timed, face, "run_once", "nightly", 3600)).count(True)
    clock.advance(3599)
    assert not call(timed, face, "run_once", "nightly", 3600)
    clock.advance(1)
    assert call(timed, face, "run_once", "nightly", timedelta(hours=1))
    assert call(timed, face, "run_once", "nightly", 3600, version=2)
    timed.delete("nightly")
    assert call(timed, face, "run_once", "nightly", 3600)
    assert timed.ttl("nightly") == 3600


def test_a_job_that_was_claimed_in_doubt_runs_for_its_caller(
    in_doubt: tuple[SwallowingServer, MomentoCache],
) -> None:
    """Its repetition finds its own token. It never returns False to the only caller."""
    server, cache = in_doubt
    cache.run_once("other", 3600)
    server.swallow(1)
    assert cache.run_once("nightly", 3600)
    assert server.swallowed.is_set()
    assert not cache.run_once("nightly", 3600)


@table("every", [None, 0, -1, "60", 86401])
def test_a_wrong_interval_is_loud(make_cache: MakeCache, every: Any) -> None:
    with pytest.raises((TypeError, ValueError), match=f"every is {every!r}"):
        make_cache(OPTIONS={"IGNORE_EXCEPTIONS": True}).run_once("nightly", every)


@EACH_FACE
@table("is_open", [False, True], afresh=True)
def test_a_job_whose_key_holds_another_kind_of_value_is_loud(
    make_cache: MakeCache, face: str, is_open: bool
) -> None:
    """Or the job would never run in a cache that fails open."""
    cache = make_cache(OPTIONS={"IGNORE_EXCEPTIONS": is_open})
    cache.rate_limit("nightly", 5, 60)
    with pytest.raises(TypeError, match="holds a value that is no interval"):
        call(cache, face, "run_once", "nightly", 60)
