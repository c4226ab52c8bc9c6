"""What Momento answers becomes the exception that explains it, whatever the details look like."""

from __future__ import annotations

import pytest

from django_momento import exceptions
from django_momento.client.errors import Sent
from django_momento.exceptions import LimitExceeded, MomentoCacheError, ValueTooLarge

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


@pytest.mark.parametrize(("status", "kind"), KINDS.items())
def test_a_status_becomes_its_exception(status: str, kind: type[MomentoCacheError]) -> None:
    """Callers tell failures apart by type, so each gRPC status has exactly one."""
    assert kind is type(SENT.failed(status, "details"))


@pytest.mark.parametrize("status", KINDS)
@pytest.mark.parametrize(
    "details", ["", ".", "{}", "{0} {missing} {details!r:>{width}}", "100 %s %(x)s", "two\nlines", "ünï"]
)
def test_odd_details_break_no_message(status: str, details: str) -> None:
    """Details are the server's: whatever they hold, a message comes of it and not a KeyError."""
    error = SENT.failed(status, details)

    assert ": ." not in error.cause
    assert ".." not in error.cause
    assert error.cause.endswith(".")


@pytest.mark.parametrize("status", sorted(KINDS.keys() - {"NOT_FOUND", "DEADLINE_EXCEEDED"}))
def test_a_message_repeats_what_momento_said(status: str) -> None:
    """Momento's own words are often the best hint there is, and keep their braces."""
    assert "said {this}" in SENT.failed(status, "said {this}.").cause


@pytest.mark.parametrize(
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
    message = str(SENT.failed(status, "details"))

    assert [] == [hint for hint in hints if hint not in message]


@pytest.mark.parametrize(("err", "limit"), [(err, limit) for err, (_, limit) in LIMITS.items()])
def test_a_limit_is_told_by_the_trailing_metadata(err: str, limit: str) -> None:
    """Momento's ``err`` decides, also against words in the details that point elsewhere."""
    error = SENT.failed("RESOURCE_EXHAUSTED", "operations, throughput, item size", err)

    assert isinstance(error, LimitExceeded)
    assert limit == error.limit
    assert limit in error.cause


@pytest.mark.parametrize("err", [None, ""])
@pytest.mark.parametrize(("words", "limit"), LIMITS.values())
def test_a_limit_is_told_by_the_words_where_there_is_no_metadata(
    words: str, limit: str, err: str | None
) -> None:
    """Servers that send no ``err`` say it in words, in any case."""
    error = SENT.failed("RESOURCE_EXHAUSTED", words, err)

    assert isinstance(error, LimitExceeded)
    assert limit == error.limit


@pytest.mark.parametrize(("details", "err"), [("", None), ("slow down", None), ("operations", "a_new_limit")])
def test_a_limit_nobody_named_is_unknown(details: str, err: str | None) -> None:
    """A limit that cannot be told is not guessed."""
    error = SENT.failed("RESOURCE_EXHAUSTED", details, err)

    assert isinstance(error, LimitExceeded)
    assert "unknown" == error.limit


@pytest.mark.parametrize(
    ("details", "err"), [("too big", "item_size_limit_exceeded"), ("Over the item size limit", None)]
)
def test_an_item_over_the_size_limit_is_a_value_too_large(details: str, err: str | None) -> None:
    """A value that is too large is the caller's to change, and no limit to wait for."""
    error = SENT.failed("RESOURCE_EXHAUSTED", details, err)

    assert ValueTooLarge is type(error)
    assert details in error.cause
