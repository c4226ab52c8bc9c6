"""Count the operations of a call, the unit in which Momento limits and bills.

``django_momento.local.metering`` describes the rule, and where Momento's documentation leaves it open. The
local server applies the same rule to the messages on the wire.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..local.metering import READS, item_operations, read_factor
from .calls import Call


def operations(call: Call[Any], response: Any, read_concern: str = "") -> int:
    """Return the operations that Momento counts for a call, as an estimate of August 2026.

    ``response`` is the result of the call: the value of a Get or None for a miss, the list of values of a
    GetBatch. ``read_concern`` is the request metadata of that name. A call that failed costs one operation,
    whatever its size, so that there is no need to ask. Control calls have a limit of their own and count 0.
    """
    if call.control:
        return 0
    count = _COUNTS.get(call.rpc)
    total = _one_item(call) if count is None else count(call, response)
    return total * read_factor(read_concern) if call.rpc in READS else total


def _one_item(call: Any) -> int:
    return item_operations(len(call.key) + len(getattr(call, "value", b"")))


def _get(call: Any, response: bytes | None) -> int:
    return item_operations(len(call.key) + len(response or b""))


def _get_batch(call: Any, response: list[bytes | None] | None) -> int:
    if response is None:
        return 1
    pairs = zip(call.keys, response, strict=True)
    return max(1, sum(item_operations(len(key) + len(value or b"")) for key, value in pairs))


def _set_batch(call: Any, response: list[bool] | None) -> int:
    if response is None:
        return 1
    return max(1, sum(item_operations(len(key) + len(value)) for key, value in call.items))


def _keys_exist(call: Any, response: list[bool] | None) -> int:
    return item_operations(sum(map(len, call.keys)))


_COUNTS: dict[str, Callable[[Any, Any], int]] = {
    "Get": _get,
    "GetBatch": _get_batch,
    "SetBatch": _set_batch,
    "KeysExist": _keys_exist,
}
