"""The way every call takes: counted, its API key checked, its cache found, answered or refused.

Between gRPC and the servicers, whose methods see a request and return a response. A servicer answers an
RPC with the method of the same name in snake case (``SetIfNotExists``: ``set_if_not_exists``); what none
of a service's servicers has is refused as unimplemented. No call is answered in here.
"""

from __future__ import annotations

import hmac
import logging
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping
from contextlib import aclosing
from typing import Any, TypeAlias

import grpc
import grpc.aio
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message_factory import GetMessageClass
from momento_wire_types import common_pb2

from django_momento.local import faults
from django_momento.local.arguments import require_cache_name
from django_momento.local.errors import NotImplementedHere, Refused, Unauthenticated, UnexpectedError
from django_momento.local.faults import Faults
from django_momento.local.limits import RateLimit
from django_momento.local.names import snake_case
from django_momento.local.store import Store
from django_momento.local.weather import Weather

logger = logging.getLogger("django_momento.local")

Service: TypeAlias = "grpc.GenericRpcHandler[Any, Any]"
Metadata = Mapping[str, str]
Answer = Callable[[Metadata, Any], Any]
"""Takes a call's metadata and request; returns its response, or its responses if it is a stream."""

# A status travels in HTTP/2 headers, whose size clients limit; a cache name may have any length.
MAX_DETAILS = 500


class Dispatcher:
    def __init__(
        self, store: Store, api_keys: Iterable[str] = (), rate_limit: RateLimit | None = None
    ) -> None:
        self.calls: Counter[str] = Counter()
        self.weather = Weather()
        self._store = store
        self._faults = Faults()
        self._rate_limit = rate_limit
        self.accept_only(api_keys)

    def accept_only(self, api_keys: Iterable[str]) -> None:
        """Refuse all keys but these from now on; without any, accept all."""
        keys = [key.encode() for key in api_keys]
        if not all(keys):
            raise ValueError("An API key must not be empty")
        self._api_keys = keys

    def data_service(self, service: ServiceDescriptor, *servicers: object) -> Service:
        """Return a service whose calls name their cache in the metadata and whose methods take that cache."""

        def bind(method: Callable[[Any, Any], Any]) -> Answer:
            def answer(metadata: Metadata, request: Any) -> Any:
                self._authenticate(metadata)
                if self._rate_limit is not None:
                    self._rate_limit.take()
                name = require_cache_name(metadata.get("cache", ""), "The metadata `cache`")
                return method(self._store.cache(name), request)

            return answer

        return self._service(service, servicers, bind)

    def control_service(self, service: ServiceDescriptor, *servicers: object) -> Service:
        """Return a service whose methods take the request alone."""

        def bind(method: Callable[[Any], Any]) -> Answer:
            def answer(metadata: Metadata, request: Any) -> Any:
                self._authenticate(metadata)
                return method(request)

            return answer

        return self._service(service, servicers, bind)

    def ping_service(self) -> Service:
        """Return ``cache_client.Ping``: called without a key, and missing from the generated modules."""
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
        bind: Callable[[Callable[..., Any]], Answer],
    ) -> Service:
        def answer_for(rpc: MethodDescriptor) -> Answer:
            for servicer in servicers:
                if (method := getattr(servicer, snake_case(rpc.name), None)) is not None:
                    return bind(method)
            return self._unimplemented(f"{service.full_name}/{rpc.name}")

        handlers = {rpc.name: self._handler(rpc, answer_for(rpc)) for rpc in service.methods}
        return grpc.method_handlers_generic_handler(service.full_name, handlers)

    def _handler(self, rpc: MethodDescriptor, answer: Answer) -> grpc.RpcMethodHandler[Any, Any]:
        if rpc.server_streaming:
            kind, handle = grpc.unary_stream_rpc_method_handler, self._stream(rpc.name, answer)
        else:
            kind, handle = grpc.unary_unary_rpc_method_handler, self._unary(rpc.name, answer)
        return kind(
            handle,
            request_deserializer=GetMessageClass(rpc.input_type).FromString,
            response_serializer=GetMessageClass(rpc.output_type).SerializeToString,
        )

    def _unimplemented(self, method: str) -> Answer:
        def answer(metadata: Metadata, request: Any) -> Any:
            self._authenticate(metadata)
            raise NotImplementedHere(method)

        return answer

    def _authenticate(self, metadata: Metadata) -> None:
        offered = metadata.get("authorization", "").encode()
        if self._api_keys and not any(hmac.compare_digest(offered, key) for key in self._api_keys):
            raise Unauthenticated

    def _unary(self, name: str, answer: Answer) -> Callable[..., Any]:
        async def handle(request: Any, context: Any) -> Any:
            metadata = dict(context.invocation_metadata())
            return await self._attempt(name, context, self._answer(name, answer, metadata, request))

        return handle

    def _stream(self, name: str, answer: Answer) -> Callable[..., Any]:
        async def send(metadata: Metadata, request: Any, context: Any) -> None:
            stream = one_by_one(await self._answer(name, answer, metadata, request))
            if faults.asked_for(metadata):
                stream = self._faults.during(name, metadata, stream)
            # Closed on every way out, so that whatever stands behind a stream is let go of at once.
            async with aclosing(stream):
                async for response in stream:
                    try:
                        await context.write(response)
                    except grpc.aio.InternalError:
                        return  # The client has hung up: nobody is left to tell.

        async def handle(request: Any, context: Any) -> None:
            metadata = dict(context.invocation_metadata())
            await self._attempt(name, context, send(metadata, request, context))

        return handle

    async def _answer(self, name: str, answer: Answer, metadata: Metadata, request: Any) -> Any:
        self.calls[name] += 1
        if not self.weather.is_fair:
            await self.weather.endured()
        if faults.asked_for(metadata):
            await self._faults.before(name, metadata)
        # A call is one step, also for whoever uses the store from another thread.
        with self._store.lock:
            return answer(metadata, request)

    async def _attempt(self, name: str, context: Any, answering: Awaitable[Any]) -> Any:
        try:
            return await answering
        except Refused as refused:
            await abort(context, refused)
        except Exception as error:
            logger.exception("%s failed", name)
            await abort(context, UnexpectedError(name, error))


async def one_by_one(responses: Iterable[Any] | AsyncGenerator[Any, None]) -> AsyncGenerator[Any, None]:
    """Hand on the responses of a stream, those known from the start and those yet to come alike."""
    if isinstance(responses, AsyncGenerator):
        async with aclosing(responses):
            async for response in responses:
                yield response
    else:
        for response in responses:
            yield response


async def abort(context: Any, refused: Refused) -> None:
    metadata = () if refused.err is None else (("err", refused.err),)
    await context.abort(refused.code, str(refused)[:MAX_DETAILS], metadata)
