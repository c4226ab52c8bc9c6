"""The two faces of a cache, sync and async, behind one function."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.kit.tables import table

FACES = pytest.mark.parametrize("face", ["sync", "async"])
# The same within one test.
EACH_FACE = table("face", ["sync", "async"], afresh=True)


def call(cache: Any, face: str, verb: str, *args: Any, **kwargs: Any) -> Any:
    """Call a verb of either face."""
    if face == "sync":
        return getattr(cache, verb)(*args, **kwargs)
    return asyncio.run(getattr(cache, f"a{verb}")(*args, **kwargs))
