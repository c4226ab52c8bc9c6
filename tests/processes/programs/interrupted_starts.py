"""Interrupts the start of an async call at each moment, and sends a call from another thread then.

The argument names the way on which the call is sent. The calls that were interrupted are dropped.
"""

import asyncio
import gc
import json
import os
import sys
import threading
import time
from functools import partial
from typing import Any

from django_momento.client import operations
from django_momento.client.calls import Call as Request
from django_momento.client.calls import Delete, GetBatch
from django_momento.client.fork_gate import gate
from tests.kit.clients import make_client
from tests.kit.interrupting import Call

# Seconds. A call that nobody delivers takes longer.
HANG_GUARD = 20
CALL_GUARD = 100

client = make_client(int(os.environ["CACHE_ADDRESS"].rpartition(":")[2]), client_timeout=CALL_GUARD)
REQUESTS: dict[str, Request[Any]] = {
    "alone": Delete(b"k"),
    "streamed": GetBatch((b"j", b"k")),
}


def call_on_another_thread() -> bool:
    """Return whether a call ends well."""
    results: list[Any] = []

    def call() -> None:
        results.append(asyncio.run(client.arun("tests", operations.set(b"k", b"v", 60_000))))

    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    thread.join(HANG_GUARD)
    return bool(results)


def wait_for_calls(left: int) -> bool:
    """Return whether all calls in flight end but those that were ``left`` before."""
    until = time.monotonic() + HANG_GUARD
    while gate.in_flight > left and time.monotonic() < until:
        time.sleep(0.001)
    return gate.in_flight <= left


def main(way: str) -> None:
    assert call_on_another_thread()
    transport, number, left = client.transport, 0, 0
    recycled = transport.connection_of(transport.async_breaker_of(REQUESTS[way]))
    problems: list[str] = []
    start = partial(transport.start, "tests", REQUESTS[way])
    while not problems:
        connection = recycled.get()
        call = Call(start, number)
        if call.is_over:
            break
        # A future that is done loses an exception in its callback, and with it the end of its call.
        left += call.error is None
        # Its result, or the frames of its exception, hold what was in flight.
        call.error = None
        del call
        gc.collect()
        if not call_on_another_thread():
            problems.append(f"{number}: another caller waits")
        if not wait_for_calls(left):
            problems.append(f"{number}: {gate.in_flight} calls in flight")
        if recycled.peek() is connection and connection.in_flight:
            problems.append(f"{number}: the connection has {len(connection.in_flight)} calls in flight")
        number += 1
    print(json.dumps({"problems": problems, "interruptions": number}))  # noqa: T201 - the result


if __name__ == "__main__":
    main(sys.argv[1])
