"""The end of an outage: probes that find out whether Momento is back, over connections of their own.

The connections that failed may pause for long before they try again. So each probe adds a transport with new
connections. A few are kept from one probe to the next, because making a connection may take longer than a
probe does. The first transport to get a response is put to use.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from math import inf
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

from ..clock import monotonic
from ..exceptions import CallTimedOut, TransportError
from ..interruption import is_interruption
from .breaker import Breakers, CircuitBreaker, Probe
from .calls import PROBE
from .fork_gate import gate
from .futures import wait_for
from .metering import BackgroundRequests

if TYPE_CHECKING:
    from .transport import Transport

logger = logging.getLogger("django_momento")

# Transports that are kept while they connect. With two probes a second or so, one for each connection, each
# transport has about five seconds.
MAX_CANDIDATES = 10

# Seconds. A probe has a deadline of one second, which gRPC keeps unless its threads could not be started.
MAX_PROBE_TIME = 1.3

# Seconds beyond its time after which a probe is late, and after which an async call does not wait for it.
_MARGIN = 0.2


class Recovery:
    """Refuses calls while a breaker is open, and closes all breakers after a probe that succeeded.

    ``in_use`` returns the transport in use, and ``adopt`` puts another in its place. ``suspect``
    is called after a probe without a response: the API key may be for an endpoint that is dead.
    ``background`` counts the probes.
    """

    def __init__(
        self,
        breakers: Breakers,
        in_use: Callable[[], Transport],
        adopt: Callable[[Transport, Transport], None],
        suspect: Callable[[str], None],
        background: BackgroundRequests,
    ) -> None:
        self._breakers = breakers
        self._in_use = in_use
        self._adopt = adopt
        self._suspect = suspect
        self._background = background
        self._candidates: list[Transport] = []

    def check(self, breaker: CircuitBreaker, cache: str) -> None:
        """Return if calls may be sent. Raises CircuitOpen if not.

        A probe in the background is begun if one is due. It is sent on this thread, for at most
        ``MAX_PROBE_TIME`` seconds, if there is no other thread to be had or if it is overdue: the process may
        be frozen whenever no call is in progress.
        """
        probe = breaker.half_open()
        if probe is not None and (probe.is_overdue or self._run_in_background(probe, cache) is None):
            self._run(probe, cache)
        if breaker.is_open:
            raise breaker.refusal()

    async def acheck(self, breaker: CircuitBreaker, cache: str) -> None:
        """See ``check``. A probe is never sent on this thread: an overdue one is awaited."""
        probe = breaker.half_open()
        if probe is not None:
            is_overdue = probe.is_overdue
            done = self._run_in_background(probe, cache)
            if done is None:
                probe.end(has_succeeded=False)
            elif is_overdue:
                # The probe's log lines may wait for a handler that waits for this very call.
                await wait_for((done,), shared=True, timeout=MAX_PROBE_TIME + _MARGIN)
        if breaker.is_open:
            raise breaker.refusal()

    def close(self) -> None:
        """Let go of the connections that are being made."""
        candidates, self._candidates = self._candidates, []
        for candidate in candidates:
            candidate.close()

    def _run_in_background(self, probe: Probe, cache: str) -> Future[None] | None:
        """Return the future of the probe's end, or None if the process has no thread to spare."""
        done: Future[None] = Future()

        def run() -> None:
            try:
                self._run(probe, cache)
            finally:
                done.set_result(None)

        try:
            threading.Thread(target=run, name="momento-probe", daemon=True).start()
        except Exception as error:  # threads fail to start in several ways
            if is_interruption(error):
                raise
            return None
        return done

    def _run(self, probe: Probe, cache: str) -> None:
        has_succeeded, late_at = False, inf
        try:
            late_at = monotonic() + self._in_use().probe_timeout + _MARGIN
            has_succeeded = self._has_recovered(cache)
        except Exception as error:
            if is_interruption(error):
                raise  # It belongs to the caller, on whose thread this probe runs.
            logger.exception("A probe of Momento failed unexpectedly, and is sent again.")
        finally:
            probe.end(has_succeeded=has_succeeded, was_late=monotonic() > late_at)
            if has_succeeded:
                self._breakers.close(probe.began)
            else:
                self._suspect(cache)

    def _has_recovered(self, cache: str) -> bool:
        in_use = self._in_use()
        candidates, self._candidates = self._candidates, []
        ours = [each for each in candidates if _is_like(each, in_use)][1 - MAX_CANDIDATES :]
        for candidate in candidates:
            if candidate not in ours:
                candidate.close()
        candidates = [*ours, in_use.reconnected()]
        working = self._first_to_respond(candidates, cache)
        if working is None:
            # Beside those of a probe for another connection, which ended meanwhile.
            self._candidates = [*self._candidates, *candidates]
            return False
        self._adopt(in_use, working)
        logger.warning("Momento at %s responds again.", in_use.credential.endpoint)
        for candidate in candidates:
            if candidate is not working:
                candidate.close()
        return True

    def _first_to_respond(self, candidates: list[Transport], cache: str) -> Transport | None:
        """Send a probe over each; return the first that gets a response. Those that fail are removed."""
        done: SimpleQueue[tuple[Transport, Any]] = SimpleQueue()
        with gate.enter():
            futures = []
            try:
                for candidate in candidates:
                    futures.append(future := candidate.start_probe(cache))
                    self._background.record_sent()
                    future.add_done_callback(partial(_put, done, candidate))
                until = monotonic() + MAX_PROBE_TIME
                with suppress(Empty):
                    for _ in futures:
                        candidate, future = done.get(timeout=max(0.0, until - monotonic()))
                        error = candidate.probe_error(cache, future)
                        self._background.record_end(PROBE, error, candidate.read_concern)
                        if not isinstance(error, TransportError):
                            return candidate
                        if not isinstance(error, CallTimedOut):
                            # It has no connection, and would pause before it tries again.
                            candidates.remove(candidate)
                            candidate.close()
            finally:
                for future in futures:
                    future.cancel()
        return None


def _is_like(one: Transport, other: Transport) -> bool:
    ours, its = one.credential, other.credential
    return ours.same_place(its) and ours.same_key(its)


def _put(done: SimpleQueue[tuple[Transport, Any]], candidate: Transport, future: Any) -> None:
    done.put((candidate, future))
