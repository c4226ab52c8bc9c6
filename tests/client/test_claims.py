"""Claims of a key: which calls are sent, and which are repeated after a failure."""

from __future__ import annotations

from typing import Any

import pytest
from momento_wire_types import cacheclient_pb2

from django_momento.client.calls import SetIf, Wait
from django_momento.client.claims import PAUSES, Claim, Release, Renewal, claim, release, renew
from django_momento.exceptions import CallTimedOut, CircuitOpen, LimitExceeded, ServerUnavailable
from tests.kit.tables import table

CLAIM, RENEWAL, RELEASE = Claim(b"k", b"t", 5), Renewal(b"k", b"t", 5), Release(b"k", b"t")


def drive(operation: Any, *outcomes: Any) -> tuple[list[Any], Any]:
    """Feed outcomes into an operation. Return its calls and its result. It waits once a release is sent."""
    calls = [next(operation)]
    try:
        for outcome in (*outcomes, None):
            failed = isinstance(outcome, Exception)
            calls.append(operation.throw(outcome) if failed else operation.send(outcome))
    except StopIteration as done:
        if isinstance(calls[0], Release) and done.value:
            assert isinstance(calls.pop(), Wait)
        return calls, done.value
    raise AssertionError(f"one more call than outcomes: {calls}")


@table(
    ("call", "same"),
    [
        (CLAIM, SetIf(b"k", b"t", 5, "absent_or_equal", b"t")),
        (RENEWAL, SetIf(b"k", b"t", 5, "equal", b"t")),
        (RELEASE, SetIf(b"k", b"t", 1, "equal", b"t")),
    ],
)
def test_every_call_is_a_set_if(call: SetIf, same: SetIf) -> None:
    """A release lasts a millisecond."""
    assert "SetIf" == call.rpc
    assert same.request(cacheclient_pb2) == call.request(cacheclient_pb2)


def test_calls_that_change_nothing_the_second_time_may_be_repeated() -> None:
    assert (Claim.retryable, Renewal.retryable, Release.retryable, SetIf.retryable) == (
        True,
        True,
        False,
        False,
    )


@table("result", [True, False])
@table(
    ("operation", "call"),
    [
        (lambda: claim(b"k", b"t", 5), CLAIM),
        (lambda: renew(b"k", b"t", 5), RENEWAL),
        (lambda: release(b"k", b"t"), RELEASE),
    ],
)
def test_the_first_response_decides(operation: Any, call: SetIf, result: bool) -> None:
    assert ([call], result) == drive(operation(), result)


@table("result", [True, False])
@table(
    ("operation", "call"),
    [(lambda: claim(b"k", b"t", 5), CLAIM), (lambda: renew(b"k", b"t", 5), RENEWAL)],
)
def test_a_claim_that_timed_out_is_repeated_once(operation: Any, call: SetIf, result: bool) -> None:
    """With the same token, which the key holds if the first call arrived."""
    timed_out = CallTimedOut("no response")
    assert ([call, call], result) == drive(operation(), timed_out, result)
    with pytest.raises(CallTimedOut):
        drive(operation(), timed_out, timed_out)
    with pytest.raises(LimitExceeded):
        drive(operation(), LimitExceeded("too many"))


@table("result", [True, False])
def test_a_repeated_release_is_a_release_whatever_it_finds(result: bool) -> None:
    """The first call may have taken effect."""
    assert ([RELEASE, RELEASE], True) == drive(release(b"k", b"t"), ServerUnavailable("gone"), result)
    with pytest.raises(ServerUnavailable):
        drive(release(b"k", b"t"), CallTimedOut("no response"), ServerUnavailable("gone"))
    with pytest.raises(CircuitOpen):
        drive(release(b"k", b"t"), CircuitOpen("not asked"))


@table(
    ("operation", "call"),
    [(lambda: claim(b"k", b"t", 5), CLAIM), (lambda: release(b"k", b"t"), RELEASE)],
)
def test_a_repetition_waits_for_the_probe_of_a_breaker_that_opened(operation: Any, call: SetIf) -> None:
    """The lost response opens it. An outage is still raised."""
    lost, refused = CallTimedOut("no response"), CircuitOpen("not asked")
    calls, result = drive(operation(), lost, refused, None, True)
    assert [call, call, call] == [each for each in calls if not isinstance(each, Wait)]
    assert isinstance(calls[2], Wait)
    assert result is True
    with pytest.raises(CircuitOpen):
        drive(operation(), lost, *[refused, None] * len(PAUSES), refused)
