"""Momento's own SDK: its ``CacheClient`` configured from our options, and the calls that go through it.

A call that fails raises the SDK's exception, which ``client`` turns into ours. Only public names of the SDK
are used. It repeats nothing: ``client`` does that, which knows what may be repeated and when to stop.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from momento import CacheClient, Configurations, CredentialProvider
from momento.config import Configuration
from momento.config.middleware import MiddlewareMessage, MiddlewareRequestHandlerContext, MiddlewareStatus
from momento.config.middleware.synchronous import Middleware, MiddlewareMetadata, MiddlewareRequestHandler
from momento.config.transport.transport_strategy import StaticGrpcConfiguration, StaticTransportStrategy
from momento.responses import (
    CacheDelete,
    CacheFlush,
    CacheGet,
    CacheIncrement,
    CacheSet,
    CacheSetIfNotExists,
)
from momento.responses import (
    CreateCache as CreateCacheResponses,
)
from momento.retry import RetryableProps, RetryStrategy

from ..conf.options import ConnectionOptions
from ..credentials.credential import Credential
from .calls import (
    MAX_MESSAGE_BYTES,
    CreateCache,
    Delete,
    FlushCache,
    Get,
    Increment,
    Set,
    SetIfAbsent,
)

_PRESETS: dict[str, Callable[[], Configuration]] = {
    "in-region": Configurations.InRegion.Default.latest,
    "low-latency": Configurations.InRegion.LowLatency.latest,
    "lambda": Configurations.Lambda.latest,
    "laptop": Configurations.Laptop.latest,
}

# Never used: every call carries its own TTL. The SDK only wants it to be positive.
_DEFAULT_TTL = timedelta(days=1)


def configuration(options: ConnectionOptions, generation: int = 0) -> Configuration:
    """Answer the SDK's configuration: a preset, with the timeout and the certificates from the options.

    Clients of one ``generation`` may share a connection: see ``line``.
    """
    preset = _PRESETS[_preset_name(options)]()
    grpc = preset.get_transport_strategy().get_grpc_configuration()
    deadline = grpc.get_deadline()
    if options.client_timeout is not None:
        deadline = timedelta(seconds=options.client_timeout)
    certificates = options.root_certificates.read_bytes() if options.root_certificates else None
    permit = grpc.get_keepalive_permit_without_calls()
    # Built whole: the SDK's own with_client_timeout() and the like forget the other settings.
    transport = StaticTransportStrategy(
        StaticGrpcConfiguration(
            deadline=deadline,
            root_certificates_pem=certificates,
            # The one argument of the SDK's channel that can tell generations apart and changes nothing else.
            max_send_message_length=(grpc.get_max_send_message_length() or MAX_MESSAGE_BYTES) + generation,
            max_receive_message_length=grpc.get_max_receive_message_length(),
            keepalive_permit_without_calls=None if permit is None else bool(permit),
            keepalive_time=grpc.get_keepalive_time(),
            keepalive_timeout=grpc.get_keepalive_timeout(),
        )
    )
    middlewares: list[Any] = (
        [_ReadConcern(options.read_concern)] if options.read_concern != "balanced" else []
    )
    return Configuration(transport, _NoRetries(), middlewares)


def _preset_name(options: ConnectionOptions) -> str:
    if options.configuration != "auto":
        return options.configuration
    if options.credentials in ("local", "embedded"):
        return "laptop"
    return "lambda" if "AWS_LAMBDA_FUNCTION_NAME" in os.environ else "in-region"


def cache_client(credential: Credential, configured: Configuration) -> CacheClient:
    """Make the SDK's client, which connects at its first call: ``CacheClient.create`` would do it now."""
    provider = CredentialProvider(
        auth_token=credential.api_key,
        control_endpoint=credential.control_host,
        cache_endpoint=credential.cache_host,
        token_endpoint=credential.cache_host,
        port=credential.port,
    )
    return CacheClient(configured, provider, _DEFAULT_TTL)


class _NoRetries(RetryStrategy):
    """Repeats nothing. It is false, so that the SDK leaves its machinery for retries out of every call."""

    def __bool__(self) -> bool:
        return False

    def determine_when_to_retry(self, props: RetryableProps) -> float | None:
        return None


class _ReadConcern(Middleware, MiddlewareRequestHandler):
    """Adds the metadata that the SDK has no setting for."""

    def __init__(self, concern: str) -> None:
        self._pair = ("read-concern", concern)

    def on_new_request(self, context: MiddlewareRequestHandlerContext) -> MiddlewareRequestHandler:
        return self

    def on_request_metadata(self, metadata: MiddlewareMetadata) -> MiddlewareMetadata:
        return MiddlewareMetadata([*(metadata.grpc_metadata or ()), self._pair])

    def on_request_body(self, request: MiddlewareMessage) -> MiddlewareMessage:
        return request

    def on_response_metadata(self, metadata: MiddlewareMetadata) -> MiddlewareMetadata:
        return metadata

    def on_response_body(self, response: MiddlewareMessage) -> MiddlewareMessage:
        return response

    def on_response_status(self, status: MiddlewareStatus) -> MiddlewareStatus:
        return status


def _ttl(milliseconds: int) -> timedelta:
    # The SDK turns this into float milliseconds and truncates: half of one more keeps the whole ones.
    return timedelta(milliseconds=milliseconds, microseconds=500)


def _get(client: CacheClient, cache: str, call: Get) -> bytes | None:
    response = client.get(cache, call.key)
    if isinstance(response, CacheGet.Hit):
        return response.value_bytes
    if isinstance(response, CacheGet.Miss):
        return None
    raise _error(response)


def _set(client: CacheClient, cache: str, call: Set) -> None:
    response = client.set(cache, call.key, call.value, _ttl(call.ttl))
    if not isinstance(response, CacheSet.Success):
        raise _error(response)


def _set_if_absent(client: CacheClient, cache: str, call: SetIfAbsent) -> bool:
    match client.set_if_not_exists(cache, call.key, call.value, _ttl(call.ttl)):
        case CacheSetIfNotExists.Stored():
            return True
        case CacheSetIfNotExists.NotStored():
            return False
        case failed:
            raise _error(failed)


def _delete(client: CacheClient, cache: str, call: Delete) -> None:
    response = client.delete(cache, call.key)
    if not isinstance(response, CacheDelete.Success):
        raise _error(response)


def _increment(client: CacheClient, cache: str, call: Increment) -> int:
    match client.increment(cache, call.key, call.amount, _ttl(call.ttl)):
        case CacheIncrement.Success(value=value):
            return value
        case failed:
            raise _error(failed)


def _flush(client: CacheClient, cache: str, call: FlushCache) -> None:
    response = client.flush_cache(call.cache)
    if not isinstance(response, CacheFlush.Success):
        raise _error(response)


def _create_cache(client: CacheClient, cache: str, call: CreateCache) -> bool:
    match client.create_cache(cache):
        case CreateCacheResponses.Success():
            return True
        case CreateCacheResponses.CacheAlreadyExists():
            return False
        case failed:
            raise _error(failed)


def _error(response: Any) -> Exception:
    return response.inner_exception  # type: ignore[no-any-return]  # one property of many unrelated classes


# The calls that go through the SDK; all others go over our own channel.
CALLS: dict[type, Callable[[CacheClient, str, Any], Any]] = {
    Get: _get,
    Set: _set,
    SetIfAbsent: _set_if_absent,
    Delete: _delete,
    Increment: _increment,
    FlushCache: _flush,
    CreateCache: _create_cache,
}
