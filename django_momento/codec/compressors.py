"""The ways to make payloads smaller. What is read back never grows beyond the length that the caller allows.

Each has a number, which stands in the tag of what it wrote, so that a reader need not guess. Packages are
imported when they are first needed: to write, with the settings; to read, when a value names them.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from functools import cache, partial
from typing import Any, NamedTuple, Protocol

from ..exceptions import UnreadableValue
from .imports import OptionError, import_optional

# Stored values depend on these numbers: they never change, and none is ever used again. They fit one byte.
COMPRESSORS = {"zlib": 1, "gzip": 2, "lzma": 3, "zstd": 4, "lz4": 5}
_NAMES = {number: name for name, number in COMPRESSORS.items()}
_OPTION = "COMPRESSOR"

# zlib's code for gzip's header and checksum.
_GZIP = 31
# Without a header no value can ask for a larger dictionary than this. It costs 13 MiB while compressing, and
# lzma's default of 8 MiB costs 93, which makes no value smaller that is shorter than the dictionary.
_LZMA_DICTIONARY_BYTES = 1024 * 1024
# What zstd may set aside for what a frame refers back to. Its default level asks for a quarter of it.
_ZSTD_WINDOW_LOG = 23
_LZ4_LENGTH_BYTES = 4


class Compressor(NamedTuple):
    """``decompress`` takes data and the most bytes to answer.

    It raises UnreadableValue for what would be longer, and may raise anything for what ``compress`` did not
    write.
    """

    number: int
    compress: Callable[[bytes], bytes]
    decompress: Callable[[bytes, int], bytes]


@cache
def find_compressor(name: str) -> Compressor:
    """Answer the compressor of a name. Raises UnusableOption if it needs a package that is not installed."""
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


def decompressed(number: int, data: bytes, most_bytes: int) -> bytes:
    """Answer what the compressor with a number packed.

    Raises UnreadableValue, with the reason, for anything else, and for what is longer than ``most_bytes``.
    """
    name = _NAMES.get(number)
    if name is None:
        raise UnreadableValue(f"its compressor ({number:#x}) is not known to this version")
    try:
        decompress = find_compressor(name).decompress
    except OptionError:
        raise UnreadableValue(f"it is compressed with {name}, whose package is not installed") from None
    try:
        return decompress(data, most_bytes)
    except UnreadableValue:
        raise
    except Exception as error:  # Each library has its own.
        raise UnreadableValue(f"it cannot be decompressed with {name} ({type(error).__name__})") from error


class _Stream(Protocol):
    """What zlib, lzma and zstd have in common."""

    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


def _streaming(start: Callable[[], _Stream]) -> Callable[[bytes, int], bytes]:
    def decompress(data: bytes, most_bytes: int) -> bytes:
        stream = start()
        # One byte more than is allowed tells what is too long from what is just long enough.
        value = stream.decompress(data, most_bytes + 1)
        if len(value) > most_bytes:
            raise _too_long(most_bytes)
        if not stream.eof or stream.unused_data:
            raise UnreadableValue("its compressed data is cut short, or prolonged")
        return value

    return decompress


def _too_long(most_bytes: int) -> UnreadableValue:
    return UnreadableValue(f"it would be longer than {most_bytes:,} bytes when decompressed")


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
    # Its blocks rather than its frames: they cost 10 us and 14 bytes less. A block begins with the length, so
    # that it can be checked before memory is set aside.
    block = import_optional("lz4.block", "lz4", _OPTION)

    def decompress(data: bytes, most_bytes: int) -> bytes:
        if int.from_bytes(data[:_LZ4_LENGTH_BYTES], "little") > most_bytes:
            raise _too_long(most_bytes)
        value: bytes = block.decompress(data)
        return value

    return Compressor(COMPRESSORS["lz4"], block.compress, decompress)
