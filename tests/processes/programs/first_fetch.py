"""Interrupts the first call of a client at each moment at which Python looks for signals, one after another.

Other callers wait for the key meanwhile, and call afterwards. In a process of its own: raised within the
measurement of coverage, an exception leaves its lock locked.
"""

import asyncio
import json
import os
import sys
import threading
import time
from functools import partial

import django

django.setup()

from django_momento.client import operations
from django_momento.client.client import Client
from django_momento.client.fork_gate import gate
from django_momento.conf.options import ConnectionOptions
from django_momento.endpoint import Endpoint
from tests.kit.interrupting import Call, Stop

host, _, port = os.environ["CACHE_ADDRESS"].rpartition(":")

# Of the exceptions that are kept, with their frames, as a tracker of errors does.
KEPT = 20

# Seconds. A caller that is not told of the end of a fetch looks within one.
HANG_GUARD = 60


class Caller(threading.Thread):
    """One call on another thread, of either face."""

    def __init__(self, client: Client, *, is_async: bool) -> None:
        super().__init__(daemon=True)
        self.client = client
        self.is_async = is_async
        self.outcome = "none"
        self.start()

    def run(self) -> None:
        try:
            if self.is_async:
                asyncio.run(self.client.arun("tests", operations.has_key(b"k")))
            else:
                self.client.run("tests", operations.has_key(b"k"))
            self.outcome = "answered"
        except Exception as error:  # noqa: BLE001 - it is reported
            self.outcome = repr(error)

    def end(self) -> str:
        self.join(HANG_GUARD)
        return self.outcome


others: list[Caller] = []
clients: list[Client] = []


def read() -> str:
    """Return the key, once other callers have come. This is the source of the clients' keys."""
    if clients and not others:
        others.extend([Caller(clients[-1], is_async=False), Caller(clients[-1], is_async=True)])
        time.sleep(0.003)
    return "key"


def make_client() -> Client:
    # No call here may fail because the machine is busy.
    return Client(
        ConnectionOptions(
            f"{__spec__.name}.read", endpoint=Endpoint(host, int(port)), client_timeout=HANG_GUARD
        )
    )


def main(step: int) -> None:
    # The first client imports modules. An exception in an import can leave Python's own lock of it locked.
    make_client().run("tests", operations.has_key(b"k"))
    failures: list[str] = []
    kept: list[BaseException | None] = [None] * KEPT
    number = 1
    while True:
        client = make_client()
        others.clear()
        clients[:] = [client]
        call = Call(partial(client.run, "tests", operations.has_key(b"k")), number)
        kept[number % KEPT] = call.error
        outcomes = [each.end() for each in (*others, Caller(client, is_async=False))]
        if call.error is not None and not isinstance(call.error, Stop):
            outcomes.append(repr(call.error))
        until = time.monotonic() + HANG_GUARD
        while gate.in_flight and time.monotonic() < until:
            time.sleep(0.001)
        if gate.in_flight:
            outcomes.append(f"{gate.in_flight} calls in flight")
        failures += [f"{number}: {each}" for each in outcomes if each != "answered"]
        client.close()
        if call.is_over:
            break
        number += step
    print(json.dumps({"failures": failures, "interruptions": number // step}))  # noqa: T201 - the result


if __name__ == "__main__":
    # The callable is imported by its path, and must find the callers of this very module.
    sys.modules[__spec__.name] = sys.modules["__main__"]
    main(int(sys.argv[1]))
