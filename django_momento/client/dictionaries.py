"""Calls on one field of a dictionary, as values. They go over our own channel."""

from __future__ import annotations

from typing import Any, ClassVar

from ..exceptions import ServerError
from ..redaction import quote
from .calls import Call


class DictionaryIncrement(Call[int]):
    """Add to an integer in a field and return the sum. A missing field counts as 0.

    ``ttl`` is that of a dictionary that this call creates. An existing dictionary keeps its expiry.
    """

    __slots__ = ("amount", "field", "key", "ttl")

    retryable: ClassVar[bool] = False

    def __init__(self, key: bytes, field: bytes, amount: int, ttl: int) -> None:
        self.key = key
        self.field = field
        self.amount = amount
        self.ttl = ttl

    def request(self, pb: Any) -> Any:
        return pb._DictionaryIncrementRequest(
            dictionary_name=self.key,
            field=self.field,
            amount=self.amount,
            ttl_milliseconds=self.ttl,
            refresh_ttl=False,
        )

    def parse(self, response: Any, pb: Any) -> int:
        return int(response.value)


class DictionaryGet(Call[bytes | None]):
    """Return the value of a field, or None if the field or the dictionary is missing."""

    __slots__ = ("field", "key")

    def __init__(self, key: bytes, field: bytes) -> None:
        self.key = key
        self.field = field

    def request(self, pb: Any) -> Any:
        return pb._DictionaryGetRequest(dictionary_name=self.key, fields=[self.field])

    def parse(self, response: Any, pb: Any) -> bytes | None:
        if response.WhichOneof("dictionary") == "missing":
            return None
        items = response.found.items
        if len(items) == 1 and items[0].result == pb.Hit:
            return bytes(items[0].cache_body)
        if len(items) == 1 and items[0].result == pb.Miss:
            return None
        raise ServerError(f"Momento sent neither a hit nor a miss for a field: {quote(str(response))}.")


CALLS: tuple[type[Call[Any]], ...] = (DictionaryIncrement, DictionaryGet)
