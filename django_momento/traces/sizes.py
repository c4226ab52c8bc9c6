"""The size at which Momento would store a value, and its size with compression."""

from __future__ import annotations

from typing import Any

from ..codec.codec import INTEGER_RANGE, build_codec
from ..codec.compressors import find_compressor
from ..codec.serializers import find_serializer
from ..interruption import is_interruption
from .format import MIN_COMPRESSED_BYTES

# The first values are all compressed to measure the gain, and after them one of so many.
_ALL_OF_THE_FIRST = 100
_ONE_OF = 10
# Of a larger value only the beginning is compressed, because the whole of 5 MiB takes 100 ms.
_MAX_COMPRESSED_BYTES = 256 * 1024


class SizeMeter:
    """Measure values as this backend stores them by default: pickled and signed.

    The compressed size is measured for a part of the values, with zlib. One thread may use a meter at a time.
    """

    def __init__(self) -> None:
        self._dumps = find_serializer("pickle").dumps
        self._compress = find_compressor("zlib").compress
        codec = build_codec("pickle", signing_secrets=("any",))
        self._overhead = len(codec.encode(b"", None)) - len(self._dumps(None))
        self._seen = 0

    def measure(self, value: Any) -> tuple[int | None, int | None]:
        """Return the size of a value and its compressed size in bytes, None if it is not known."""
        if type(value) is int and value in INTEGER_RANGE:
            return len(b"%d" % value), None
        try:
            payload = self._dumps(value)
        except Exception as error:  # pickling may raise anything, also because a caller changes the value
            if is_interruption(error):
                raise
            return None, None
        size = self._overhead + len(payload)
        if len(payload) < MIN_COMPRESSED_BYTES:
            return size, None
        self._seen += 1
        if self._seen > _ALL_OF_THE_FIRST and self._seen % _ONE_OF:
            return size, None
        beginning = payload[:_MAX_COMPRESSED_BYTES]
        packed = round(len(self._compress(beginning)) * len(payload) / len(beginning))
        # The number of the compressor takes a byte.
        return size, min(size, self._overhead + 1 + packed)
