"""Faults that a client asks for in the metadata of a request, to see how it takes them.

The keys are those that Momento's own local image understands: delays and errors before a call is
answered, and errors in the middle of a stream. Calls that bring none of them never get here.
"""

from __future__ import annotations

import asyncio
import re
from collections import OrderedDict
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any

from grpc import StatusCode

from django_momento.local.errors import InjectedFault, InvalidArgument
from django_momento.local.names import kebab_case, status_code

KEYS = frozenset({"error-rpcs", "delay-rpcs", "stream-error-rpcs"})

# Where the name of an RPC in the metadata is not its own in kebab case.
ALIASES = {
    "SetIfNotExists": "set-if",
    "ListErase": "list-remove",
    "Publish": "topic-publish",
    "Subscribe": "topic-subscribe",
}

# Request ids whose faults are counted; beyond that those counted longest ago begin anew.
MAX_COUNTERS = 10_000

Metadata = Mapping[str, str]


def asked_for(metadata: Metadata) -> bool:
    return not KEYS.isdisjoint(metadata)


class Faults:
    def __init__(self) -> None:
        self._counters: OrderedDict[tuple[str, str, str], int] = OrderedDict()

    async def before(self, rpc: str, metadata: Metadata) -> None:
        """Sleep and then fail, each if it is asked of this RPC and not yet done often enough."""
        if named("delay-rpcs", rpc, metadata) and self._due("delay-count", rpc, metadata):
            await asyncio.sleep(number("delay-ms", metadata) / 1000)
        if (
            named("error-rpcs", rpc, metadata)
            and metadata.get("return-error")
            and self._due("error-count", rpc, metadata)
        ):
            raise InjectedFault(status("return-error", metadata))

    async def during(
        self, rpc: str, metadata: Metadata, responses: AsyncGenerator[Any, None]
    ) -> AsyncGenerator[Any, None]:
        """Hand responses on until as many have passed as are to come before the error."""
        failing = named("stream-error-rpcs", rpc, metadata) and metadata.get("stream-error")
        left = number("stream-error-message-limit", metadata) if failing else None
        async with aclosing(responses):
            if left == 0:
                raise InjectedFault(status("stream-error", metadata))
            async for response in responses:
                yield response
                if left is not None:
                    left -= 1
                    if left == 0:
                        raise InjectedFault(status("stream-error", metadata))

    def _due(self, limit: str, rpc: str, metadata: Metadata) -> bool:
        """Count one more fault of this request id, unless it has had as many as were asked for."""
        if not metadata.get(limit):
            return True
        counter = (metadata.get("request-id", ""), limit, rpc_name(rpc))
        done = self._counters.pop(counter, 0)
        due = done < number(limit, metadata)
        self._counters[counter] = done + due
        if len(self._counters) > MAX_COUNTERS:
            self._counters.popitem(last=False)
        return due


def rpc_name(rpc: str) -> str:
    return ALIASES.get(rpc) or kebab_case(rpc)


def named(key: str, rpc: str, metadata: Metadata) -> bool:
    return rpc_name(rpc) in metadata.get(key, "").split()


def number(key: str, metadata: Metadata) -> int:
    text = metadata.get(key) or "0"
    if not re.fullmatch("[0-9]{1,9}", text):
        raise InvalidArgument(f"{key} must be a whole number, not {text!r}")
    return int(text)


def status(key: str, metadata: Metadata) -> StatusCode:
    try:
        return status_code(metadata[key])
    except ValueError as error:
        raise InvalidArgument(f"{key} cannot be given: {error}") from error
