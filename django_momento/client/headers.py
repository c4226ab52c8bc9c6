"""The headers of the SDK's calls, given to gRPC with each call instead of by the SDK's interceptor.

An interceptor costs a tenth of the CPU time of a call, because gRPC makes several objects for each call that
has one. The SDK has no public way without it. If a version of the SDK lacks one of the internal names that
this needs, its interceptor stays.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

Headers = tuple[tuple[str, str], ...]

# The SDK sends this with the first call of a client, and so does our own channel.
AGENT = f"python:cache:{version('momento')}"

_PYTHON = sys.version_info
_RUNTIME = f"python {_PYTHON.major}.{_PYTHON.minor}.{_PYTHON.micro} ({_PYTHON.releaselevel} {_PYTHON.serial})"


def send_without_interceptor(client: Any, api_key: str) -> None:
    """Let the SDK's ``CacheClient`` send its headers without its interceptor, from its next call."""
    manager = grpc_manager_of(client)
    stub, channel = getattr(manager, "_stub", None), getattr(manager, "_channel", None)
    if stub is not None and channel is not None:
        headers = (("authorization", api_key), ("runtime-version", _RUNTIME))
        manager._stub = type(stub)(_ChannelWithHeaders(channel, headers))  # noqa: SLF001 - no public name


def grpc_manager_of(client: Any) -> Any:
    """Return the object of the SDK's that holds a client's channel and stub, or None."""
    return getattr(getattr(client, "_data_client", None), "_grpc_manager", None)


class _ChannelWithHeaders:
    """A channel for a generated stub, whose calls have more headers. The first names the SDK as well."""

    def __init__(self, channel: Any, headers: Headers) -> None:
        self._channel = channel
        self._headers = headers
        self._once = [("agent", AGENT)]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._channel, name)

    def unary_unary(self, method: str, *arguments: Any, **more: Any) -> Callable[..., Any]:
        send = self._channel.unary_unary(method, *arguments, **more)
        headers, once = self._headers, self._once

        def send_with_headers(request: Any, timeout: float | None = None, metadata: Any = ()) -> Any:
            all_headers = [*metadata, *headers, *once]
            once.clear()
            return send(request, timeout, all_headers)

        return send_with_headers
