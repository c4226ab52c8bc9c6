"""Compress payloads, and decompress them up to the length that the caller allows.

Each compressor has a number, which stands in the tag of a stored value, so that reading never guesses. A
package is imported when it is first needed: for writing with the settings, for reading with the first value.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from functools import cache, partial
from typing import Any, NamedTuple, Protocol

from ..exceptions import UnreadableValue
from ..interruption import is_interruption
from .imports import OptionError, import_optional

# Stored values depend on these numbers: they never change, and a number is used only once. They fit one byte.
COMPRESSORS = {"zlib": 1, "gzip": 2, "lzma": 3, "zstd": 4, "lz4": 5}
_NAMES = {number: name for name, number in COMPRESSORS.items()}
_OPTION = "COMPRESSOR"

# zlib's code for gzip's header and checksum.
_GZIP = 31
# Without a header no value can ask for a larger dictionary. This one costs 13 MiB of memory while
# compressing. lzma's default of 8 MiB costs 93 MiB, and helps only values that are longer than the
# dictionary.
_LZMA_DICTIONARY_BYTES = 1024 * 1024
# Bounds the memory that a frame can make zstd set aside. Its default level needs a quarter of it.
_ZSTD_WINDOW_LOG = 23
_LZ4_LENGTH_BYTES = 4


class Compressor(NamedTuple):
    """A pair of functions. ``decompress`` takes the data and the largest number of bytes to return.

    It raises UnreadableValue if the result would be longer. For data that ``compress`` did not write it may
    raise anything.
    """

    number: int
    compress: Callable[[bytes], bytes]
    decompress: Callable[[bytes, int], bytes]


@cache
def find_compressor(name: str) -> Compressor:
    """Return the compressor of a name. Raises OptionError if it needs a package that is not installed."""
    match name:
        case "zlib":
            return Compressor(COMPRESSORS[name], zlib.compress, _streaming(zlib.decompressobj))
        case "gzip":
            return Compressor(COMPRESSORS[name], _gzip, _streaming(partial(zlib.decompressobj, wbits=_GZIP)))
        case "lzma":
            return _lzma()
        case "zstd":
            return _zstd()
        case _:
            return _lz4()


def decompress(number: int, data: bytes, max_bytes: int) -> bytes:
    """Return the payload that the compressor with this number packed.

    Raises UnreadableValue, with the reason, for other data and if the payload is longer than ``max_bytes``.
    """
    name = _NAMES.get(number)
    if name is None:
        raise UnreadableValue(f"its compressor ({number:#x}) is not known to this version")
    try:
        compressor = find_compressor(name)
    except OptionError:
        raise UnreadableValue(f"it is compressed with {name}, whose package is not installed") from None
    try:
        return compressor.decompress(data, max_bytes)
    except UnreadableValue:
        raise
    except Exception as error:  # Each library has its own.
        if is_interruption(error):
            raise
        raise UnreadableValue(f"it cannot be decompressed with {name} ({type(error).__name__})") from error


class _Stream(Protocol):
    """The interface that zlib, lzma and zstd share."""

    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


def _streaming(start: Callable[[], _Stream]) -> Callable[[bytes, int], bytes]:
    def decompress_stream(data: bytes, max_bytes: int) -> bytes:
        stream = start()
        # One byte more than allowed tells a payload that is too long from one that just fits.
        value = stream.decompress(data, max_bytes + 1)
        if len(value) > max_bytes:
            raise _too_long(max_bytes)
        if not stream.eof or stream.unused_data:
            raise UnreadableValue("its compressed data is cut short, or prolonged")
        return value

    return decompress_stream


def _too_long(max_bytes: int) -> UnreadableValue:
    return UnreadableValue(f"it would be longer than {max_bytes:,} bytes when decompressed")


def _gzip(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=_GZIP)
    return packer.compress(data) + packer.flush()


def _lzma() -> Compressor:
    import lzma

    lzma2 = {"id": lzma.FILTER_LZMA2, "preset": lzma.PRESET_DEFAULT, "dict_size": _LZMA_DICTIONARY_BYTES}
    raw: dict[str, Any] = {"format": lzma.FORMAT_RAW, "filters": [lzma2]}
    return Compressor(
        COMPRESSORS["lzma"],
        partial(lzma.compress, **raw),
        _streaming(partial(lzma.LZMADecompressor, **raw)),
    )


def _zstd() -> Compressor:
    try:
        # In the standard library from Python 3.14 on; the extra has it for older ones.
        zstd: Any = import_optional("compression.zstd", "zstd", _OPTION)
    except OptionError:
        zstd = import_optional("backports.zstd", "zstd", _OPTION)
    options = {zstd.DecompressionParameter.window_log_max: _ZSTD_WINDOW_LOG}
    return Compressor(
        COMPRESSORS["zstd"],
        zstd.compress,
        _streaming(partial(zstd.ZstdDecompressor, options=options)),
    )


def _lz4() -> Compressor:
    # Blocks cost 10 us and 14 bytes less than frames. A block begins with the length, so the length is
    # checked before memory is set aside.
    block = import_optional("lz4.block", "lz4", _OPTION)

    def decompress_block(data: bytes, max_bytes: int) -> bytes:
        if int.from_bytes(data[:_LZ4_LENGTH_BYTES], "little") > max_bytes:
            raise _too_long(max_bytes)
        value: bytes = block.decompress(data)
        return value

    return Compressor(COMPRESSORS["lz4"], block.compress, decompress_block)
