"""Signing keys, by Momento's own clients and over the wire."""

from __future__ import annotations

import json
import time
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from grpc import StatusCode
from momento_wire_types import controlclient_pb2 as pb

from django_momento.local.services import control
from tests.kit.sdk import Blocking
from tests.kit.wire import Wire, refusal


def key_ids(sdk: Blocking) -> Any:
    return [key.key_id for key in sdk.list_signing_keys().signing_keys]


def test_the_sdk_lists_a_key_until_it_revokes_it(sdk: Blocking) -> None:
    """Revoking it again is a success."""
    created = sdk.create_signing_key(timedelta(minutes=30))
    assert json.loads(created.key)["kid"] == created.key_id
    assert key_ids(sdk) == [created.key_id]
    for _ in range(2):
        assert type(sdk.revoke_signing_key(created.key_id)).__name__ == "Success"
        assert key_ids(sdk) == []


def test_an_expired_key_is_not_listed(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    """It goes by the clock on the wall, as clients do."""
    response = wire.CreateSigningKey(pb._CreateSigningKeyRequest(ttl_minutes=1))
    now = time.time()
    assert now < response.expires_at <= now + 60
    monkeypatch.setattr(control, "time", SimpleNamespace(time=lambda: response.expires_at))
    assert list(wire.ListSigningKeys(pb._ListSigningKeysRequest()).signing_key) == []


def test_a_key_without_a_life_is_refused(wire: Wire) -> None:
    """INVALID_ARGUMENT, and the text names the argument."""
    error = refusal(wire.CreateSigningKey, pb._CreateSigningKeyRequest())
    assert (error.code(), error.details()) == (
        StatusCode.INVALID_ARGUMENT,
        "ttl_minutes must be greater than 0",
    )
