"""The ways to turn values into bytes and back: pickle, JSON, MessagePack, and a site's own by dotted path.

None of them knows keys, tags or seals. Whether bytes may be trusted enough to be handed to ``loads`` is the
codec's to decide.
"""

from __future__ import annotations

import hashlib
import json
import pickle
from collections.abc import Callable
from typing import Any, NamedTuple

from .imports import OptionError, import_dotted, import_optional

# Stored values depend on these numbers: they never change, and none is ever used again. They fit four bits.
SERIALIZERS = {"pickle": 1, "json": 2, "msgpack": 3}
DOTTED_NUMBER = 4
_OPTION = "SERIALIZER"
_PICKLE_PROTOCOL = pickle.HIGHEST_PROTOCOL
_FINGERPRINT_BYTES = 4


class Serializer(NamedTuple):
    """``loads`` may raise anything for what ``dumps`` did not write.

    ``number`` stands in the tag of what is stored; ``fingerprint`` follows it, and tells one dotted path from
    others. ``bare`` says that what ``dumps`` answers needs no tag, because it cannot be taken for one.
    ``hazard``, if any, is what would happen if ``loads`` were given what is not sealed.
    """

    number: int
    dumps: Callable[[Any], bytes]
    loads: Callable[[bytes], Any]
    fingerprint: bytes = b""
    bare: bool = False
    hazard: str = ""


def find_serializer(name: str) -> Serializer:
    """Answer the serializer of a name, or of a dotted path. Raises UnusableOption."""
    match name:
        case "pickle":
            return PICKLE
        case "json":
            return JSON
        case "msgpack":
            return _msgpack()
        case _:
            return _of_dotted_path(name)


def _pickled(value: Any) -> bytes:
    return pickle.dumps(value, _PICKLE_PROTOCOL)


def _as_json(value: Any) -> bytes:
    # NaN and infinities are not JSON, and other languages refuse them.
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def _not_json(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")


_DECODER = json.JSONDecoder(parse_constant=_not_json)


def _from_json(data: bytes) -> Any:
    return _DECODER.decode(data.decode())


PICKLE = Serializer(SERIALIZERS["pickle"], _pickled, pickle.loads)
JSON = Serializer(SERIALIZERS["json"], _as_json, _from_json, bare=True)


def _msgpack() -> Serializer:
    ormsgpack = import_optional("ormsgpack", "msgpack", _OPTION)
    # Left to itself it stores a date as text and an enum's member as its value: what would come back as
    # something else is refused, as it is by JSON.
    refuse = (
        ormsgpack.OPT_PASSTHROUGH_DATACLASS
        | ormsgpack.OPT_PASSTHROUGH_DATETIME
        | ormsgpack.OPT_PASSTHROUGH_ENUM
        | ormsgpack.OPT_PASSTHROUGH_SUBCLASS
        | ormsgpack.OPT_PASSTHROUGH_UUID
    )
    any_keys = ormsgpack.OPT_NON_STR_KEYS
    written = refuse | any_keys

    def dumps(value: Any) -> bytes:
        data: bytes = ormsgpack.packb(value, option=written)
        return data

    def loads(data: bytes) -> Any:
        return ormsgpack.unpackb(data, option=any_keys)

    believes_lengths = tuple(map(int, ormsgpack.__version__.split(".")[:2])) < (1, 13)
    hazard = "a forged value of 6 KB can take gigabytes in ormsgpack before 1.13" if believes_lengths else ""
    return Serializer(SERIALIZERS["msgpack"], dumps, loads, hazard=hazard)


def _of_dotted_path(path: str) -> Serializer:
    found = import_dotted(path, _OPTION)
    if isinstance(found, type):
        try:
            found = found()
        except Exception as error:
            raise OptionError(
                _OPTION,
                f"is {path!r}, a class that cannot be instantiated ({type(error).__name__}: {error}).",
                "It is called without arguments.",
            ) from error
    for name in ("dumps", "loads"):
        if not callable(getattr(found, name, None)):
            raise OptionError(
                _OPTION, f"is {path!r}, which has no method {name}().", "Give it dumps() and loads()."
            )

    def dumps(value: Any) -> bytes:
        data = found.dumps(value)
        if not isinstance(data, bytes):
            raise TypeError(f"{path}.dumps() must answer bytes, not {type(data).__name__}")
        return data

    fingerprint = hashlib.blake2b(path.encode(), digest_size=_FINGERPRINT_BYTES).digest()
    return Serializer(DOTTED_NUMBER, dumps, found.loads, fingerprint)
