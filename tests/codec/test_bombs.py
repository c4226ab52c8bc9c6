"""A value that would grow beyond all bounds is a miss, and costs no more memory than the bound."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from django_momento.codec.compressors import COMPRESSORS, find_compressor
from django_momento.codec.protection import MAX_PROTECTED_BYTES, MAX_UNPROTECTED_BYTES
from django_momento.exceptions import UnreadableValue
from tests.kit.bombs import BOMBS, GROWN, MIB, lz4_liar, zstd_window_bomb
from tests.kit.codecs import KEY, PROTECTIONS, Configuration, refusal
from tests.kit.tables import table

# Decodes a bomb that the site itself would have sealed, and tells what came of it and how many MiB that took.
DECODES = """
import json, resource, sys

from django_momento.codec.compressors import COMPRESSORS, find_compressor
from django_momento.exceptions import UnreadableValue
from tests.kit.bombs import BOMBS
from tests.kit.codecs import KEY, PROTECTIONS, Configuration
from tests.codec.test_bombs import stored

name, protection = sys.argv[1:]
codec = Configuration("json", protection).codec()
data = stored(name, protection, BOMBS[name]())
find_compressor(name)

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024

before = peak()
try:
    codec.decode(KEY, data)
except UnreadableValue as refusal:
    print(json.dumps([str(refusal), peak() - before]))
"""
# Beside the value itself: the pieces it is put together from, and what the library keeps.
SLACK_MIB = 24
ROOT = Path(__file__).parents[2]

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in KiB on Linux")


def stored(name: str, protection: str, packed: bytes) -> bytes:
    """Write what a configuration with JSON would, had the compressor made this of a value."""
    tag = bytes(({"neither": 0x92, "SIGN": 0xB2, "ENCRYPTION_KEY": 0xD2}[protection], COMPRESSORS[name]))
    return PROTECTIONS[protection][0].seal(KEY, tag, packed) if PROTECTIONS[protection] else tag + packed


def test_there_is_a_bomb_for_each_compressor() -> None:
    """A new compressor must come with what would break it; all of them fit into an item of Momento's."""
    assert set(COMPRESSORS) == set(BOMBS)
    assert [] == [name for name, bomb in BOMBS.items() if len(bomb()) > 5 * MIB]
    assert GROWN >= 5 * 10**9


@linux_only
@table("name", BOMBS)
@table(
    ("protection", "most"),
    [
        ("neither", MAX_UNPROTECTED_BYTES),
        ("SIGN", MAX_PROTECTED_BYTES),
        ("ENCRYPTION_KEY", MAX_PROTECTED_BYTES),
    ],
)
def test_a_bomb_is_a_miss_that_takes_little_memory(name: str, protection: str, most: int) -> None:
    """5 MB that would become 5 GB are given up once the bound is passed, sealed by the site or not."""
    ended = subprocess.run(
        [sys.executable, "-c", DECODES, name, protection],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    reason, grown = json.loads(ended.stdout)

    assert f"it would be longer than {most:,} bytes when decompressed" == reason
    # Twice the bound, because a value is put together from pieces.
    assert grown < 2 * most // MIB + SLACK_MIB


@table("name", BOMBS, afresh=True)
@table("protection", ["SIGN", "ENCRYPTION_KEY"], afresh=True)
def test_a_bomb_of_somebody_else_is_not_even_decompressed(
    name: str, protection: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the site's key it ends at the protection."""
    monkeypatch.setattr("django_momento.codec.codec.decompress", None)
    data = stored(name, "neither", BOMBS[name]())
    sealed = bytes((Configuration("json", protection).codec().encode(KEY, "value")[0] | 0x10,)) + data[1:]

    assert "this site" in refusal(Configuration("json", protection).codec(), sealed)


@table("name", COMPRESSORS)
def test_a_value_may_become_as_long_as_the_bound_and_no_longer(name: str) -> None:
    """The bound itself is still read, one byte more is not."""
    compressor = find_compressor(name)
    packed = compressor.compress(bytes(1000))

    assert bytes(1000) == compressor.decompress(packed, 1000)
    with pytest.raises(UnreadableValue, match="it would be longer than 999 bytes"):
        compressor.decompress(packed, 999)


def test_a_small_value_cannot_ask_for_much_memory() -> None:
    """What stands in a header is not believed: a window of 2 GiB, a length of 4."""
    codec = Configuration("json", "neither").codec()

    assert "it cannot be decompressed with zstd (ZstdError)" == refusal(
        codec, b"\x92\x04" + zstd_window_bomb()
    )
    assert "it would be longer than 5,242,880 bytes when decompressed" == refusal(
        codec, b"\x92\x05" + lz4_liar()
    )


@table(("protection", "most"), [("neither", MAX_UNPROTECTED_BYTES), ("SIGN", MAX_PROTECTED_BYTES)])
def test_what_could_not_be_read_back_is_not_compressed(protection: str, most: int) -> None:
    """It stays as it is, over Momento's limit, and is refused for that instead of being lost."""
    codec = Configuration("json", protection, "zlib").codec()
    longest, longer = "a" * (most - 2), "a" * (most - 1)

    assert longest == codec.decode(KEY, codec.encode(KEY, longest))
    assert len(codec.encode(KEY, longest)) < MIB
    assert len(codec.encode(KEY, longer)) > most
