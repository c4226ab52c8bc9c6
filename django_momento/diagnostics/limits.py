"""Measurements of a report, each beside the limit of Momento, for machines and in words.

The functions are pure: measured values are arguments. The limits are those that Momento documents for an
on-demand cache; it raises some of them on request. Of an API key only the source and the age are shown.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone

from ..client.calls import MAX_ITEM_BYTES
from ..credentials.credential import Credential

# Momento's limits on demand. The size of an item is the same with every plan.
ON_DEMAND_SECONDS = 24 * 60 * 60
ON_DEMAND_OPERATIONS = 100
METERED_BYTES = 1024

# Seconds that the calls may take, by which a TTL is shorter when it is read back. If Momento cuts a TTL, it
# cuts more.
_MAX_CALL_SECONDS = 60.0


@dataclass(frozen=True)
class Measurement:
    """One measured value, and the limit in ``allowed`` if there is one.

    ``name`` and the units of ``value`` and ``allowed`` are stable. ``says`` is a sentence for people, and may
    be empty. A measurement that is not ``ok`` deserves attention, but does not fail the step.
    """

    name: str
    value: float | int | str | None
    says: str = ""
    allowed: float | int | None = None
    ok: bool = True


def of_credential(credential: Credential, now: float) -> tuple[Measurement, ...]:
    """Return the source, the age and the expiry of the API key; ``now`` is in seconds since 1970."""
    facts = [Measurement("kind", credential.kind), Measurement("source", credential.source)]
    if credential.api_key:
        age = now - credential.fetched_at
        says = "fetched just now" if age < 1 else f"fetched {duration(age)} ago"
        facts.append(Measurement("fetched_at", credential.fetched_at, says))
    if credential.expires_at is not None:
        left = credential.expires_at - now
        at = datetime.fromtimestamp(credential.expires_at, timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
        says = f"expires in {duration(left)}, at {at}" if left > 0 else f"expired at {at}"
        facts.append(Measurement("expires_at", credential.expires_at, says, ok=left > 0))
    return tuple(facts)


def of_ttl(timeout: float | None, max_ttl: float, kept: float | None) -> Measurement:
    """Compare TIMEOUT and MAX_TTL with the seconds that Momento ``kept`` of MAX_TTL, or None if unknown."""
    name, allowed = "ttl_seconds", ON_DEMAND_SECONDS
    if kept is not None and kept < max_ttl - _MAX_CALL_SECONDS:
        says = f"Momento cut MAX_TTL, {duration(max_ttl)}, to {duration(kept)}: set MAX_TTL to that"
        return Measurement(name, kept, says, allowed, ok=False)
    granted = "" if kept is None else ", which Momento granted"
    says = f"TIMEOUT is {_timeout(timeout)}, MAX_TTL {duration(max_ttl)}{granted}; on demand it allows 24 h"
    if timeout is None or timeout > max_ttl:
        return Measurement(name, kept, f"{says}: no value lives until TIMEOUT", allowed, ok=False)
    return Measurement(name, kept, says, allowed)


def of_item_size(overhead: int) -> tuple[Measurement, Measurement]:
    """Compare ``overhead``, the bytes that the settings add to a key and its value, with Momento's meter."""
    left = METERED_BYTES - overhead
    return (
        Measurement(
            "overhead_bytes",
            overhead,
            f"prefix, version and format add {overhead} bytes: a key and a text of {left} bytes together "
            "cost one operation, and each KiB more another",
            METERED_BYTES,
            ok=left > 0,
        ),
        Measurement(
            "largest_item_bytes",
            MAX_ITEM_BYTES,
            f"key and value may have 5 MiB, which cost {MAX_ITEM_BYTES // METERED_BYTES:,} operations",
            MAX_ITEM_BYTES,
        ),
    )


def of_rate(per_second: float) -> Measurement:
    """Compare the measured gets a second with the limit of Momento."""
    says = (
        f"one thread makes {per_second:,.0f} gets a second; on demand the account has {ON_DEMAND_OPERATIONS}"
    )
    if per_second > ON_DEMAND_OPERATIONS:
        says += ", and more raise LimitExceeded"
    return Measurement("operations_per_second", per_second, says, ON_DEMAND_OPERATIONS)


def of_operations(used: int, gets: int, per_second: float) -> Measurement:
    """Say what the examination itself has used, and what gets at the measured rate would use.

    ``gets`` is the number of operations of one such get.
    """
    rate = per_second * gets
    says = (
        f"this check used {used:,} operations; gets at that rate use {rate:,.0f} a second, "
        f"{rate / ON_DEMAND_OPERATIONS:.2g} times the limit on demand"
    )
    return Measurement("operations_used", used, says)


def duration(seconds: float) -> str:
    """Return a duration as text, such as ``24 h``, in the largest unit that fits at least twice."""
    for unit, size in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.3g} s"


def _timeout(timeout: float | None) -> str:
    return "None" if timeout is None else duration(timeout)
