"""The operations of each call, and that the local server counts the same from the messages on the wire."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

from momento_wire_types import cacheclient_pb2 as pb

from django_momento.client import calls, dictionaries
from django_momento.client.calls import Call
from django_momento.client.metering import operations
from django_momento.local import LocalServer
from tests.kit.tables import table
from tests.kit.wire import Wire

KIB = 1024
TTL = 60_000
STORED = {b"a": bytes(100), b"b": bytes(14 * KIB - 1), b"c": bytes(14 * KIB)}

# A call on the items above, its operations, and those of a consistent read.
CASES: list[tuple[Call[Any], int, int]] = [
    (calls.Get(b"missing"), 1, 2),
    (calls.Get(bytes(KIB + 1)), 2, 4),
    (calls.Get(b"a"), 1, 2),
    (calls.Get(b"b"), 14, 28),
    (calls.Get(b"c"), 15, 30),
    (calls.GetBatch((b"a", b"missing", b"b", b"c")), 31, 62),
    (calls.GetBatch(()), 1, 2),
    (calls.KeysExist((b"a", b"b", b"missing")), 1, 2),
    (calls.KeysExist((bytes(KIB), b"a")), 2, 4),
    (calls.ItemGetTtl(b"c"), 1, 2),
    (calls.Set(b"x", bytes(KIB - 1), TTL), 1, 1),
    (calls.Set(b"x", bytes(KIB), TTL), 2, 2),
    (calls.SetIfAbsent(b"y", bytes(KIB), TTL), 2, 2),
    (calls.SetIf(b"z", bytes(KIB), TTL, "absent"), 4, 4),
    (calls.SetIf(b"a", bytes(10), TTL, "equal", bytes(100)), 2, 2),
    (calls.SetIf(b"z", bytes(10), TTL, "equal", bytes(100)), 2, 2),
    (calls.SetIf(b"z", bytes(10), TTL, "absent_or_equal", bytes(100)), 2, 2),
    (calls.SetIf(b"z", bytes(10), TTL, "not_equal", bytes(100)), 2, 2),
    (calls.SetBatch(((b"x", bytes(10)), (b"y", bytes(3 * KIB))), TTL), 5, 5),
    (calls.SetBatch((), TTL), 1, 1),
    (calls.SetBatchOnce(((b"x", bytes(10)), (b"y", bytes(10))), TTL), 2, 2),
    (calls.UpdateTtl(b"c", TTL), 1, 1),
    (calls.Increment(b"n", 1, TTL), 1, 1),
    (dictionaries.DictionaryIncrement(b"d", b"f", 1, TTL), 1, 1),
    (dictionaries.DictionaryIncrement(b"d", bytes(KIB + 1), 1, TTL), 2, 2),
    (dictionaries.DictionaryGet(b"d", b"f"), 1, 2),
    (calls.Delete(b"c"), 1, 1),
    (calls.Delete(bytes(2 * KIB + 1)), 3, 3),
]


def send(wire: Wire, call: Call[Any], read_concern: str) -> Any:
    """Send a call to the server. Return its result."""
    metadata = {"read-concern": read_concern} if read_concern else {}
    return call.parse(getattr(wire, call.rpc)(call.request(pb), **metadata), pb)


@table(("read_concern", "column"), [("", 0), ("balanced", 0), ("consistent", 1)])
def test_client_and_server_count_the_published_operations(read_concern: str, column: int) -> None:
    """Each started KiB of an item is one, a miss is one, and a consistent read counts twice."""
    surprises = []
    with LocalServer(caches=["cache"]) as server:
        wire = Wire(server.address)
        for call, *expected in CASES:
            for key, value in STORED.items():
                wire.Set(pb._SetRequest(cache_key=key, cache_body=value, ttl_milliseconds=TTL))
            server.reset_calls()
            result = send(wire, call, read_concern)
            counted = (operations(call, result, read_concern), server.operations[call.rpc])
            if counted != (expected[column],) * 2:
                surprises.append((call, counted))
        wire.channel.close()
    assert surprises == []


def test_every_data_call_is_counted() -> None:
    """A call that is added later has operations too, and a control call has none."""
    every = {value for value in vars(calls).values() if isinstance(value, type) and issubclass(value, Call)}
    data = {call for call in every - {Call} if not call.control} | {*dictionaries.CALLS}
    assert data == {type(call) for call, *_ in CASES}
    assert operations(calls.FlushCache("cache"), None) == 0


@table("call", [calls.GetBatch((b"a", b"b")), calls.SetBatch(((b"a", bytes(5000)),), TTL)])
def test_a_batch_that_failed_costs_one(call: Call[Any]) -> None:
    """Its items are not known to have been transferred."""
    assert operations(call, None) == 1


def test_the_rule_needs_no_grpc() -> None:
    """The meter of a process that has made no call yet must not load it."""
    program = "import sys, django_momento.client.metering as m; print({'grpc', 'google'} & set(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert loaded.stdout == "set()\n"
