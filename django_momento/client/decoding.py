"""Responses that cannot be decoded, with the error of the decoder.

If a decoder raises, gRPC logs its error and ends the call with a status that does not name it. So the
decoders of our own channels return the error in place of the message. The SDK makes its channel itself: there
``sdk_log`` notes the error when gRPC logs it, on the thread that made the call.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeVar

from ..interruption import is_foreign

T = TypeVar("T")

NOT_SERIALIZED = "Exception serializing request!"
NOT_DESERIALIZED = "Exception deserializing response!"
"""The details of the status that gRPC ends such a call with."""


class UnreadableResponse(Exception):
    """A response that cannot be decoded. The error of the decoder is its cause."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(f"{type(error).__name__}: {error}")
        self.__cause__ = error


class DecodingChannel:
    """A channel for a generated stub, whose decoders return an ``UnreadableResponse`` instead of raising."""

    def __init__(self, channel: Any) -> None:
        self._channel = channel
        self._unary: dict[str, tuple[Any, str, Any, Any, dict[str, Any]]] = {}
        self.stream_unary = channel.stream_unary
        self.stream_stream = channel.stream_stream

    def unary_unary(
        self, method: str, request_serializer: Any, response_deserializer: Callable[[bytes], Any], **more: Any
    ) -> Any:
        decode = _returning_errors(response_deserializer)
        unary = self._channel.unary_unary(method, request_serializer, decode, **more)
        self._unary[method.rpartition("/")[2]] = (unary, method, request_serializer, decode, more)
        return unary

    def unary_stream(
        self, method: str, request_serializer: Any, response_deserializer: Callable[[bytes], Any], **more: Any
    ) -> Any:
        decode = _returning_errors(response_deserializer)
        return self._channel.unary_stream(method, request_serializer, decode, **more)

    def stream_of(self, rpc: str) -> Any:
        """Return a method for a unary RPC whose calls return a stream of its one response.

        Return None if an interceptor is in the way. It may see unary calls only, or treat streams
        differently, as OpenTelemetry's does.
        """
        unary, method, request_serializer, decode, more = self._unary[rpc]
        stream = self._channel.unary_stream(method, request_serializer, decode, **more)
        is_plain = type(unary).__module__ == type(stream).__module__ == "grpc._channel"
        return stream if is_plain else None


def _returning_errors(decode: Callable[[bytes], T]) -> Callable[[bytes], T | UnreadableResponse]:
    def run(data: bytes) -> T | UnreadableResponse:
        try:
            return decode(data)
        except Exception as error:
            if is_foreign(error):
                raise
            return UnreadableResponse(error)

    return run


def check_readable(response: Any) -> Any:
    """Return a response, or the list of a stream's responses. Raises UnreadableResponse if one is that."""
    for message in response if type(response) is list else (response,):
        if isinstance(message, UnreadableResponse):
            raise message
    return response


class _Noted(threading.local):
    error: BaseException | None = None


_noted = _Noted()


def note(error: BaseException) -> None:
    """Remember an error of this thread's call, which gRPC logs and then replaces by a status."""
    error.__traceback__ = None
    _noted.error = error


def find_cause(details: str | None) -> BaseException | None:
    """Return the error behind the details of a status of gRPC's own, or None."""
    if details not in (NOT_SERIALIZED, NOT_DESERIALIZED):
        return None
    error, _noted.error = _noted.error, None
    return UnreadableResponse(error) if error is not None and details == NOT_DESERIALIZED else error
