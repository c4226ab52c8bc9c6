"""``SetIf`` on the server, by the client's own channel, for both faces."""

from __future__ import annotations

import asyncio

from django_momento.client.calls import Get, Operation, Set, SetIf
from django_momento.client.registry import clients
from tests.conftest import MakeCache
from tests.kit.tables import table

STORED = {"same": b"old", "other": b"another"}
CONDITIONS = {
    "absent": {"same": False, "other": False, "missing": True},
    "equal": {"same": True, "other": False, "missing": False},
    "absent_or_equal": {"same": True, "other": False, "missing": True},
    "not_equal": {"same": False, "other": True, "missing": True},
}


def store_if(key: bytes, condition: str) -> Operation[tuple[bool, bytes | None]]:
    stored = yield SetIf(key, b"new", 60_000, condition, b"old")
    return stored, (yield Get(key))


def store(key: bytes, value: bytes) -> Operation[None]:
    yield Set(key, value, 60_000)


@table("condition", CONDITIONS, afresh=True)
@table("face", ["sync", "async"], afresh=True)
def test_a_value_is_stored_if_the_condition_holds(make_cache: MakeCache, face: str, condition: str) -> None:
    client = clients.get(make_cache().options.connection)
    for key, expected in CONDITIONS[condition].items():
        name = f"{condition} {key}".encode()
        if key in STORED:
            client.run("tests", store(name, STORED[key]))

        operation = store_if(name, condition)
        if face == "sync":
            outcome = client.run("tests", operation)
        else:
            outcome = asyncio.run(client.arun("tests", operation))

        assert outcome == (expected, b"new" if expected else STORED.get(key)), key
