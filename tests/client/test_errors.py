"""What Momento answers becomes the exception that explains it, whatever the details look like."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable

import grpc
import pytest
from momento.errors import InvalidArgumentException, UnknownException
from momento.internal.services import Service

from django_momento import exceptions
from django_momento.client.errors import Sent, map_error
from django_momento.exceptions import (
    InvalidArgument,
    LimitExceeded,
    MomentoCacheError,
    ServerError,
    ValueTooLarge,
)
from django_momento.interruption import is_foreign
from tests.kit.tables import table
from tests.kit.waiting import HANG_GUARD, PAUSE, once_it_waits

SENT = Sent(
    rpc="Get", cache="my-cache", endpoint="cell.example", source="Secret 'momento' in eu-west-1", timeout=1.1
)

KINDS = {
    "UNAUTHENTICATED": exceptions.AuthenticationFailed,
    "PERMISSION_DENIED": exceptions.NotPermitted,
    "NOT_FOUND": exceptions.CacheNotFound,
    "INVALID_ARGUMENT": exceptions.InvalidArgument,
    "OUT_OF_RANGE": exceptions.InvalidArgument,
    "FAILED_PRECONDITION": exceptions.FailedPrecondition,
    "UNAVAILABLE": exceptions.ServerUnavailable,
    "CANCELLED": exceptions.ServerUnavailable,
    "DEADLINE_EXCEEDED": exceptions.CallTimedOut,
    "INTERNAL": exceptions.ServerError,
    "UNKNOWN": exceptions.ServerError,
    "UNIMPLEMENTED": exceptions.ServerError,
    "ABORTED": exceptions.ServerError,
    "DATA_LOSS": exceptions.ServerError,
    "ALREADY_EXISTS": exceptions.ServerError,
    "A_STATUS_OF_THE_FUTURE": exceptions.ServerError,
    "RESOURCE_EXHAUSTED": exceptions.LimitExceeded,
}

LIMITS = {
    "operations_rate_limit_exceeded": ("Too many Operations", "operations per second"),
    "throughput_rate_limit_exceeded": ("the throughput is too high", "throughput"),
    "request_size_limit_exceeded": ("over the request limit", "request size"),
    "element_size_limit_exceeded": ("over the element size", "element size"),
}


@table(("status", "kind"), KINDS.items())
def test_a_status_becomes_its_exception(status: str, kind: type[MomentoCacheError]) -> None:
    """Callers tell failures apart by type, so each gRPC status has exactly one."""
    assert kind is type(SENT.error_for_status(status, "details"))


@table("status", KINDS)
@table("details", ["", ".", "{}", "{0} {missing} {details!r:>{width}}", "100 %s %(x)s", "two\nlines", "ünï"])
def test_odd_details_break_no_message(status: str, details: str) -> None:
    """Details are the server's: whatever they hold, a message comes of it and not a KeyError."""
    error = SENT.error_for_status(status, details)

    assert ": ." not in error.cause
    assert ".." not in error.cause
    assert error.cause.endswith(".")


@table("status", sorted(KINDS.keys() - {"NOT_FOUND", "DEADLINE_EXCEEDED"}))
def test_a_message_repeats_what_momento_said(status: str) -> None:
    """Momento's own words are often the best hint there is, and keep their braces."""
    assert "said {this}" in SENT.error_for_status(status, "said {this}.").cause


@table(
    ("status", "hints"),
    [
        ("UNAUTHENTICATED", ("cell.example", "Secret 'momento' in eu-west-1", "expired")),
        ("PERMISSION_DENIED", ("Secret 'momento' in eu-west-1", "Get", "'my-cache'", "permission")),
        ("NOT_FOUND", ("cell.example", "'my-cache'", "LOCATION", "--create")),
        ("UNAVAILABLE", ("cell.example", "ENDPOINT")),
        ("DEADLINE_EXCEEDED", ("cell.example", "Get", "1.1 s", "CLIENT_TIMEOUT")),
        ("RESOURCE_EXHAUSTED", ("Get", "'my-cache'", "limit")),
        ("INTERNAL", ("cell.example", "Get", "INTERNAL")),
    ],
)
def test_a_message_names_what_to_look_at(status: str, hints: tuple[str, ...]) -> None:
    """The reader learns where the call went, with which key, and what to change."""
    message = str(SENT.error_for_status(status, "details"))

    assert [] == [hint for hint in hints if hint not in message]


@table(("err", "limit"), [(err, limit) for err, (_, limit) in LIMITS.items()])
def test_a_limit_is_told_by_the_trailing_metadata(err: str, limit: str) -> None:
    """Momento's ``err`` decides, also against words in the details that point elsewhere."""
    error = SENT.error_for_status("RESOURCE_EXHAUSTED", "operations, throughput, item size", err)

    assert isinstance(error, LimitExceeded)
    assert limit == error.limit
    assert limit in error.cause


@table("err", [None, ""])
@table(("words", "limit"), LIMITS.values())
def test_a_limit_is_told_by_the_words_where_there_is_no_metadata(
    words: str, limit: str, err: str | None
) -> None:
    """Servers that send no ``err`` say it in words, in any case."""
    error = SENT.error_for_status("RESOURCE_EXHAUSTED", words, err)

    assert isinstance(error, LimitExceeded)
    assert limit == error.limit


@table(("details", "err"), [("", None), ("slow down", None), ("operations", "a_new_limit")])
def test_a_limit_nobody_named_is_unknown(details: str, err: str | None) -> None:
    """A limit that cannot be told is not guessed."""
    error = SENT.error_for_status("RESOURCE_EXHAUSTED", details, err)

    assert isinstance(error, LimitExceeded)
    assert "unknown" == error.limit


@table(
    ("details", "err"),
    [("too big", "item_size_limit_exceeded"), ("Over the item size limit", None)],
)
def test_an_item_over_the_size_limit_is_a_value_too_large(details: str, err: str | None) -> None:
    """A value that is too large is the caller's to change, and no limit to wait for."""
    error = SENT.error_for_status("RESOURCE_EXHAUSTED", details, err)

    assert ValueTooLarge is type(error)
    assert details in error.cause


KEY = "eyJlbmRwb2ludCI6ICJjZWxsIiwgImFwaV9rZXkiOiAiYWJjIn0"


@table("status", sorted(KINDS.keys() - {"NOT_FOUND", "DEADLINE_EXCEEDED"}))
@table(
    ("details", "shown", "hidden"),
    [
        (f"denied to {KEY}", "denied to", KEY),
        ("authorization: a-plain-key", "authorization", "a-plain-key"),
        ("the key tiny-secret is wrong", "is wrong", "tiny-secret"),
        ("one\r\ntwo", "one\\r\\ntwo", "\n"),
        ("a \x1b[31mred\x07 text", "red", "\x1b"),
        ("x" * 100_000, "xxx", "x" * 1000),
    ],
)
def test_details_of_the_server_are_redacted_escaped_and_bounded(
    status: str, details: str, shown: str, hidden: str
) -> None:
    """A proxy may quote the API key, and may send any character, in any amount."""
    sent = Sent("Get", "my-cache", "cell.example", "a secret", 1.1, secrets=("tiny-secret",))

    message = str(sent.error_for_status(status, details))

    assert shown in message
    assert hidden not in message


@table(
    ("rpc", "details", "kind"),
    [
        ("Set", "CLIENT: Sent message larger than max (6000005 vs. 5243000)", ValueTooLarge),
        ("SetIfNotExists", "Sent message larger than max (6000005 vs. 5243000)", ValueTooLarge),
        ("SetBatch", "Sent message larger than max (6000005 vs. 5243000)", ValueTooLarge),
        ("Get", "Sent message larger than max (6000005 vs. 5243000)", InvalidArgument),
        ("KeysExist", "Sent message larger than max (6000005 vs. 5243000)", InvalidArgument),
        ("Get", "CLIENT: Received message larger than max (6000005 vs. 5243000)", ValueTooLarge),
        ("Get", "received metadata size exceeds hard limit (value length 17000 vs. 16384)", InvalidArgument),
        ("Get", "to-be-sent initial metadata size exceeds peer limit", InvalidArgument),
    ],
)
def test_a_size_that_grpc_refuses_is_no_limit_of_the_account(
    rpc: str, details: str, kind: type[MomentoCacheError]
) -> None:
    """gRPC enforces sizes on this side, and the message names the key and its size."""
    sent = Sent(rpc, "my-cache", "cell.example", "a secret", 1.1, item="key 'k' (6,000,001 bytes)")

    error = sent.error_for_status("RESOURCE_EXHAUSTED", details)

    assert kind is type(error)
    assert "key 'k' (6,000,001 bytes)" in error.cause


@table(
    ("error", "kind"),
    [
        (RuntimeError("can't start new thread"), ServerError),
        (RecursionError("maximum recursion depth exceeded"), ServerError),
        (FileNotFoundError(2, "No such file", "/roots.pem"), ServerError),
        (AttributeError("'NoneType' object has no attribute 'result'"), ServerError),
        (MemoryError("none left"), ServerError),
        (UnknownException("unforeseen", Service.CACHE), ServerError),
        (grpc.RpcError("without a status"), ServerError),
        (OverflowError("too large to convert"), InvalidArgument),
        (ValueError("out of range"), InvalidArgument),
        (InvalidArgumentException("a bad name", Service.CACHE), InvalidArgument),
        (ValueError("Cannot invoke RPC on closed channel!"), exceptions.ServerUnavailable),
        (grpc.FutureCancelledError(), exceptions.ServerUnavailable),
    ],
)
def test_an_error_without_a_status_keeps_its_cause(error: Exception, kind: type[MomentoCacheError]) -> None:
    """An exception inside the SDK or gRPC becomes ours, chained, with its words in the message."""
    mapped = map_error(SENT, error)

    assert kind is type(mapped)
    assert mapped.__cause__ is error
    if kind is not exceptions.ServerUnavailable:
        assert str(getattr(error, "message", error)) in mapped.cause


def test_an_error_whose_text_cannot_be_had_is_named_by_its_type() -> None:
    """``str()`` of a foreign error may raise anything."""

    class Unprintable(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no text")

    cause = map_error(SENT, Unprintable()).cause
    assert ("Unprintable" in cause, "RuntimeError" in cause) == (True, False)


class Limit(Exception):
    """Of a package that is neither gRPC's nor the SDK's."""


def raise_in_handler(raise_: Callable[..., None], wait: Callable[[], object]) -> BaseException:
    """Return the exception that a signal's handler raises while this thread is inside library code."""
    us = threading.get_ident()
    before = signal.signal(signal.SIGALRM, raise_)
    try:
        with (
            once_it_waits(lambda: signal.pthread_kill(us, signal.SIGALRM)),
            pytest.raises(Exception) as caught,  # noqa: PT011 - any of them
        ):
            wait()
    finally:
        signal.signal(signal.SIGALRM, before)
    return caught.value


def by_name(signum: int, frame: object) -> None:
    raise Limit


def by_star(*_: object) -> None:
    raise RuntimeError("a built-in type")


class ByMethod:
    def __call__(self, signum: int, frame: object) -> None:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        raise TimeoutError


@table("handler", [by_name, by_star, ByMethod()])
def test_the_exception_of_a_signals_handler_is_foreign(handler: Callable[..., None]) -> None:
    """A time limit of Celery or RQ belongs to the caller, whatever its type."""
    assert is_foreign(raise_in_handler(handler, threading.Event().wait))


def test_an_exception_that_another_thread_set_is_foreign() -> None:
    """RQ's time limit on threads: it is raised in library code, and is of no library's type."""
    import ctypes

    us = threading.get_ident()

    def interrupt() -> None:
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(us), ctypes.py_object(Limit))

    def wait() -> None:
        # Each turn ends inside threading, where the exception is raised. Until then the other thread does not
        # go on in Python 3.11 if the coverage of tests is measured, so it cannot end a wait.
        for _ in range(round(HANG_GUARD / PAUSE)):
            threading.Event().wait(PAUSE)

    with once_it_waits(interrupt), pytest.raises(Limit) as caught:
        wait()
    assert is_foreign(caught.value)


@table("error", [KeyboardInterrupt(), SystemExit(), GeneratorExit()])
def test_an_exception_that_no_except_exception_catches_is_foreign(error: BaseException) -> None:
    """The end of the process is nobody's failure."""
    assert is_foreign(error)


def test_an_exception_of_the_call_itself_is_not_foreign() -> None:
    """A thread that cannot be started is the call's own failure."""
    thread = threading.Thread()
    thread.start()
    with pytest.raises(RuntimeError) as caught:
        thread.start()
    assert not is_foreign(caught.value)
