"""Outages of a real Momento server, under the load of threads and tasks."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any
from uuid import uuid4

import pytest

from django_momento.cache import MomentoCache
from django_momento.exceptions import CallTimedOut, CircuitOpen, MomentoCacheError, TransportError
from tests.kit.processes import run
from tests.kit.waiting import patience
from tests.processes.load import Load
from tests.processes.momento import Momento

CLIENT_TIMEOUT = 0.3


@pytest.fixture(scope="module")
def momento(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Momento]:
    with Momento(tmp_path_factory.mktemp("momento")) as momento:
        yield momento


def make_cache(momento: Momento, prefix: str, **options: Any) -> MomentoCache:
    """A cache of its own keys; all of them share a client."""
    ours = {"CREDENTIALS": "local", "ENDPOINT": momento.address, "CLIENT_TIMEOUT": CLIENT_TIMEOUT}
    return MomentoCache("tests", {"KEY_PREFIX": prefix, "OPTIONS": {**ours, **options}})


@contextmanager
def loads(momento: Momento) -> Iterator[tuple[Load, Load]]:
    """Threads and tasks whose cache fails open, and as many whose cache is loud."""
    prefix = uuid4().hex
    with (
        Load(
            make_cache(momento, f"{prefix}-open", IGNORE_EXCEPTIONS=True), threads=3, tasks=10
        ) as fails_open,
        Load(make_cache(momento, f"{prefix}-loud"), threads=3, tasks=10) as loud,
    ):
        # A machine that is busy may be an outage of its own: the timeouts of these tests are short.
        assert {} == fails_open.errors
        yield fails_open, loud


def until_answered(call: Callable[[], Any]) -> Any:
    """Repeat a call until Momento answers it. The machine may be busy for longer than its timeout."""
    for _ in patience():
        with suppress(TransportError):
            return call()
    pytest.fail("it was not used again")


Outage = tuple[Callable[[Momento], object], Callable[[Momento], object]]

# How each begins and ends. The server keeps what it holds, so every counter must go on where it was.
OUTAGES: dict[str, Outage] = {
    "silent": (lambda momento: momento.command("/block"), lambda momento: momento.command("/unblock")),
    "frozen": (Momento.freeze, Momento.thaw),
    "slow": (lambda momento: momento.command("/delay", "5000"), lambda momento: momento.command("/delay")),
    "flaky": (
        lambda momento: momento.command("/fail", "unavailable 0.3"),
        lambda momento: momento.command("/fail"),
    ),
    "disconnecting": (lambda momento: [momento.command("/drop") for _ in range(20)], lambda momento: None),
}


@pytest.mark.parametrize("outage", OUTAGES.values(), ids=OUTAGES)
def test_an_outage_breaks_nothing_and_resets_no_counter(outage: Outage, momento: Momento) -> None:
    """With fail-open no method raises, else only our own exceptions; and all is well when it is over."""
    begin, end = outage
    with loads(momento) as (fails_open, loud):
        begin(momento)
        fails_open.go_round()
        loud.go_round()
        end(momento)
        fails_open.recover()
        loud.recover()
    assert {} == fails_open.errors
    assert [] == [kind for kind in loud.errors if not issubclass(kind, TransportError)]
    assert [] == fails_open.went_back + loud.went_back


def test_a_server_that_is_killed_is_used_again_when_it_is_back(momento: Momento) -> None:
    """What it held is gone with it; the process needs no restart, and its errors are those of an outage."""
    with loads(momento) as (fails_open, loud):
        momento.kill()
        fails_open.go_round()
        loud.go_round()
        for load in (fails_open, loud):
            load.forget_counters()
        momento.start()
        fails_open.recover()
        loud.recover()
    assert {} == fails_open.errors
    assert loud.errors
    assert [] == [kind for kind in loud.errors if not issubclass(kind, TransportError)]
    assert [] == fails_open.went_back + loud.went_back


@pytest.mark.parametrize("outage", ["silent", "frozen", "slow"])
def test_a_thousand_calls_to_a_silent_server_wait_once(outage: str, momento: Momento) -> None:
    """One call runs into its deadline; the others are refused at once, however the probes fare."""
    begin, end = OUTAGES[outage]
    cache = make_cache(momento, outage)
    until_answered(lambda: cache.set("key", "value"))
    begin(momento)
    failed: Counter[type[MomentoCacheError]] = Counter()
    for _ in range(1000):
        try:
            cache.get("key")
        except MomentoCacheError as error:
            failed[type(error)] += 1
    assert {CallTimedOut: 1, CircuitOpen: 999} == failed
    end(momento)
    assert "value" == until_answered(lambda: cache.get("key"))


@pytest.mark.skipif(sys.platform == "win32", reason="needs fork")
@pytest.mark.parametrize("way", ["fork", "exit_during_a_probe", "exit_while_it_is_open"])
def test_a_process_copes_with_an_outage(way: str, momento: Momento) -> None:
    """Its children start anew, and it ends quietly, whatever its probes are doing."""
    variables = {"ADMIN_PORT": str(momento.admin_port), "CLIENT_TIMEOUT": str(CLIENT_TIMEOUT)}
    momento.command("/block")
    try:
        ended = run("outage", way, address=momento.address, **variables)
    finally:
        momento.command("/unblock")
    assert ("", "") == (ended.stdout, ended.stderr)
