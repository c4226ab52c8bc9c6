"""The control calls: create, delete, list and flush caches, and manage signing keys.

Each method handles the RPC of ``control_client.ScsControl`` with its name. It takes the request and returns
the response.
"""

from __future__ import annotations

import base64
import json
import secrets
import time

from momento_wire_types import controlclient_pb2 as pb

from ..errors import InvalidArgument
from ..storage.store import Store
from ..validation import require_cache_name


class Control:
    def __init__(self, store: Store) -> None:
        self._store = store

    def create_cache(self, request: pb._CreateCacheRequest) -> pb._CreateCacheResponse:
        self._store.create(require_cache_name(request.cache_name, "cache_name"))
        return pb._CreateCacheResponse()

    def delete_cache(self, request: pb._DeleteCacheRequest) -> pb._DeleteCacheResponse:
        self._store.delete(require_cache_name(request.cache_name, "cache_name"))
        return pb._DeleteCacheResponse()

    def list_caches(self, request: pb._ListCachesRequest) -> pb._ListCachesResponse:
        names = self._store.names()
        return pb._ListCachesResponse(cache=[pb._Cache(cache_name=name) for name in names])

    def flush_cache(self, request: pb._FlushCacheRequest) -> pb._FlushCacheResponse:
        self._store.cache(require_cache_name(request.cache_name, "cache_name")).flush()
        return pb._FlushCacheResponse()


class SigningKeys:
    """The signing keys of an account, each until it expires or is revoked.

    This server checks no signatures.
    """

    def __init__(self) -> None:
        self._expiries: dict[str, int] = {}

    def create_signing_key(self, request: pb._CreateSigningKeyRequest) -> pb._CreateSigningKeyResponse:
        if request.ttl_minutes == 0:
            raise InvalidArgument("ttl_minutes must be greater than 0")
        key_id, expires_at = secrets.token_hex(16), int(time.time()) + request.ttl_minutes * 60
        self._expiries[key_id] = expires_at
        secret = base64.urlsafe_b64encode(secrets.token_bytes(32)).rstrip(b"=").decode()
        key = json.dumps({"kid": key_id, "kty": "oct", "alg": "HS256", "k": secret})
        return pb._CreateSigningKeyResponse(key=key, expires_at=expires_at)

    def revoke_signing_key(self, request: pb._RevokeSigningKeyRequest) -> pb._RevokeSigningKeyResponse:
        self._expiries.pop(request.key_id, None)
        return pb._RevokeSigningKeyResponse()

    def list_signing_keys(self, request: pb._ListSigningKeysRequest) -> pb._ListSigningKeysResponse:
        now = time.time()
        self._expiries = {key_id: expiry for key_id, expiry in self._expiries.items() if now < expiry}
        keys = [pb._SigningKey(key_id=key_id, expires_at=expiry) for key_id, expiry in self._expiries.items()]
        return pb._ListSigningKeysResponse(signing_key=keys)
