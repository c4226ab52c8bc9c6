"""Operations, fed canned answers: which calls a verb makes, and what it makes of the answers. No server."""

from __future__ import annotations

from enum import IntEnum
from typing import Any

import pytest

from django_momento.client import operations
from django_momento.client.calls import (
    MAX_ITEM_BYTES,
    MAX_TTL,
    CreateCache,
    Delete,
    FlushCache,
    Get,
    GetBatch,
    Increment,
    ItemGetTtl,
    KeysExist,
    Operation,
    Set,
    SetBatch,
    SetIfAbsent,
    UpdateTtl,
)
from django_momento.exceptions import (
    FailedPrecondition,
    InvalidArgument,
    LimitExceeded,
    MomentoCacheError,
    NotPermitted,
    ServerError,
    ServerUnavailable,
    ValueTooLarge,
)
from tests.kit.tables import table


def driven(steps: Operation[Any], *answers: Any) -> tuple[list[Any], Any]:
    """Feed the answers one by one, throwing those that are errors. Return the requests and the result."""
    asked = []
    remaining = list(answers)
    try:
        call = next(steps)
        while True:
            asked.append(call)
            answer = remaining.pop(0)
            call = steps.throw(answer) if isinstance(answer, Exception) else steps.send(answer)
    except StopIteration as done:
        assert remaining == []
        return asked, done.value


VERBS = [
    (operations.get(b"k"), [b"v"], [Get(b"k")], b"v"),
    (operations.get(b"k"), [None], [Get(b"k")], None),
    (operations.set(b"k", b"v", 5), [None], [Set(b"k", b"v", 5)], None),
    (operations.set(b"k", b"v", 0), [None], [Delete(b"k")], None),
    (operations.add(b"k", b"v", 5), [True], [SetIfAbsent(b"k", b"v", 5)], True),
    (operations.add(b"k", b"v", 5), [False], [SetIfAbsent(b"k", b"v", 5)], False),
    (operations.add(b"k", b"v", 0), [[False]], [KeysExist((b"k",))], True),
    (operations.add(b"k", b"v", 0), [[True]], [KeysExist((b"k",))], False),
    (operations.touch(b"k", 5), [True], [UpdateTtl(b"k", 5)], True),
    (operations.touch(b"k", 5), [False], [UpdateTtl(b"k", 5)], False),
    (operations.touch(b"k", 0), [[True], None], [KeysExist((b"k",)), Delete(b"k")], True),
    (operations.delete(b"k"), [[True], None], [KeysExist((b"k",)), Delete(b"k")], True),
    (operations.delete(b"k"), [[False], None], [KeysExist((b"k",)), Delete(b"k")], False),
    (operations.has_key(b"k"), [[True]], [KeysExist((b"k",))], True),
    (operations.incr(b"k", 2), [None], [ItemGetTtl(b"k")], None),
    (operations.get_many([b"k"]), [b"v"], [Get(b"k")], {b"k": b"v"}),
    (operations.get_many([b"k", b"k"]), [None], [Get(b"k")], {}),
    (
        operations.get_many([b"k", b"l", b"k"]),
        [[[b"v", None]]],
        [[GetBatch((b"k", b"l"))]],
        {b"k": b"v"},
    ),
    (operations.set_many({b"k": b"v"}, 5), [[[True]]], [[SetBatch(((b"k", b"v"),), 5)]], {}),
    (operations.set_many({b"k": b"v"}, 0), [[None]], [[Delete(b"k")]], {}),
    (operations.delete_many([b"k", b"l", b"k"]), [[None, None]], [[Delete(b"k"), Delete(b"l")]], None),
    (operations.clear("c"), [None], [FlushCache("c")], None),
    (operations.create(), [False], [CreateCache()], False),
]


@table(("steps", "answers", "calls", "result"), VERBS)
def test_a_verb_makes_these_calls_and_answers_this(
    steps: Operation[Any], answers: list[Any], calls: list[Any], result: Any
) -> None:
    """Each verb is the calls that the documentation's table says, in that order."""
    assert (calls, result) == driven(steps, *answers)


def test_incr_gives_the_key_the_time_it_had_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """Increment always overwrites the expiry, so it is given what is left of it: round trip subtracted."""
    clock = iter([10.0, 10.25])
    monkeypatch.setattr(operations, "monotonic", lambda: next(clock))
    calls, total = driven(operations.incr(b"k", 2), 60_000, 7)
    assert [ItemGetTtl(b"k"), Increment(b"k", 2, 59_750)] == calls
    assert total == 7


def test_incr_of_a_key_about_to_expire_keeps_a_millisecond(monkeypatch: pytest.MonkeyPatch) -> None:
    """A TTL of 0 is not a TTL: what is nearly over is given the least there is."""
    clock = iter([10.0, 11.0])
    monkeypatch.setattr(operations, "monotonic", lambda: next(clock))
    calls, _ = driven(operations.incr(b"k", 2), 500, 7)
    assert calls[1] == Increment(b"k", 2, 1)


@table(("stored", "error"), [(b"text", TypeError), (b"9223372036854775807", OverflowError)])
def test_incr_explains_a_refusal_by_what_is_stored(stored: bytes, error: type[Exception]) -> None:
    """Momento's status does not tell text from overflow, but the value does."""
    with pytest.raises(error):
        driven(operations.incr(b"k", 1), 60_000, FailedPrecondition("refused"), stored)


@table("stored", [b"5", None])
def test_incr_passes_on_a_refusal_it_cannot_explain(stored: bytes | None) -> None:
    """A refusal that the value does not explain stands as it is."""
    with pytest.raises(FailedPrecondition):
        driven(operations.incr(b"k", 1), 60_000, FailedPrecondition("refused"), stored)


class Step(IntEnum):
    TWO = 2


@table(("delta", "sent"), [(Step.TWO, 2), (True, 1)])
def test_incr_takes_every_kind_of_integer(delta: int, sent: int) -> None:
    """A member of an IntEnum is a number like any other."""
    calls, _ = driven(operations.incr(b"k", delta), 60_000, 7)
    assert calls[1].amount == sent


def test_incr_refuses_a_delta_over_64_bits_before_sending() -> None:
    """A delta that the protocol cannot carry is refused by name."""
    with pytest.raises(OverflowError):
        driven(operations.incr(b"k", 2**63))


@table("verb", [operations.set, operations.add])
def test_a_value_over_the_item_limit_is_refused_with_its_size(verb: Any) -> None:
    """What Momento cannot store is not sent, and the error says how large it is."""
    value = bytes(MAX_ITEM_BYTES)
    with pytest.raises(ValueTooLarge, match=f"{MAX_ITEM_BYTES + 1:,} bytes"):
        driven(verb(b"k", value, 5), [None])


def test_the_largest_item_is_sent() -> None:
    """Key and value of exactly the limit together are still an item."""
    value = bytes(MAX_ITEM_BYTES - 1)
    assert driven(operations.set(b"k", value, 5), None) == ([Set(b"k", value, 5)], None)


def test_get_many_cuts_chunks_by_count() -> None:
    """More keys than a chunk may have are asked for in several, sent together."""
    keys = [b"%d" % number for number in range(operations.MAX_CHUNK_KEYS + 1)]
    first, second = tuple(keys[:-1]), (keys[-1],)
    calls, found = driven(operations.get_many(keys), [[b"v"] * len(first), [None]])
    assert [[GetBatch(first), GetBatch(second)]] == calls
    assert found == dict.fromkeys(first, b"v")


def test_set_many_cuts_chunks_by_size() -> None:
    """No chunk is more than one message can carry."""
    value = bytes(operations.MAX_CHUNK_BYTES // 2)
    items = {b"a": value, b"b": value, b"c": value}
    calls, failed = driven(operations.set_many(items, 5), [[True], [True], [True]])
    assert [[SetBatch(((key, value),), 5) for key in items]] == calls
    assert failed == {}


def test_many_chunks_are_sent_a_few_at_a_time() -> None:
    """A very large batch does not open all of its streams at once."""
    value = bytes(operations.MAX_CHUNK_BYTES // 2)
    items = {b"%d" % number: value for number in range(operations.MAX_CONCURRENT_STREAMS + 1)}
    calls, _ = driven(operations.set_many(items, 5), [[True]] * operations.MAX_CONCURRENT_STREAMS, [[True]])
    assert [len(chunks) for chunks in calls] == [operations.MAX_CONCURRENT_STREAMS, 1]


def test_set_many_stores_what_it_can_and_names_the_rest() -> None:
    """A value too large, an item refused and a chunk that failed do not keep the others from being stored."""
    half = bytes(operations.MAX_CHUNK_BYTES // 2)
    items = {b"large": bytes(MAX_ITEM_BYTES), b"a": half, b"b": half, b"c": half}
    error = ServerUnavailable("gone")
    _, failed = driven(operations.set_many(items, 5), [[True], [False], error], [None])
    assert {key: type(error).__name__ for key, error in failed.items()} == {
        b"large": "ValueTooLarge",
        b"b": "ServerError",
        b"c": "ServerUnavailable",
    }


def test_set_many_gives_each_item_a_ttl_of_its_own() -> None:
    """Also if the items are sent again one by one, after their chunk failed."""
    items = {b"a": b"v", b"b": b"v"}
    ttls = iter(range(1, 5))
    refused = [FailedPrecondition("not this type")]
    calls, _ = driven(operations.set_many(items, 9, lambda ttl: ttl + next(ttls)), refused, [None, None])
    assert [[SetBatch((*items.items(),), (10, 11))], [Set(b"a", b"v", 12), Set(b"b", b"v", 13)]] == calls


def test_set_many_raises_if_nothing_was_stored() -> None:
    """A cache that is down is an error, not a list of keys that hardly anybody looks at."""
    with pytest.raises(ServerUnavailable):
        driven(operations.set_many({b"a": b"v", b"b": b"v"}, 5), [ServerUnavailable("gone")])


def test_get_many_raises_what_a_chunk_met() -> None:
    """A failed read is not a miss."""
    with pytest.raises(ServerUnavailable):
        driven(operations.get_many([b"a", b"b"]), [ServerUnavailable("gone")])


def test_get_many_asks_alone_for_the_keys_of_a_chunk_if_one_may_be_ignored() -> None:
    """One key of another type costs only its own value. If every key fails, so does the call."""
    keys, error = [b"a", b"b", b"c"], FailedPrecondition("type")
    alone: list[Get] = [Get(key) for key in keys]
    ignored: list[MomentoCacheError] = []
    calls, found = driven(operations.get_many(keys, ignored.append), [error], [b"1", error, None])
    assert (calls[1], found, ignored) == (alone, {b"a": b"1"}, [error])
    with pytest.raises(FailedPrecondition):
        driven(operations.get_many(keys, ignored.append), [error], [error] * 3)
    down = ServerUnavailable("down")
    with pytest.raises(ServerUnavailable):
        driven(operations.get_many(keys, ignored.append), [down])
    assert ignored == [error]


def test_delete_many_deletes_all_it_can_before_it_raises() -> None:
    """A key that could not be deleted does not keep the later ones."""
    keys = [b"%d" % number for number in range(operations.MAX_CONCURRENT_CALLS + 1)]
    steps = operations.delete_many(keys)
    first = next(steps)
    assert isinstance(first, list)
    assert len(first) == operations.MAX_CONCURRENT_CALLS
    outcomes: list[Any] = [None] * operations.MAX_CONCURRENT_CALLS
    outcomes[3] = ServerUnavailable("gone")
    assert steps.send(outcomes) == [Delete(keys[-1])]
    with pytest.raises(ServerUnavailable):
        steps.send([None])


def test_incr_version_moves_the_value_with_the_time_it_has_left() -> None:
    """A new version of a key does not live longer than the old one would have."""
    steps = operations.incr_version(b"1:k", b"2:k", lambda stored: stored.upper())
    calls, moved = driven(steps, b"v", 4000, None, None)
    assert [Get(b"1:k"), ItemGetTtl(b"1:k"), Set(b"2:k", b"V", 4000), Delete(b"1:k")] == calls
    assert moved is True


@table("answers", [[None], [b"unreadable"], [b"v", None]])
def test_incr_version_answers_false_for_what_is_not_there(answers: list[Any]) -> None:
    """Missing, unreadable, or expired between the calls: there is nothing to move."""

    def recode(stored: bytes) -> bytes | None:
        return None if stored == b"unreadable" else stored

    _, moved = driven(operations.incr_version(b"1:k", b"2:k", recode), *answers)
    assert moved is False


@table(
    "error",
    [
        ValueTooLarge("large"),
        InvalidArgument("odd"),
        FailedPrecondition("type"),
        NotPermitted("not this key"),
        ServerError("not readable"),
        LimitExceeded("large", limit="request size"),
    ],
)
def test_set_many_sends_the_items_of_a_refused_chunk_alone(error: MomentoCacheError) -> None:
    """One item that Momento refuses does not keep the others from being stored."""
    items = {b"a": b"1", b"b": b"2", b"c": b"3"}
    deleted = [[None]] * isinstance(error, ValueTooLarge)
    calls, failed = driven(operations.set_many(items, 5), [error], [None, error, None], *deleted)
    assert calls[1] == [Set(key, value, 5) for key, value in items.items()]
    assert failed == {b"b": error}


def test_set_many_sends_no_more_single_calls_than_its_bound() -> None:
    """A large chunk that is refused fails as a whole: a thousand calls would be no better."""
    items = {b"%d" % number: b"v" for number in range(operations.MAX_SINGLE_CALLS + 1)}
    with pytest.raises(InvalidArgument):
        driven(operations.set_many(items, 5), [InvalidArgument("odd")])


def test_set_many_sends_nothing_alone_after_an_error_of_all() -> None:
    """A limit of a second, and an internal error after all retries, would be met by each call again."""
    internal = ServerError("down")
    internal.status = "INTERNAL"
    for error in (LimitExceeded("busy", limit="operations per second"), internal, ServerUnavailable("down")):
        with pytest.raises(type(error)):
            driven(operations.set_many({b"a": b"1", b"b": b"2"}, 5), [error])


def test_a_ttl_is_cut_to_a_thousand_years() -> None:
    """The SDK and the protocol cannot carry every integer, and nobody can tell the difference."""
    huge = 2**64 - 1
    for verb, call in [
        (operations.set(b"k", b"v", huge), Set(b"k", b"v", MAX_TTL)),
        (operations.add(b"k", b"v", huge), SetIfAbsent(b"k", b"v", MAX_TTL)),
        (operations.touch(b"k", huge), UpdateTtl(b"k", MAX_TTL)),
        (operations.set_many({b"k": b"v"}, huge), [SetBatch(((b"k", b"v"),), MAX_TTL)]),
    ]:
        assert next(verb) == call
    calls, _ = driven(operations.incr(b"k", 1), huge, 7)
    assert calls[1] == Increment(b"k", 1, MAX_TTL)
