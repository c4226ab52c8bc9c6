"""The status and the text of a refused call."""

from __future__ import annotations

from typing import Any

from grpc import StatusCode

from django_momento.local import errors


def every_refusal(cls=errors.Refused) -> Any:
    for subclass in cls.__subclasses__():
        yield subclass
        yield from every_refusal(subclass)


def test_only_a_stop_is_a_refusal_the_sdks_retry() -> None:
    """UNAVAILABLE, INTERNAL and CANCELLED are sent again; only after a stop that helps."""
    retried = {StatusCode.UNAVAILABLE, StatusCode.INTERNAL, StatusCode.CANCELLED}
    assert {errors.ServerStopping} == {refusal for refusal in every_refusal() if refusal.code in retried}


def test_a_missing_cache_reads_as_the_cache() -> None:
    """The SDKs read some words in the text or an `err` as something else than a missing cache."""
    refusal = errors.CacheNotFound("sessions")
    assert (str(refusal), refusal.err) == ("Cache not found: sessions", None)


def test_an_item_too_large_names_size_and_limit() -> None:
    """The text has both numbers, and `err` tells this limit from the others."""
    refusal = errors.ItemTooLarge(11, 10)
    assert str(refusal) == "The item size limit is 10 bytes for key and value; this item has 11"
    assert refusal.err == "item_size_limit_exceeded"
