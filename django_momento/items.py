"""Items: the bytes that Momento stores, made from the keys, values and timeouts of a caller."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, TypeAlias, TypeVar

from django.core.cache.backends.base import (
    DEFAULT_TIMEOUT,
    MEMCACHE_MAX_KEY_LENGTH,
    BaseCache,
    default_key_func,
)
from django.core.exceptions import SynchronousOnlyOperation
from django.utils.functional import cached_property

from .client.metering import Tally
from .codec.attributes import Attributed, Attributes, is_stale
from .codec.codec import ValueCodec
from .conf.foreign import explain_foreign_method
from .conf.loading import Settings, load_codec, load_options
from .conf.options import CacheOptions
from .events import events, observers
from .exceptions import MomentoCacheError, UnreadableValue
from .policies.key_groups import default_key_group
from .policies.observing import Observed, load_key_group, load_observers
from .policies.timeouts import Timeout, exceeds, shorten, show_default_timeout, to_milliseconds, to_seconds
from .redaction import MASK, SecretStr, looks_like_a_key, mask_session, quote

K = TypeVar("K")
# Any object with a str(), as with Django's other backends.
Key: TypeAlias = object
# Any object that the serializer can store.
Value: TypeAlias = Any
# The arguments of operations.set() and operations.add(): the full key, the stored bytes, the TTL.
Item: TypeAlias = tuple[bytes, bytes, int]

# The default of a read that has to tell a missing key from any value.
MISSING = object()

# The context of a call without observers.
_UNOBSERVED: AbstractContextManager[None] = nullcontext()

_MAX_OUTDATED = 1000

# A key is made without Django's hooks only while these are the hooks.
_MAKE_KEY = BaseCache.make_key
_VALIDATE_KEY = BaseCache.validate_key
_MAKE_AND_VALIDATE_KEY = BaseCache.make_and_validate_key


def _replacements_of_keys(params: Mapping[str, Any]) -> dict[str, str | None]:
    """Return what to use in place of each API key that stands where the text or the making of keys is set.

    The first use refuses it. Until then it would be part of keys, which warnings and frames show.
    """
    replacements = {"KEY_PREFIX": MASK, "VERSION": MASK, "KEY_FUNCTION": None}
    return {
        name: replacement
        for name, replacement in replacements.items()
        if name in params and looks_like_a_key(str(params[name]))
    }


class ItemCache(BaseCache):
    """The settings of a cache, and the items that it makes of keys, values and timeouts. It sends no call."""

    extra_options: ClassVar[Mapping[str, Any]] = {}

    def __init__(self, location: str, params: dict[str, Any]) -> None:
        # Wrong settings raise at the first use, not here. Django's own system checks make every cache, and an
        # error here would end `manage.py check` before the checks of this package could explain it.
        self._settings = Settings(location, params)
        # OPTIONS is hidden from the base class, which would look for MAX_ENTRIES and the like in it.
        super().__init__({**params, **_replacements_of_keys(params), "OPTIONS": {}})
        if isinstance(timeout := params.get("TIMEOUT", params.get("timeout")), timedelta):
            self.default_timeout: float = to_seconds(timeout)  # Django would make it 300 seconds.
        # The default timeout, and the TTL that it was turned into.
        self._default_ttl: tuple[object, int] = (object(), 0)
        self._outdated: set[bytes] = set()

    if not TYPE_CHECKING:  # A type checker should know no other attributes.

        def __getattr__(self, name: str) -> NoReturn:
            """Raise AttributeError, with the replacement if ``name`` is a method of another backend."""
            text = explain_foreign_method(type(self).__name__, name)
            if text is not None:
                raise AttributeError(text)
            # Raises again the error of a property, if it was a property that raised AttributeError.
            return object.__getattribute__(self, name)

    def check_settings(self, alias: str | None = None) -> None:
        """Raise ConfigurationError if the settings are wrong, naming ``alias`` if it is given. Do no I/O."""
        if alias is not None:
            self.options = load_options(type(self), self._settings, alias)
        self._codec  # noqa: B018 - made of all other settings
        load_key_group(self.options)
        load_observers(self.options)

    @cached_property
    def options(self) -> CacheOptions:
        """The parsed settings. Raises ConfigurationError."""
        return load_options(type(self), self._settings)

    @cached_property
    def _codec(self) -> ValueCodec:
        return load_codec(self.options, self._get_encryption_keys)

    def _get_encryption_keys(self) -> tuple[SecretStr | None, str]:
        """Return the encryption keys of the secret that holds the API key, and the name of their source."""
        raise NotImplementedError

    def get_backend_timeout(self, timeout: Timeout = DEFAULT_TIMEOUT) -> int:
        """Return a timeout as a TTL in whole milliseconds, cut to MAX_TTL; 0 means already expired.

        Raises TypeError if the timeout is neither a number nor a timedelta, and ValueError if it is NaN.
        """
        if timeout is DEFAULT_TIMEOUT:
            timeout = self.default_timeout
        return to_milliseconds(timeout, self.options.max_ttl)

    def _momento_key(self, key: Key, version: int | None) -> bytes:
        cls, attributes = type(self), self.__dict__
        if (
            self.key_func is default_key_func
            and cls.make_key is _MAKE_KEY
            and cls.validate_key is _VALIDATE_KEY
            and cls.make_and_validate_key is _MAKE_AND_VALIDATE_KEY
            and "make_key" not in attributes
            and "validate_key" not in attributes
            and "make_and_validate_key" not in attributes
        ):
            # The result of default_key_func, without the calls on the way there.
            momento_key = f"{self.key_prefix}:{self.version if version is None else version}:{key!s}"
            # Django's own check of a key, which takes ten times as long, would find no fault in this one.
            if (
                momento_key.isascii()
                and momento_key.isprintable()
                and " " not in momento_key
                and len(momento_key) <= MEMCACHE_MAX_KEY_LENGTH
            ):
                return momento_key.encode()
        # A visitor can send a lone surrogate, which the other backends store as well.
        return str(self.make_and_validate_key(key, version=version)).encode("utf-8", "surrogatepass")

    def _keys_by_momento_key(self, keys: Iterable[K], version: int | None) -> dict[bytes, K]:
        return {self._momento_key(key, version): key for key in keys}

    def _ttl(self, key: Key, timeout: Timeout) -> int:
        """Return the TTL for a call's own timeout, shortened by TTL_JITTER."""
        cls, ttl = type(self), 0
        given: Any = timeout  # Django's DEFAULT_TIMEOUT is of no type that could be named.
        if cls.get_backend_timeout is _GET_BACKEND_TIMEOUT and "get_backend_timeout" not in self.__dict__:
            # The result of get_backend_timeout(), without the calls on the way there.
            if given is DEFAULT_TIMEOUT:
                default, ttl = self._default_ttl
                if default is not self.default_timeout:
                    default, ttl = self._default_ttl = self.default_timeout, self.get_backend_timeout()
            elif type(given) is int and 0 < given <= self.options.max_ttl:
                ttl = given * 1000
        if ttl:
            return self._shorten(ttl) if self.options.ttl_jitter else ttl
        return self._shorten(self._whole_ttl(key, timeout))

    def _whole_ttl(self, key: Key, timeout: Timeout) -> int:
        """Return the TTL for a call's own timeout. Log the first time on an alias that MAX_TTL cuts one."""
        if timeout is not DEFAULT_TIMEOUT and exceeds(timeout, self.options.max_ttl):
            events.record(
                self.options.alias,
                "cut_timeouts",
                "MAX_TTL cut the timeout of a key of the group %r from %s to %.12g seconds, after which the "
                "value ends. Pass a shorter timeout, or raise MAX_TTL if the cache has provisioned storage.",
                default_key_group(str(key)),
                timeout,
                self.options.max_ttl,
                once=True,
            )
        return self.get_backend_timeout(timeout)

    def _shorten(self, ttl: int) -> int:
        """Return a TTL shortened at random by up to TTL_JITTER, so that keys do not expire together."""
        jitter = self.options.ttl_jitter
        return shorten(ttl, jitter) if jitter and ttl > 0 else ttl

    def _encode_item(
        self,
        key: Key,
        value: Value,
        timeout: Timeout,
        version: int | None,
        attributes: Attributes | None = None,
    ) -> Item:
        momento_key = self._momento_key(key, version)
        return momento_key, self._encode(momento_key, key, value, attributes), self._ttl(key, timeout)

    def _encode_items(
        self,
        data: Mapping[K, Value],
        timeout: Timeout,
        version: int | None,
        attributes: Attributes | None = None,
    ) -> tuple[dict[bytes, K], dict[bytes, bytes], int]:
        names = self._keys_by_momento_key(data, version)
        items = {key: self._encode(key, name, data[name], attributes) for key, name in names.items()}
        return names, items, self._whole_ttl(next(iter(data)), timeout)

    def _encode(
        self, momento_key: bytes, key: Key, value: Value, attributes: Attributes | None = None
    ) -> bytes:
        try:
            return self._codec.encode(momento_key, value, attributes)
        except (MomentoCacheError, SynchronousOnlyOperation):
            raise
        except Exception as error:
            self._name_key(error, key)
            raise

    def _name_key(self, error: Exception, key: Key) -> None:
        """Add the key and the alias to the message of an error, whose type stays."""
        text = f"(key {quote(key, 250)!r} of cache {self.options.alias!r})"
        if text in str(error):
            return
        if len(error.args) == 1 and isinstance(error.args[0], str):
            error.args = (f"{error.args[0]} {text}",)
        elif hasattr(error, "add_note"):  # since Python 3.11
            error.add_note(text)

    def _decode(self, key: bytes, data: bytes, default: Value) -> Value:
        """Return a stored value, or ``default`` if it is not fresh any more or cannot be read back.

        A value with tags comes in its ``Attributed``, for the caller to compare the versions of the tags.
        """
        try:
            value = self._codec.decode(key, data)
        except UnreadableValue as error:
            self._record_unreadable(key, error)
            return default
        if type(value) is Attributed:
            if is_stale(data, value):
                self._note_outdated(key)
                return default
            return value if value.attributes.tags else value.value
        return value

    def _recode(self, key: bytes, new_key: bytes, data: bytes) -> bytes | None:
        """Return the bytes of a stored value for another key. Return None if the value reads as a miss."""
        value = self._decode(key, data, MISSING)
        if value is MISSING:
            return None
        stored = self._codec.decode(key, data)
        if type(stored) is Attributed:
            return self._codec.encode(new_key, *stored)
        return self._codec.encode(new_key, stored)

    def _record_unreadable(self, key: bytes, error: UnreadableValue) -> None:
        # The message has the key, but never the value, which may be personal.
        events.record(
            self.options.alias,
            "unreadable_values",
            "the value of key %r reads as a miss, because %s.",
            mask_session(key.decode("utf-8", "backslashreplace")),
            error,
        )
        self._note_outdated(key)

    def _record_ignored(self, error: MomentoCacheError) -> None:
        message = "ignored %s: %s" if self.options.log_ignored_exceptions else ""
        events.record(self.options.alias, "ignored_exceptions", message, type(error).__name__, error)

    def _observe(self, verb: str, keys: Collection[object]) -> AbstractContextManager[Tally | None]:
        """Return the context of one call, which makes its event if there are observers."""
        return Observed(self.options, verb, keys) if observers or self.options.observers else _UNOBSERVED

    def _note_outdated(self, key: bytes) -> None:
        """Note that the value of a key reads as a miss and is still there, so that ``add`` would find it."""
        if len(self._outdated) >= _MAX_OUTDATED:
            self._outdated.clear()
        self._outdated.add(key)

    def _has_outdated_value(self, momento_key: bytes) -> bool:
        """Return whether the last value read for a key was outdated, and forget it."""
        if momento_key not in self._outdated:
            return False
        self._outdated.discard(momento_key)
        return True


_GET_BACKEND_TIMEOUT = ItemCache.get_backend_timeout
show_default_timeout(ItemCache, DEFAULT_TIMEOUT)


def require_found(key: Key, result: int | None) -> int:
    """Return the result of a call on a number. Raises ValueError if the key was missing."""
    if result is None:
        raise ValueError(f"Key {key!r} not found")
    return result
