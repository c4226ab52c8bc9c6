"""Each compressor gives back what it was given, and says what is wrong with anything else."""

from __future__ import annotations

import gzip
import random
import sys
import zlib
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from django_momento.codec.compressors import COMPRESSORS, decompress, find_compressor
from django_momento.codec.imports import OptionError
from django_momento.exceptions import UnreadableValue
from tests.kit.codecs import KEY, Configuration, refusal
from tests.kit.tables import table

MODULES = {"zstd": "backports.zstd", "lz4": "lz4.block"}
every_compressor = table("name", COMPRESSORS)


@pytest.fixture
def _nothing_found_yet() -> Iterator[None]:
    """What was found is kept: a test without a package must find anew, and leave nothing behind."""
    find_compressor.cache_clear()
    yield
    find_compressor.cache_clear()


@pytest.mark.parametrize("name", COMPRESSORS)
@settings(derandomize=True, deadline=None, database=None)
@given(data=st.binary(max_size=5000), times=st.sampled_from((1, 50)))
def test_what_was_compressed_comes_back(name: str, data: bytes, times: int) -> None:
    """Whatever the bytes are, and from the compressor's number alone."""
    packed = find_compressor(name).compress(data * times)

    assert data * times == decompress(COMPRESSORS[name], packed, 250_000)


@every_compressor
def test_what_repeats_itself_becomes_smaller(name: str) -> None:
    """Momento bills by the KiB: this is what compression is for."""
    assert len(find_compressor(name).compress(b"value " * 1000)) < 200


@every_compressor
def test_what_was_cut_short_or_prolonged_is_unreadable(name: str) -> None:
    """A stream that does not end where it says is a miss, even if all of the value was in it."""
    data = random.Random(1).randbytes(100) * 20
    packed = find_compressor(name).compress(data)
    for other in [packed[:end] for end in range(len(packed))] + [packed + b"\0", packed + packed]:
        with pytest.raises(UnreadableValue):
            decompress(COMPRESSORS[name], other, 10_000)


@every_compressor
@table("data", [b"", b"\1", b"text", bytes(100), b"\xff" * 100])
def test_what_it_did_not_write_is_unreadable(name: str, data: bytes) -> None:
    """Every library has errors of its own; they become one."""
    with pytest.raises(UnreadableValue):
        decompress(COMPRESSORS[name], data, 10_000)


def test_zlib_and_gzip_are_what_everybody_calls_so() -> None:
    """Other programs unpack them with what they have."""
    assert b"value" == zlib.decompress(find_compressor("zlib").compress(b"value"))
    assert b"value" == gzip.decompress(find_compressor("gzip").compress(b"value"))


@table("number", [0, 6, 255])
def test_a_compressor_of_a_later_version_is_unreadable(number: int) -> None:
    """A newer release may add some; this one says which number it met."""
    with pytest.raises(UnreadableValue, match=f"its compressor \\({number:#x}\\) is not known"):
        decompress(number, b"", 10_000)


@pytest.mark.usefixtures("_nothing_found_yet")
@table("name", MODULES, afresh=True)
def test_a_compressor_without_its_package_names_the_extra(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Configured, it is an error with the command; met in a value, it is a miss with a reason."""
    packed = Configuration("json", "SIGN", name).codec().encode(KEY, "value" * 50)
    find_compressor.cache_clear()
    monkeypatch.setitem(sys.modules, "compression.zstd", None)
    monkeypatch.setitem(sys.modules, MODULES[name], None)
    with pytest.raises(OptionError) as raised:
        find_compressor(name)

    assert "COMPRESSOR" == raised.value.option
    assert f"Install it: python -m pip install 'django-momento[{name}]'." == raised.value.fix
    assert f"it is compressed with {name}, whose package is not installed" == refusal(
        Configuration("json", "SIGN").codec(), packed
    )
