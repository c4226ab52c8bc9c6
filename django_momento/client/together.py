"""Calls that are sent together over one transport: all are sent before the first one is waited for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..clock import monotonic
from ..exceptions import MomentoCacheError
from .calls import Call
from .fork_gate import gate
from .futures import LAST_MOMENT, cancel_elsewhere, wait_for, wait_on_this_thread
from .interrupts import release_interrupted_locks
from .metering import Tally
from .retry import PartialFailure

if TYPE_CHECKING:
    from .transport import Transport


def call_all(transport: Transport, cache: str, calls: list[Call[Any]], tally: Tally | None) -> list[Any]:
    """Send calls and wait on this thread; return their results. Raises PartialFailure."""
    outcomes: list[Any] = []
    sent: list[Any] = []
    try:
        with gate.enter(transport):
            started = monotonic()
            for call in calls:
                # One by one, so that an exception finds those that were sent already.
                sent.append(transport.start_for_this_thread(cache, call, tally))  # noqa: PERF401 - see above
            last_moment = LAST_MOMENT
            for call, each in zip(calls, sent, strict=True):
                is_done = _wait_for(transport, call, each, started, last_moment)
                if not is_done:
                    last_moment = 0.0  # One for all calls that are overdue.
                outcomes.append(_outcome(transport, cache, call, each, started, tally, is_done))
    except BaseException as error:
        # From a signal's handler. The destructor of a call would wait for locks on this thread.
        release_interrupted_locks(error)
        cancel_elsewhere([each[0] for each in sent if not isinstance(each, MomentoCacheError)])
        raise
    return _all_or_partial_failure(outcomes)


async def acall_all(
    transport: Transport, cache: str, calls: list[Call[Any]], tally: Tally | None
) -> list[Any]:
    """See call_all(). The results are awaited."""
    started = monotonic()
    sent: list[Any] = []
    for call in calls:
        try:
            sent.append(transport.start(cache, call, tally))
        except MomentoCacheError as error:
            sent.append(error)
    pending = [each[0] for each in sent if not isinstance(each, MomentoCacheError)]
    await wait_for(pending, timeout=max(transport.bound(call) for call in calls))
    pairs = zip(calls, sent, strict=True)
    return _all_or_partial_failure(
        [
            _outcome(transport, cache, call, each, started, tally, _wait_for(transport, call, each, started))
            for call, each in pairs
        ]
    )


def _wait_for(
    transport: Transport, call: Call[Any], sent: Any, started: float, last_moment: float = 0.0
) -> bool:
    """Wait on this thread for a call that was sent. Return whether it is done.

    The wait lasts until the bound of the call, or for ``last_moment`` seconds if the bound is past.
    """
    if isinstance(sent, MomentoCacheError):
        return True
    left = started + transport.bound(call) - monotonic()
    return wait_on_this_thread(sent[0], left if left > 0 else last_moment)


def _outcome(
    transport: Transport,
    cache: str,
    call: Call[Any],
    sent: Any,
    started: float,
    tally: Tally | None,
    is_done: bool,
) -> Any:
    """Return the result of a call that was sent with others, or its error. Give it up if it is not done."""
    if isinstance(sent, MomentoCacheError):
        return sent
    try:
        if not is_done:
            return transport.abandon(cache, call, sent)
        return transport.finish(cache, call, sent[0], started, tally)
    except MomentoCacheError as error:
        return error


def _all_or_partial_failure(outcomes: list[Any]) -> list[Any]:
    if any(isinstance(outcome, MomentoCacheError) for outcome in outcomes):
        raise PartialFailure(outcomes)
    return outcomes
