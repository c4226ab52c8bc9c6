"""What an alias of ``CACHES`` comes to: its options, parsed once, and its codec, made once.

Django makes a cache for every thread and every task, from what CACHES says and without saying for which
alias. What is found out here is kept, so that all but the first of them are cheap.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Protocol

from django.conf import settings
from django.core.cache import caches
from django.utils.module_loading import import_string

from ..client.registry import Connection
from ..codec.codec import Codec
from ..codec.compressors import find_compressor
from ..codec.imports import OptionError
from ..codec.protection import Encryption, Seal, Signature, encryption_keys, signing_key
from ..codec.serializers import find_serializer
from ..credentials.credential import Credential
from ..exceptions import ConfigurationError, CredentialError
from ..redaction import SecretStr
from .options import CacheOptions, parse

# What ENCRYPTION_KEY says where the keys are in the secret that holds the API key.
FROM_THE_SECRET = "secret"  # noqa: S105 - a word, not a secret

# Stands for the keys as long as they are not known, and is never used for a value.
_ANY_KEY = SecretStr("A" * 22)

_kept: dict[tuple[type, str], tuple[str, dict[str, Any], CacheOptions]] = {}


class ValueCodec(Protocol):
    """What a cache needs of a codec; see ``codec.Codec``."""

    def encode(self, key: bytes, value: Any) -> bytes: ...
    def decode(self, key: bytes, data: bytes) -> Any: ...


def load_options(backend: type, location: str, params: Mapping[str, Any]) -> CacheOptions:
    """Answer the options of the alias with this backend, LOCATION and settings. Raises ConfigurationError."""
    for (kept_backend, _), (kept_location, kept_params, options) in list(_kept.items()):
        if kept_backend is backend and kept_location == location and kept_params == params:
            return options
    alias = _alias(backend, location, params)
    options = parse(alias, location, params)
    _kept[backend, alias] = (location, {**params, "OPTIONS": dict(params.get("OPTIONS", {}))}, options)
    return options


def build_codec(options: CacheOptions, connection: Connection) -> ValueCodec:
    """Answer the codec for these options. Raises ConfigurationError, for a missing package for one.

    Where the encryption keys come with the API key, it asks the connection for them when it is first used.
    """
    secrets = _secret_keys() if options.sign else ()
    if options.encryption_key == FROM_THE_SECRET:
        return _CodecOfTheSecret(options, connection, secrets)
    return _codec(options, secrets, SecretStr(options.encryption_key or ""))


def _secret_keys() -> tuple[SecretStr | bytes, ...]:
    # Wrapped, because frames with local variables end up on debug pages and in error trackers.
    keys = (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    return tuple(SecretStr(key) if isinstance(key, str) else key for key in keys)


class _CodecOfTheSecret:
    """A codec whose encryption keys are in the secret of the API key, and are replaced along with it."""

    def __init__(
        self, options: CacheOptions, connection: Connection, secrets: tuple[SecretStr | bytes, ...]
    ) -> None:
        self._options = options
        self._connection = connection
        self._secrets = secrets
        self._keys: SecretStr | None = None
        # What is missing is found now, and not with the first value.
        self._codec = _codec(options, secrets, _ANY_KEY)

    def encode(self, key: bytes, value: Any) -> bytes:
        """See Codec.encode(). Raises CredentialError if the secret has no usable keys."""
        return self._current().encode(key, value)

    def decode(self, key: bytes, data: bytes) -> Any:
        """See Codec.decode(). Raises CredentialError if the secret has no usable keys."""
        return self._current().decode(key, data)

    def _current(self) -> Codec:
        credential = (self._connection.client or self._connection.connected()).credential
        if self._keys is None or credential.encryption_keys is not self._keys:
            self._codec = self._codec_for(credential)
            self._keys = credential.encryption_keys
        return self._codec

    def _codec_for(self, credential: Credential) -> Codec:
        try:
            if not credential.encryption_keys:
                raise ValueError("is not there")
            encryption_keys(credential.encryption_keys)
        except ValueError as error:
            raise CredentialError(
                f"{credential.source} has no 'encryption_key' that can be used: it {error}.",
                "Store it beside the API key, as base64 of 16 or 32 bytes: `openssl rand -base64 32`.",
            ) from None
        return _codec(self._options, self._secrets, credential.encryption_keys)


@lru_cache(maxsize=64)
def _codec(options: CacheOptions, secrets: tuple[SecretStr | bytes, ...], encryption_key: SecretStr) -> Codec:
    try:
        serializer = find_serializer(options.serializer)
        compressor = find_compressor(options.compressor) if options.compressor else None
        # The first seals what is written, all are opened: with both, what was signed before is still read.
        seals: list[Seal] = []
        if encryption_key:
            seals.append(Encryption(encryption_keys(encryption_key)))
        if options.sign:
            seals.append(Signature([signing_key(secret) for secret in secrets]))
        return Codec(serializer, seals, compressor, options.compress_min_length)
    except OptionError as error:
        where = f"CACHES[{options.alias!r}]['OPTIONS']['{error.option}']"
        raise ConfigurationError(f"{where} {error.cause}", error.fix) from error


def _alias(backend: type, location: str, params: Mapping[str, Any]) -> str:
    # Django does not tell a backend its alias, which every message about its settings needs.
    for alias, configured in caches.settings.items():
        rest = dict(configured)
        path = rest.pop("BACKEND", "")
        if rest.pop("LOCATION", "") == location and rest == params and import_string(path) is backend:
            return str(alias)
    return "(not in CACHES)"
