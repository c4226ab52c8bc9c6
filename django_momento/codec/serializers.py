"""Turn values into bytes and back: pickle, JSON, MessagePack, and a site's own serializer by dotted path.

The codec decides whether bytes can be trusted enough for ``loads``.
"""

from __future__ import annotations

import hashlib
import json
import pickle
from collections.abc import Callable
from math import isinf
from typing import Any, NamedTuple

from ..interruption import is_interruption
from ..redaction import quote
from .imports import OptionError, import_dotted, import_optional

# Stored values depend on these numbers: they never change, and a number is used only once. They fit four
# bits.
SERIALIZERS = {"pickle": 1, "json": 2, "msgpack": 3}
DOTTED_NUMBER = 4
_OPTION = "SERIALIZER"
_PICKLE_PROTOCOL = pickle.HIGHEST_PROTOCOL
_FINGERPRINT_BYTES = 4


class Serializer(NamedTuple):
    """A pair of functions. ``loads`` may raise anything for bytes that ``dumps`` did not write.

    ``number`` stands in the tag of a stored value. ``fingerprint`` follows it and tells one dotted path from
    another. ``bare`` is true if the result of ``dumps`` needs no tag, because it never begins like one.
    ``hazard`` is the damage that an unprotected value could do in ``loads``, in words, or empty.
    """

    number: int
    dumps: Callable[[Any], bytes]
    loads: Callable[[bytes], Any]
    fingerprint: bytes = b""
    bare: bool = False
    hazard: str = ""


def find_serializer(name: str) -> Serializer:
    """Return the serializer of a name or of a dotted path. Raises OptionError."""
    match name:
        case "pickle":
            return PICKLE
        case "json":
            return JSON
        case "msgpack":
            return _msgpack()
        case _:
            return _import_serializer(name)


def _dump_pickle(value: Any) -> bytes:
    return pickle.dumps(value, _PICKLE_PROTOCOL)


# NaN and infinities are not JSON, and other languages refuse them.
_ENCODER = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False)
_ASCII_ENCODER = json.JSONEncoder(separators=(",", ":"), allow_nan=False)


def _dump_json(value: Any) -> bytes:
    text = _ENCODER.encode(value)
    try:
        return text.encode()
    except UnicodeEncodeError:
        # UTF-8 has no lone surrogates. An escape such as \ud800 stores them.
        return _ASCII_ENCODER.encode(value).encode()


def _refuse_constant(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")


def _parse_float(text: str) -> float:
    number = float(text)
    if isinf(number):
        # Python reads 1e999 as infinity, which is another value than the one that was stored.
        raise ValueError("a number is too large for a float")
    return number


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant, parse_float=_parse_float)


def _load_json(data: bytes) -> Any:
    return _DECODER.decode(data.decode())


PICKLE = Serializer(SERIALIZERS["pickle"], _dump_pickle, pickle.loads)
JSON = Serializer(SERIALIZERS["json"], _dump_json, _load_json, bare=True)


def _msgpack() -> Serializer:
    ormsgpack = import_optional("ormsgpack", "msgpack", _OPTION)
    # By default ormsgpack stores a date as text and an enum's member as its value. Values that would come
    # back as another type are refused, as JSON refuses them. Subclasses of str are the exception, see below.
    refuse = (
        ormsgpack.OPT_PASSTHROUGH_DATACLASS
        | ormsgpack.OPT_PASSTHROUGH_DATETIME
        | ormsgpack.OPT_PASSTHROUGH_ENUM
        | ormsgpack.OPT_PASSTHROUGH_SUBCLASS
        | ormsgpack.OPT_PASSTHROUGH_UUID
    )
    any_keys = ormsgpack.OPT_NON_STR_KEYS
    written = refuse | any_keys

    def to_text(value: Any) -> str:
        # Templates return SafeString. The exact type matters: str() of a SafeString is a SafeString.
        if isinstance(value, str):
            return str.__str__(value)
        raise TypeError

    def dumps(value: Any) -> bytes:
        data: bytes = ormsgpack.packb(value, default=to_text, option=written)
        return data

    def loads(data: bytes) -> Any:
        return ormsgpack.unpackb(data, option=any_keys)

    believes_lengths = tuple(map(int, ormsgpack.__version__.split(".")[:2])) < (1, 13)
    hazard = "a forged value of 6 KB can take gigabytes in ormsgpack before 1.13" if believes_lengths else ""
    return Serializer(SERIALIZERS["msgpack"], dumps, loads, hazard=hazard)


def _import_serializer(path: str) -> Serializer:
    found = import_dotted(path, _OPTION)
    if isinstance(found, type):
        try:
            found = found()
        except Exception as error:
            if is_interruption(error):
                raise
            raise OptionError(
                _OPTION,
                f"is {path!r}, a class that cannot be instantiated ({type(error).__name__}: {quote(error)}).",
                "Let it be called without arguments, or name an instance.",
            ) from error
    for name in ("dumps", "loads"):
        if not callable(getattr(found, name, None)):
            raise OptionError(
                _OPTION, f"is {path!r}, which has no method {name}().", "Give it dumps() and loads()."
            )

    def dumps(value: Any) -> bytes:
        data = found.dumps(value)
        if not isinstance(data, bytes):
            raise TypeError(f"{path}.dumps() must return bytes, not {type(data).__name__}")
        return data

    fingerprint = hashlib.blake2b(path.encode(), digest_size=_FINGERPRINT_BYTES).digest()
    return Serializer(DOTTED_NUMBER, dumps, found.loads, fingerprint)
