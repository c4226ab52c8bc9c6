"""Whatever is done to stored values, a codec answers a miss or what was stored: the forger's whole toolbox.

MUTATIONS forgeries are tried on each configuration; ``DJANGO_MOMENTO_MUTATIONS=100000`` tries as many.
Pickle with neither protection is left out: whoever sets SIGN=False trusts everybody who can write.
"""

from __future__ import annotations

import os
import pickle
import random
import re
from collections.abc import Callable
from typing import Any

import pytest

from django_momento.codec.codec import Codec
from django_momento.codec.compressors import COMPRESSORS, find_compressor
from django_momento.codec.protection import Encryption, Protection, Signature
from django_momento.exceptions import UnreadableValue
from tests.kit.bombs import BOMBS, MIB
from tests.kit.codecs import (
    CONFIGURATIONS,
    DOTTED_PATH,
    OTHER_ENCRYPTION_KEY,
    OTHER_SECRET,
    Configuration,
    Touchy,
    unpickled,
)
from tests.kit.tables import table

MUTATIONS = int(os.environ.get("DJANGO_MOMENTO_MUTATIONS", "400"))

VALUES: dict[bytes, Any] = {
    b":1:flag": True,
    b":1:user:1": {"name": "Ada", "staff": False, "id": 1},
    b":1:user:2": {"name": "Bob", "staff": True, "id": 2},
    b":1:list": [{"title": "value", "price": 1.5}] * 20,
    b":1:text": "words that repeat themselves " * 10,
}

PICKLES = [pickle.dumps(Touchy(), protocol) for protocol in range(pickle.HIGHEST_PROTOCOL + 1)]
PICKLES += [find_compressor(name).compress(PICKLES[-1]) for name in COMPRESSORS]
TAGS = b"\x81\x91\xa1\xb1\xc1\xd1\x89\x99\xa9\xb9\xc9\xd9"
# They grow to 8 MiB, more than what is not sealed may, from at most 33 KB.
SMALL_BOMBS = [bytes((COMPRESSORS[name],)) + bomb(8 * MIB) for name, bomb in BOMBS.items()]
OTHER_SEALS: dict[str, list[Protection]] = {
    "neither": [],
    "SIGN": [Signature([OTHER_SECRET])],
    "ENCRYPTION_KEY": [Encryption([OTHER_ENCRYPTION_KEY])],
    "both": [Encryption([OTHER_ENCRYPTION_KEY]), Signature([OTHER_SECRET])],
}


class Forger:
    """Has seen everything that is stored, can write to every key, and knows no secret."""

    def __init__(self, configuration: Configuration) -> None:
        self.random = random.Random(str(configuration))  # The same choices in every run.
        codec = configuration.codec()
        self.stored = {key: codec.encode(key, value) for key, value in VALUES.items()}
        another_site = configuration.codec(OTHER_SEALS[configuration.protection])
        self.foreign = {key: another_site.encode(key, value) for key, value in VALUES.items()}
        compressing = configuration._replace(compressor="zlib").codec()
        tag_length = 5 if configuration.serializer == DOTTED_PATH else 1
        self.compressed_tag = compressing.encode(b":1:list", VALUES[b":1:list"])[:tag_length]

    def forgery(self, key: bytes) -> bytes:
        """Return what to put under a key instead of what is there."""
        # Digits are an integer, which whoever can write to the cache may set.
        while _DIGITS.fullmatch(data := self.random.choices(FORGERIES, WEIGHTS)[0](self, key)):
            pass
        return data

    def _any(self, most: int) -> bytes:
        return self.random.randbytes(self.random.randint(1, most))

    def _place(self, data: bytes | bytearray) -> int:
        return self.random.randrange(len(data))

    def flip_bits(self, key: bytes) -> bytes:
        data = bytearray(self.stored[key])
        for _ in range(self.random.randint(1, 4)):
            data[self._place(data)] ^= 1 << self.random.randrange(8)
        return bytes(data)

    def overwrite(self, key: bytes) -> bytes:
        data, new = self.stored[key], self._any(8)
        place = self._place(data)
        return data[:place] + new + data[place + len(new) :]

    def cut(self, key: bytes) -> bytes:
        data = self.stored[key]
        start, end = sorted((self._place(data), self._place(data)))
        return self.random.choice((data[:start], data[end:], data[:start] + data[end:]))

    def prolong(self, key: bytes) -> bytes:
        data, place = self.stored[key], self._place(self.stored[key])
        return self.random.choice((data + self._any(8), data[:place] + self._any(8) + data[place:], data * 2))

    def swap(self, key: bytes) -> bytes:
        return self.stored[self.random.choice(list(self.stored))]

    def splice(self, key: bytes) -> bytes:
        head, tail = self.stored[key], self.swap(key)
        place = self.random.choice((1, 2, 6, 13, 14, 17, 18, 22, 29, 30))
        return head[:place] + tail[place:]

    def relabel(self, key: bytes) -> bytes:
        data = self.stored[key]
        return self.random.choice(
            (
                self._any(1) + data[1:],
                self._any(2) + data[2:],
                bytes((data[0] ^ 0x10, self.random.randint(0, 6))) + data[1:],
                bytes((data[0] & 0x9F,)) + data[17:],
                bytes((data[0] ^ 0x60,)) + data[1:],
            )
        )

    def write_as_another_site(self, key: bytes) -> bytes:
        return self.foreign[key]

    def inject_a_pickle(self, key: bytes) -> bytes:
        payload, data = self.random.choice(PICKLES), self.stored[key]
        head = self.random.choice((0, 1, 2, 5, 6, 13, 14, 17, 18, 22, 29))
        tag = bytes((self.random.choice(TAGS + data[:1]),))
        return self.random.choice(
            (
                payload,
                data[:head] + payload,
                tag + payload,
                tag + bytes((self.random.randint(0, 6),)) + payload,
                tag + data[1:head] + payload,
                tag + bytes(16) + payload,
            )
        )

    def plant_a_bomb(self, key: bytes) -> bytes:
        return self.compressed_tag + self.random.choice(SMALL_BOMBS)

    def make_noise(self, key: bytes) -> bytes:
        return self._any(60)


# With weights: a bomb that must be decompressed takes as long as a thousand others.
FORGERIES_AND_WEIGHTS: dict[Callable[[Forger, bytes], bytes], float] = {
    Forger.flip_bits: 30,
    Forger.overwrite: 10,
    Forger.cut: 10,
    Forger.prolong: 10,
    Forger.swap: 10,
    Forger.splice: 10,
    Forger.relabel: 10,
    Forger.write_as_another_site: 1,
    Forger.inject_a_pickle: 10,
    Forger.plant_a_bomb: 0.5,
    Forger.make_noise: 5,
}
FORGERIES, WEIGHTS = list(FORGERIES_AND_WEIGHTS), list(FORGERIES_AND_WEIGHTS.values())
_DIGITS = re.compile(rb"-?[0-9]+")


def answers(codec: Codec, forger: Forger) -> list[tuple[bytes, bytes, Any]]:
    """Return key, forgery and value of what a codec read, of MUTATIONS forgeries."""
    read = []
    for _ in range(MUTATIONS):
        key = forger.random.choice(list(VALUES))
        data = forger.forgery(key)
        try:
            value = codec.decode(key, data)
        except UnreadableValue:
            continue
        read.append((key, data, value))
    return read


@table("configuration", [one for one in CONFIGURATIONS if one.protection != "neither"])
def test_a_sealed_value_is_read_as_it_was_or_not_at_all(configuration: Configuration) -> None:
    """No forgery is an exception, another value, or another key's; and none has a side effect."""
    forger = Forger(configuration)
    read = answers(configuration.codec(), forger)

    assert [] == [(key, data) for key, data, value in read if value != VALUES[key]]
    assert [] == [(key, data) for key, data, _ in read if data != forger.stored[key]]
    assert [] == unpickled


@table(
    "configuration",
    [one for one in CONFIGURATIONS if one.protection == "neither" and one.serializer != "pickle"],
)
def test_an_unsealed_value_without_pickle_does_no_harm(configuration: Configuration) -> None:
    """Anybody may set plain values there, but no forgery is an exception, or has a side effect."""
    answers(configuration.codec(), Forger(configuration))

    assert [] == unpickled


@table("compressor", [None, *COMPRESSORS])
def test_an_unsealed_pickle_that_was_cut_is_a_miss(compressor: str | None) -> None:
    """Even where every writer is trusted, accidents are misses."""
    codec = Configuration("pickle", "neither", compressor).codec()
    for key, value in VALUES.items():
        data = codec.encode(key, value)
        for end in range(len(data)):
            with pytest.raises(UnreadableValue):
                codec.decode(key, data[:end])
