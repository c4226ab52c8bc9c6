"""The signing keys of an account: made, listed until they expire, and revoked.

One method per RPC of ``control_client.ScsControl``, which gets the request and returns the response.
The keys sign nothing that this server would check.
"""

from __future__ import annotations

import base64
import json
import secrets
import time

from momento_wire_types import controlclient_pb2 as pb

from django_momento.local.errors import InvalidArgument


class SigningKeys:
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
