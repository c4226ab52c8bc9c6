"""Pass every call to its servicer: count it, check its API key, find its cache, charge its operations.

A servicer handles an RPC with the method of the same name in snake case (``SetIfNotExists``:
``set_if_not_exists``). Its methods take a request and return a response, or raise ``Refused``. If no
servicer of a service has the method, the call is refused as unimplemented.
"""

from __future__ import annotations

import hmac
import logging
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from contextlib import aclosing
from typing import Any, TypeAlias

import grpc
import grpc.aio
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message_factory import GetMessageClass
from momento_wire_types import cacheclient_pb2, cachepubsub_pb2, common_pb2, controlclient_pb2, token_pb2

from . import metering
from .casing import snake_case
from .errors import NotImplementedHere, Refused, Unauthenticated, UnexpectedError
from .faults import GlobalFaults, Metadata, RequestFaults, requests_fault
from .limits import RateLimit
from .services.control import Control, SigningKeys
from .services.dictionaries import Dictionaries
from .services.items import Items
from .services.lists import Lists
from .services.pubsub import Pubsub
from .services.scalars import Hashes, Scalars
from .services.sets import Sets
from .services.sorted_sets import SortedSets
from .storage.store import Cache, Store
from .validation import require_cache_name

logger = logging.getLogger("django_momento.local")

Service: TypeAlias = "grpc.GenericRpcHandler[Any, Any]"
Method: TypeAlias = Callable[..., Any]
Handler: TypeAlias = Callable[[Metadata, Any], Any]
"""Takes the metadata and the request of a call. Returns its response, or its responses if it is a stream."""

# A status travels in HTTP/2 headers, and clients limit their size. A cache name may have any length.
MAX_DETAILS = 500


class Dispatcher:
    """``calls`` and ``operations`` count both for each RPC, since the start or since ``reset_counts``."""

    def __init__(
        self, store: Store, api_keys: Iterable[str] = (), rate_limit: RateLimit | None = None
    ) -> None:
        self.calls: Counter[str] = Counter()
        self.operations: Counter[str] = Counter()
        self.faults = GlobalFaults()
        self._store = store
        self._request_faults = RequestFaults()
        self._rate_limit = rate_limit
        self.accept_only(api_keys)

    def services(self) -> tuple[Service, ...]:
        data = (Scalars(), Hashes(), Items(), Dictionaries(), Sets(), Lists(), SortedSets())
        return (
            self._data_service(_service_descriptor(cacheclient_pb2, "Scs"), data),
            self._control_service(
                _service_descriptor(controlclient_pb2, "ScsControl"), (Control(self._store), SigningKeys())
            ),
            self._control_service(_service_descriptor(cachepubsub_pb2, "Pubsub"), (Pubsub(self._store),)),
            # Served without a servicer, so that its calls are refused by name.
            self._control_service(_service_descriptor(token_pb2, "Token"), ()),
            self._ping_service(),
        )

    def accept_only(self, api_keys: Iterable[str]) -> None:
        """Refuse all keys but these from now on.

        Without keys, accept all. Raises ValueError for an empty key.
        """
        keys = [key.encode() for key in api_keys]
        if not all(keys):
            raise ValueError("An API key must not be empty")
        self._api_keys = keys

    def reset_counts(self) -> None:
        self.calls.clear()
        self.operations.clear()

    def _data_service(self, service: ServiceDescriptor, servicers: tuple[object, ...]) -> Service:
        """Return a service whose calls name their cache in the metadata and whose methods take that cache."""

        def bind(rpc: str, method: Method) -> Handler:
            def handle(metadata: Metadata, request: Any) -> Any:
                self.authenticate(metadata)
                if self._rate_limit is not None:
                    self._rate_limit.check()
                response = None
                try:
                    response = method(self._find_cache(rpc, metadata), request)
                finally:
                    concern = metadata.get("read-concern", "")
                    self._charge(rpc, metering.operations(rpc, request, response, concern))
                return response

            return handle

        return self._service(service, servicers, bind)

    def _control_service(self, service: ServiceDescriptor, servicers: tuple[object, ...]) -> Service:
        """Return a service whose methods take the request alone."""

        def bind(rpc: str, method: Method) -> Handler:
            def handle(metadata: Metadata, request: Any) -> Any:
                self.authenticate(metadata)
                return method(request)

            return handle

        return self._service(service, servicers, bind)

    def _ping_service(self) -> Service:
        """Return ``cache_client.Ping``. It needs no key, and the generated modules lack it."""
        ping = grpc.unary_unary_rpc_method_handler(
            self._unary("Ping", lambda metadata, request: common_pb2._Empty()),
            request_deserializer=common_pb2._Empty.FromString,
            response_serializer=common_pb2._Empty.SerializeToString,
        )
        return grpc.method_handlers_generic_handler("cache_client.Ping", {"Ping": ping})

    def _service(
        self,
        service: ServiceDescriptor,
        servicers: tuple[object, ...],
        bind: Callable[[str, Method], Handler],
    ) -> Service:
        def find_handler(rpc: MethodDescriptor) -> Handler:
            for servicer in servicers:
                if (method := getattr(servicer, snake_case(rpc.name), None)) is not None:
                    return bind(rpc.name, method)
            return self._refusal(f"{service.full_name}/{rpc.name}")

        handlers = {rpc.name: self._rpc_handler(rpc, find_handler(rpc)) for rpc in service.methods}
        return grpc.method_handlers_generic_handler(service.full_name, handlers)

    def _rpc_handler(self, rpc: MethodDescriptor, handler: Handler) -> grpc.RpcMethodHandler[Any, Any]:
        if rpc.server_streaming:
            kind, handle = grpc.unary_stream_rpc_method_handler, self._stream(rpc.name, handler)
        else:
            kind, handle = grpc.unary_unary_rpc_method_handler, self._unary(rpc.name, handler)
        return kind(
            handle,
            request_deserializer=GetMessageClass(rpc.input_type).FromString,
            response_serializer=GetMessageClass(rpc.output_type).SerializeToString,
        )

    def _refusal(self, method: str) -> Handler:
        def handle(metadata: Metadata, request: Any) -> Any:
            self.authenticate(metadata)
            raise NotImplementedHere(method)

        return handle

    def authenticate(self, metadata: Metadata) -> None:
        """Raise Unauthenticated unless the API key of a call is one of those that are accepted."""
        key = metadata.get("authorization", "").encode()
        if self._api_keys and not any(hmac.compare_digest(key, accepted) for accepted in self._api_keys):
            raise Unauthenticated

    def _find_cache(self, rpc: str, metadata: Metadata) -> Cache:
        cache = self._store.cache(require_cache_name(metadata.get("cache", ""), "The metadata `cache`"))
        if rpc in metering.READS and metadata.get("read-concern", "").lower() != metering.CONSISTENT:
            return cache.replica
        return cache

    def _charge(self, rpc: str, operations: int) -> None:
        self.operations[rpc] += operations
        if self._rate_limit is not None:
            self._rate_limit.charge(operations)

    def _unary(self, rpc: str, handler: Handler) -> Callable[[Any, Any], Any]:
        async def handle(request: Any, context: Any) -> Any:
            try:
                return await self._handle(rpc, handler, _metadata(context), request)
            except Refused as refused:
                await _abort(context, refused)
            except Exception as error:
                logger.exception("%s failed", rpc)
                await _abort(context, UnexpectedError(rpc, error))

        return handle

    def _stream(self, rpc: str, handler: Handler) -> Callable[[Any, Any], AsyncGenerator[Any, None]]:
        # An async generator, because interceptors of OpenTelemetry and Sentry iterate over streams. They
        # cannot handle a coroutine that writes to the context.
        async def handle(request: Any, context: Any) -> AsyncGenerator[Any, None]:
            metadata = _metadata(context)
            try:
                stream = _iterate(await self._handle(rpc, handler, metadata, request))
                if requests_fault(metadata):
                    stream = self._request_faults.during(rpc, metadata, stream)
                # Close it in every case, so that a subscription ends at once.
                async with aclosing(stream):
                    async for response in stream:
                        yield response
            except Refused as refused:
                await _abort(context, refused)
            except Exception as error:
                logger.exception("%s failed", rpc)
                await _abort(context, UnexpectedError(rpc, error))

        return handle

    async def _handle(self, rpc: str, handler: Handler, metadata: Metadata, request: Any) -> Any:
        self.calls[rpc] += 1
        try:
            if self.faults.is_active:
                await self.faults.apply()
            if requests_fault(metadata):
                await self._request_faults.before(rpc, metadata)
        except Refused as refused:
            # Charge the same as for a refusal that is not injected.
            if refused.code.name in metering.CHARGED_STATUSES and rpc in _DATA_RPCS:
                self._charge(rpc, 1)
            raise
        # The lock makes a call atomic also for other threads that use the store.
        with self._store.lock:
            return handler(metadata, request)


_DATA_RPCS = frozenset(cacheclient_pb2.DESCRIPTOR.services_by_name["Scs"].methods_by_name)


def _service_descriptor(module: Any, name: str) -> ServiceDescriptor:
    service: ServiceDescriptor = module.DESCRIPTOR.services_by_name[name]
    return service


def _metadata(context: Any) -> Mapping[str, str]:
    return dict(context.invocation_metadata())


async def _iterate(responses: Iterable[Any] | AsyncGenerator[Any, None]) -> AsyncGenerator[Any, None]:
    """Yield the responses of a stream, be they known from the start or produced over time."""
    if isinstance(responses, AsyncGenerator):
        async with aclosing(responses):
            async for response in responses:
                yield response
    else:
        for response in responses:
            yield response


async def _abort(context: Any, refused: Refused) -> None:
    metadata = () if refused.err is None else (("err", refused.err),)
    await context.abort(refused.code, str(refused)[:MAX_DETAILS], metadata)
