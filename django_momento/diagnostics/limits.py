"""Facts of a report: what was found, for machines and in words, and beside it what Momento allows.

Pure: what is found comes as arguments. The limits are those of an on-demand cache as Momento documents them,
some of which it raises on request. Of an API key nothing is said but where it came from and its age.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone

from ..client.calls import MAX_ITEM_BYTES
from ..credentials.credential import Credential

# What Momento allows on demand; an item may be as large with any plan.
ON_DEMAND_SECONDS = 24 * 60 * 60
ON_DEMAND_OPERATIONS = 100
METERED_BYTES = 1024

# A TTL that was read back is shorter by what the calls took; what Momento cuts, it cuts by more.
_CALLS_TOOK_AT_MOST = 60.0


@dataclass(frozen=True)
class Measurement:
    """One thing that was found, and what it is measured by.

    ``name`` and the unit of ``value`` and ``allowed`` are stable; ``says`` is for people, and empty if there
    is nothing to say to them. What is not ``ok`` deserves attention, but fails no step.
    """

    name: str
    value: float | int | str | None
    says: str = ""
    allowed: float | int | None = None
    ok: bool = True


def of_credential(credential: Credential, now: float) -> tuple[Measurement, ...]:
    """Answer where the API key came from, when, and when it ends; ``now`` is in seconds since 1970."""
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
    """Compare TIMEOUT and MAX_TTL with the seconds that Momento ``kept`` of MAX_TTL, if that is known."""
    name, allowed = "ttl_seconds", ON_DEMAND_SECONDS
    if kept is not None and kept < max_ttl - _CALLS_TOOK_AT_MOST:
        says = f"Momento cut MAX_TTL, {duration(max_ttl)}, to {duration(kept)}: set MAX_TTL to that"
        return Measurement(name, kept, says, allowed, ok=False)
    granted = "" if kept is None else ", which Momento granted"
    says = f"TIMEOUT is {_timeout(timeout)}, MAX_TTL {duration(max_ttl)}{granted}; on demand it allows 24 h"
    if timeout is None or timeout > max_ttl:
        return Measurement(name, kept, f"{says}: no value lives as long as TIMEOUT says", allowed, ok=False)
    return Measurement(name, kept, says, allowed)


def of_item_size(overhead: int) -> tuple[Measurement, Measurement]:
    """Compare what the configuration adds to a key and its value, in bytes, with what Momento meters."""
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
    """Compare how many gets a second were measured with what Momento allows."""
    says = (
        f"one thread makes {per_second:,.0f} gets a second; on demand the account has {ON_DEMAND_OPERATIONS}"
    )
    if per_second > ON_DEMAND_OPERATIONS:
        says += ", and LimitExceeded for what is over"
    return Measurement("operations_per_second", per_second, says, ON_DEMAND_OPERATIONS)


def duration(seconds: float) -> str:
    """Write a duration in the largest unit of which there are at least two, such as ``24 h``."""
    for unit, size in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.3g} s"


def _timeout(timeout: float | None) -> str:
    return "None" if timeout is None else duration(timeout)
