"""Counting on stored text: what Increment and DictionaryIncrement share.

A counter is a signed 64-bit integer in base 10. Where it is stored is its caller's business.
"""

from __future__ import annotations

import re

from django_momento.local.errors import IncrementOverflow, NotAnInteger

INT64 = range(-(2**63), 2**63)
# Nineteen digits hold every 64-bit integer, and int() stays clear of Python's own digit limit.
INTEGER = re.compile(rb"-?[0-9]{1,19}")


def add(stored: bytes | None, amount: int) -> int:
    """Return the sum; nothing stored counts as 0."""
    total = amount + (0 if stored is None else parse_integer(stored))
    if total not in INT64:
        raise IncrementOverflow(total)
    return total


def parse_integer(stored: bytes) -> int:
    if INTEGER.fullmatch(stored) and (number := int(stored)) in INT64:
        return number
    raise NotAnInteger
