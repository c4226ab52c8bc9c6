"""Faults of all calls at once."""

from __future__ import annotations

import asyncio
from itertools import cycle
from typing import Any

import grpc
import pytest
from grpc import StatusCode
from momento_wire_types import cacheclient_pb2 as pb
from momento_wire_types import cachepubsub_pb2, cachepubsub_pb2_grpc

from django_momento.local import LocalServer
from django_momento.local.errors import InjectedFault
from django_momento.local.faults import GlobalFaults
from tests.kit.tables import table
from tests.kit.wire import HANG_GUARD, Wire, status

GET = pb._GetRequest(cache_key=b"k")


def refused(faults: Any, calls: Any) -> Any:
    """Which of so many calls are refused, by their numbers."""
    numbers = []
    for number in range(calls):
        try:
            asyncio.run(faults.apply())
        except InjectedFault:
            numbers.append(number)
    return numbers


def test_a_share_of_all_calls_is_refused() -> None:
    """Whichever the dice say; all of them, or none, if that is the share."""
    faults = GlobalFaults(draw=cycle([0.0, 0.1, 0.3, 0.5, 0.999]).__next__)
    for share, numbers in ((0.3, [0, 1, 5, 6]), (1.0, [*range(10)]), (0.0, [])):
        faults.fail("unavailable", share)
        assert refused(faults, 10) == numbers


def test_faults_end() -> None:
    """A delay and failures end apart from each other."""
    faults = GlobalFaults()
    active = []
    for change in (
        lambda: None,
        lambda: faults.delay(1),
        lambda: faults.fail("internal"),
        faults.delay,
        faults.fail,
    ):
        change()
        active.append(faults.is_active)
    assert active == [False, True, True, True, False]


@pytest.mark.parametrize("milliseconds", [-1, 3_600_001])
def test_a_delay_that_no_test_can_mean_is_refused(milliseconds: Any) -> None:
    """It would look like a server that hangs."""
    with pytest.raises(ValueError, match=f"0 to 3600000 milliseconds, not {milliseconds}"):
        GlobalFaults().delay(milliseconds)


@table("share", [-0.1, 1.1, float("nan")])
def test_a_share_is_a_part_of_one(share: Any) -> None:
    """30 per cent is 0.3."""
    with pytest.raises(ValueError, match=f"must be 0 to 1, not {share:g}"):
        GlobalFaults().fail("unavailable", share)


def test_what_is_refused_did_not_happen(wire: Wire, server: LocalServer) -> None:
    """A call that counts was not counted, and the key is not even looked at."""
    server.accept_only("right")
    server.fail("unavailable")
    request = pb._IncrementRequest(cache_key=b"n", amount=1, ttl_milliseconds=60_000)
    for key in ("right", "wrong"):
        assert status(wire.Increment, request, authorization=key) == StatusCode.UNAVAILABLE
    server.fail()
    assert wire.Increment(request, authorization="right").value == 1
    assert server.calls == {"Increment": 3}


def test_streams_are_refused_and_delayed_too(wire: Wire, server: LocalServer) -> None:
    """Those with an end, and those without."""
    topics = cachepubsub_pb2_grpc.PubsubStub(wire.channel)
    subscription = cachepubsub_pb2._SubscriptionRequest(cache_name="cache", topic="t")
    server.fail("resource-exhausted")
    assert status(wire.GetBatch, pb._GetBatchRequest(items=[GET])) == StatusCode.RESOURCE_EXHAUSTED
    with pytest.raises(grpc.RpcError) as caught:
        next(topics.Subscribe(subscription, timeout=HANG_GUARD))
    assert caught.value.code() == StatusCode.RESOURCE_EXHAUSTED
    server.fail()
    server.delay(60_000)
    with pytest.raises(grpc.RpcError) as caught:
        next(topics.Subscribe(subscription, timeout=0.1))
    assert caught.value.code() == StatusCode.DEADLINE_EXCEEDED
    server.delay()
    assert [pb.Miss] == [answer.result for answer in wire.GetBatch(pb._GetBatchRequest(items=[GET]))]
    assert next(topics.Subscribe(subscription, timeout=HANG_GUARD)).WhichOneof("kind") == "heartbeat"
