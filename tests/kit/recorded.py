"""Fixtures: a cache in memory whose calls are recorded, and the path of its trace."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.core.cache import caches

from tests.kit.traces import recording

MEMORY = {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": "recorded"}


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    return tmp_path / "trace.jsonl"


@pytest.fixture
def cache(settings: Any, trace: Path) -> Any:
    settings.CACHES = {"memory": MEMORY, "default": recording("memory", trace)}
    caches["memory"].clear()
    return caches["default"]
