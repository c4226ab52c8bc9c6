"""Compressed data that fits into a cache and grows to 5 GB, without ever having been large.

Each is one compressed piece repeated, so that making it takes no longer than copying it. LZ4 cannot grow more
than 255-fold: there it is 1.3 GB.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable

from django_momento.codec.compressors import find_compressor

MIB = 1024 * 1024
GROWN = 4769 * MIB
_ZEROS = bytes(MIB)


def _deflated(grown: int) -> bytes:
    packer = zlib.compressobj(9, wbits=-15)
    # After a full flush a piece refers to nothing before it.
    piece = packer.compress(_ZEROS) + packer.flush(zlib.Z_FULL_FLUSH)
    return piece * (grown // MIB) + b"\x03\0"


def zlib_bomb(grown: int = GROWN) -> bytes:
    """A stream of zeros; its checksum is wrong, which would show at the end only."""
    return b"\x78\xda" + _deflated(grown) + bytes(4)


def gzip_bomb(grown: int = GROWN) -> bytes:
    """The same in gzip's clothes."""
    return bytes.fromhex("1f8b0800000000000003") + _deflated(grown) + bytes(8)


def lzma_bomb(grown: int = GROWN) -> bytes:
    """Raw LZMA2: chunks that each reset the dictionary, and the byte that ends them."""
    piece = find_compressor("lzma").compress(_ZEROS)
    return piece[:-1] * (grown // MIB) + piece[-1:]


def zstd_bomb(grown: int = GROWN) -> bytes:
    """A frame of blocks of 128 KiB, each of which is one byte repeated."""
    block = (1 << 1 | 128 * 1024 << 3).to_bytes(3, "little") + b"\0"
    last = (1 | 1 << 1 | 1 << 3).to_bytes(3, "little") + b"\0"
    return bytes.fromhex("28b52ffd0050") + block * (grown // (128 * 1024)) + last


def zstd_window_bomb() -> bytes:
    """A small frame that asks for a window of 2 GiB to be set aside."""
    return bytes.fromhex("28b52ffd00a8") + (1 | 1 << 1 | 1 << 3).to_bytes(3, "little") + b"\0"


def lz4_bomb(grown: int = 5 * MIB * 250) -> bytes:
    """A block of one literal that is repeated, behind its true length."""
    more, rest = divmod(grown - 1 - 5 - 19, 255)
    match = b"\x1f\0\x01\0" + b"\xff" * more + bytes((rest,))
    return struct.pack("<I", grown) + match + b"\x50" + bytes(5)


def lz4_liar() -> bytes:
    """A small block that says it is as long as four bytes can tell."""
    return b"\xff\xff\xff\xff" + lz4_bomb(100)[4:]


BOMBS: dict[str, Callable[..., bytes]] = {
    "zlib": zlib_bomb,
    "gzip": gzip_bomb,
    "lzma": lzma_bomb,
    "zstd": zstd_bomb,
    "lz4": lz4_bomb,
}
