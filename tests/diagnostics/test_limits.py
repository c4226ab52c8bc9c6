"""Facts: what was found beside what Momento allows, in numbers and in words."""

from __future__ import annotations

from typing import Any

from django_momento.credentials.credential import Credential
from django_momento.diagnostics import limits
from django_momento.redaction import SecretStr
from tests.kit.tables import table

DAY = 86400.0
NOW = 1_800_000_000.0  # 2027-01-15 08:00 UTC


def credential(**given: Any) -> Credential:
    hosts = {"cache_host": "cache.cell.example", "control_host": "control.cell.example"}
    return Credential(
        **{"api_key": SecretStr("a-key"), "kind": "v2", "source": "Secret 'a'", **hosts, **given}
    )


def said(found: tuple[limits.Measurement, ...]) -> list[str]:
    return [fact.says for fact in found if fact.says]


@table(
    ("age", "expected"),
    [
        (0.2, "fetched just now"),
        (-5, "fetched just now"),
        (3, "fetched 3 s ago"),
        (90, "fetched 90 s ago"),
        (600, "fetched 10 min ago"),
        (8 * 3600, "fetched 8 h ago"),
        (3 * DAY, "fetched 3 days ago"),
    ],
)
def test_a_credential_has_an_age(age: float, expected: str) -> None:
    """In words that fit it; a clock that was set back makes it no younger than now."""
    assert [expected] == said(limits.of_credential(credential(fetched_at=NOW - age), NOW))


@table(
    ("left", "expected", "ok"),
    [
        (30 * DAY, "expires in 30 days, at 2027-02-14 08:00 UTC", True),
        (3600, "expires in 60 min, at 2027-01-15 09:00 UTC", True),
        (-60, "expired at 2027-01-15 07:59 UTC", False),
        (0, "expired at 2027-01-15 08:00 UTC", False),
    ],
)
def test_an_expiry_that_is_known_is_said(left: float, expected: str, ok: bool) -> None:
    """One that is over is remarked."""
    fact = limits.of_credential(credential(fetched_at=NOW, expires_at=NOW + left), NOW)[-1]

    assert ("expires_at", NOW + left, ok) == (fact.name, fact.value, fact.ok)
    assert expected == fact.says


def test_no_fact_holds_the_key() -> None:
    """Where it came from is all there is."""
    assert "a-key" not in repr(limits.of_credential(credential(expires_at=NOW), NOW))


@table(
    ("timeout", "max_ttl", "kept", "ok", "says"),
    [
        (
            300,
            DAY,
            DAY - 0.01,
            True,
            "TIMEOUT is 5 min, MAX_TTL 24 h, which Momento granted; on demand it allows",
        ),
        (300, DAY, None, True, "TIMEOUT is 5 min, MAX_TTL 24 h; on demand it allows 24 h"),
        (300, 7 * DAY, DAY, False, "Momento cut MAX_TTL, 7 days, to 24 h: set MAX_TTL to that"),
        (
            None,
            DAY,
            DAY,
            False,
            "TIMEOUT is None, MAX_TTL 24 h, which Momento granted; on demand it allows 24 h: no",
        ),
        (
            2 * DAY,
            DAY,
            DAY,
            False,
            "TIMEOUT is 2 days, MAX_TTL 24 h, which Momento granted; on demand it allows",
        ),
        (1, 5, 4.9, True, "TIMEOUT is 1 s, MAX_TTL 5 s"),
    ],
)
def test_times_to_live_are_compared(
    timeout: float | None, max_ttl: float, kept: float | None, ok: bool, says: str
) -> None:
    """TIMEOUT with MAX_TTL, and that with what Momento made of it."""
    fact = limits.of_ttl(timeout, max_ttl, kept)

    assert ("ttl_seconds", kept, 86400, ok) == (fact.name, fact.value, fact.allowed, fact.ok)
    assert fact.says.startswith(says)


def test_an_overhead_is_taken_from_the_first_kib() -> None:
    """Momento bills each KiB that is begun, of key and value."""
    overhead, largest = limits.of_item_size(24)

    assert (24, 1024, True) == (overhead.value, overhead.allowed, overhead.ok)
    assert "add 24 bytes: a key and a text of 1000 bytes together cost one operation" in overhead.says
    assert 5 * 1024 * 1024 == largest.value == largest.allowed
    assert "5,120 operations" in largest.says


def test_a_prefix_that_fills_a_kib_is_remarked() -> None:
    """Every value then costs two operations at least."""
    assert limits.of_item_size(1024)[0].ok is False


@table(("rate", "over"), [(50.0, False), (100.0, False), (1519.4, True)])
def test_a_rate_over_what_is_allowed_names_what_happens(rate: float, over: bool) -> None:
    """It is no mistake: most threads wait for more than the cache."""
    fact = limits.of_rate(rate)

    assert (rate, 100, True) == (fact.value, fact.allowed, fact.ok)
    assert f"one thread makes {rate:,.0f} gets a second" in fact.says
    assert over is ("LimitExceeded" in fact.says)
