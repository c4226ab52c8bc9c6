"""The keys and the values that a call names, whatever its kind."""

from __future__ import annotations

from typing import Any

from ..redaction import quote


def items_of(call: Any) -> list[tuple[bytes, bytes | None]]:
    """Return each key of a call with the value that is sent for it, or None if there is none."""
    if hasattr(call, "key"):
        return [(call.key, getattr(call, "value", None))]
    if hasattr(call, "keys"):
        return [(key, None) for key in call.keys]
    return list(getattr(call, "items", ()))


def keys_of(call: Any) -> list[bytes]:
    """Return the keys that a call names."""
    return [key for key, _ in items_of(call)]


def describe_item(call: Any) -> str:
    """Return the key and the size of the largest item of a call, for a message."""
    items = [(key, len(key) + len(value or b"")) for key, value in items_of(call)]
    if not items:
        return "no key"
    key, size = max(items, key=lambda item: item[1])
    return f"key {quote(key, 80)!r} ({size:,} bytes)"
