"""Momento's own SDK: its ``CacheClient`` configured from our options, and the calls that go through it.

A call that fails raises the SDK's exception, or the exception that the SDK met. The transport maps both. Only
``headers`` uses names of the SDK that are not public. The SDK retries nothing here, because ``retry`` decides
about retries.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import Future
from datetime import timedelta
from functools import lru_cache
from typing import Any

from momento import CacheClient, Configurations, CredentialProvider
from momento.config import Configuration
from momento.config.middleware import MiddlewareMessage, MiddlewareRequestHandlerContext, MiddlewareStatus
from momento.config.middleware.synchronous import Middleware, MiddlewareMetadata, MiddlewareRequestHandler
from momento.config.transport.transport_strategy import StaticGrpcConfiguration, StaticTransportStrategy
from momento.errors import SdkException, UnknownException
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
from ..exceptions import ServerError
from ..interruption import raise_foreign
from ..redaction import quote
from . import decoding, sdk_log
from .calls import (
    CONTROL_TIMEOUT,
    MAX_MESSAGE_BYTES,
    CreateCache,
    Delete,
    FlushCache,
    Get,
    Increment,
    Set,
    SetIfAbsent,
)
from .errors import details_of
from .fork_gate import gate
from .futures import wait_on_this_thread
from .headers import grpc_manager_of, send_without_interceptor

_PRESETS: dict[str, Callable[[], Configuration]] = {
    "in-region": Configurations.InRegion.Default.latest,
    "low-latency": Configurations.InRegion.LowLatency.latest,
    "lambda": Configurations.Lambda.latest,
    "laptop": Configurations.Laptop.latest,
}

# Not used, because every call carries its own TTL. The SDK checks that it is positive.
_DEFAULT_TTL = timedelta(days=1)

# Seconds that the SDK's deadline gets to be delivered before the wait for a control call ends.
_GRACE = 1.0

sdk_log.install()
sdk_log.keep_causes(UnknownException)


def configuration(options: ConnectionOptions, generation: int = 0) -> Configuration:
    """Return the SDK's configuration: a preset, with the timeout and the certificates from the options.

    Clients of one ``generation`` may share a connection: see ``channel``. Raises ServerError if the
    file of ROOT_CERTIFICATES cannot be read.
    """
    preset = _PRESETS[_preset_name(options)]()
    grpc = preset.get_transport_strategy().get_grpc_configuration()
    deadline = grpc.get_deadline()
    if options.client_timeout is not None:
        deadline = timedelta(seconds=options.client_timeout)
    certificates = _read_certificates(options)
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


def _read_certificates(options: ConnectionOptions) -> bytes | None:
    if options.root_certificates is None:
        return None
    try:
        return options.root_certificates.read_bytes()
    except OSError as error:
        raise_foreign(error)
        raise ServerError(
            f"ROOT_CERTIFICATES, {quote(options.root_certificates)}, cannot be read: {error.strerror}.",
            "Restore the file, or give this process the right to read it.",
        ) from error


def _preset_name(options: ConnectionOptions) -> str:
    if options.configuration != "auto":
        return options.configuration
    if options.credentials in ("local", "embedded"):
        return "laptop"
    return "lambda" if "AWS_LAMBDA_FUNCTION_NAME" in os.environ else "in-region"


def credential_provider(credential: Credential) -> CredentialProvider:
    """Return the SDK's form of a credential."""
    return CredentialProvider(
        auth_token=credential.api_key,
        control_endpoint=credential.control_host,
        cache_endpoint=credential.cache_host,
        token_endpoint=credential.cache_host,
        port=credential.port,
    )


def cache_client(credential: Credential, configured: Configuration) -> CacheClient:
    """Return the SDK's client, which connects at its first call.

    ``CacheClient.create`` would connect at once.
    """
    client = CacheClient(configured, credential_provider(credential), _DEFAULT_TTL)
    if not configured.get_sync_middlewares():
        send_without_interceptor(client, credential.api_key)
    return client


def channel_of(client: CacheClient | None) -> Any:
    """Return gRPC's channel of the SDK's client, or None."""
    return getattr(grpc_manager_of(client), "_channel", None)


def close(client: CacheClient) -> None:
    """Close the SDK's client with all calls on it. Leaving its context is the one public way."""
    client.__exit__(None, None, None)


class _NoRetries(RetryStrategy):
    """Retry nothing. It is false, so that the SDK leaves its interceptor for retries out of every call."""

    def __bool__(self) -> bool:
        return False

    def determine_when_to_retry(self, props: RetryableProps) -> float | None:
        return None


class _ReadConcern(Middleware, MiddlewareRequestHandler):
    """Add the metadata that the SDK has no setting for."""

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


@lru_cache(maxsize=64)  # Most calls have the default timeout.
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
        case response:
            raise _error(response)


def _delete(client: CacheClient, cache: str, call: Delete) -> None:
    response = client.delete(cache, call.key)
    if not isinstance(response, CacheDelete.Success):
        raise _error(response)


def _increment(client: CacheClient, cache: str, call: Increment) -> int:
    match client.increment(cache, call.key, call.amount, _ttl(call.ttl)):
        case CacheIncrement.Success(value=value):
            return value
        case response:
            raise _error(response)


def _flush(client: CacheClient, cache: str, call: FlushCache) -> None:
    def flush() -> None:
        response = client.flush_cache(call.cache)
        if not isinstance(response, CacheFlush.Success):
            raise _control_error(response)

    _run_elsewhere(flush, "FlushCache")


def _create_cache(client: CacheClient, cache: str, call: CreateCache) -> bool:
    def create() -> bool:
        match client.create_cache(cache):
            case CreateCacheResponses.Success():
                return True
            case CreateCacheResponses.CacheAlreadyExists():
                return False
            case response:
                raise _control_error(response)

    is_new: bool = _run_elsewhere(create, "CreateCache")
    return is_new


def _control_error(response: Any) -> BaseException:
    """Return the error of a control call that ended on this thread."""
    error = _error(response)
    # The error behind a status of gRPC's own is noted on this thread.
    return decoding.find_cause(details_of(error)) or error


def _run_elsewhere(call: Callable[[], Any], rpc: str) -> Any:
    """Run a control call on a thread of its own, and wait for its result on this one.

    The SDK turns every exception inside such a call into an error response and logs nothing. A signal's
    handler runs on the main thread, so its exception ends the wait instead of being lost in the SDK.
    """
    future: Future[Any] = Future()

    def run() -> None:
        try:
            # If the caller is interrupted, this call is still in flight.
            with gate.enter():
                result = call()
            future.set_result(result)
        except BaseException as error:  # noqa: BLE001 - the thread that waits raises it
            future.set_exception(error)

    threading.Thread(target=run, name="momento-control", daemon=True).start()
    # Not result(timeout): its TimeoutError could be that of a signal's handler.
    if not wait_on_this_thread(future, CONTROL_TIMEOUT + _GRACE):
        raise ServerError(f"{rpc} did not end within {CONTROL_TIMEOUT + _GRACE:g} s.")
    return future.result()


def _error(response: Any) -> Exception:
    """Return the error of an error response. An unknown response has none."""
    error = getattr(response, "inner_exception", None)
    if isinstance(error, SdkException):
        return error
    return ServerError(f"Momento's SDK returned an unknown response ({type(response).__name__}).")


# The calls that go through the SDK. All others go over our own channel.
CALLS: dict[type, Callable[[CacheClient, str, Any], Any]] = {
    Get: _get,
    Set: _set,
    SetIfAbsent: _set_if_absent,
    Delete: _delete,
    Increment: _increment,
    FlushCache: _flush,
    CreateCache: _create_cache,
}
