"""The fixtures for pytest, used as a site uses them: in a pytest process of their own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

LOCMEM = "django.core.cache.backends.locmem.LocMemCache"
CONFTEST = """
pytest_plugins = ["django_momento.testing.plugin"]

from django.conf import settings

def pytest_configure():
    settings.configure(
        SECRET_KEY="k",
        INSTALLED_APPS=["django_momento"],
        CACHES={
            "default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},
            "pages": {
                "BACKEND": "django_momento.cache.MomentoCache",
                "LOCATION": "pages",
                "KEY_PREFIX": "site",
                "OPTIONS": {
                    "SECRET_ID": "momento",
                    "REGION": "eu-west-1",
                    "SERIALIZER": "json",
                    "READ_CONCERN": "consistent",
                },
            },
        },
    )
    import django
    django.setup()
"""

TESTS = """
import time

import pytest
from django.core.cache import caches

@pytest.mark.parametrize("number", range(20))
def test_each_test_finds_an_empty_cache(momento_caches, number):
    cache = caches["pages"]
    assert cache.get("k") is None
    cache.set("k", number)
    time.sleep(0.01)
    assert cache.get("k") == number
    assert momento_caches.calls == {"Get": 2, "Set": 1}

def test_a_value_expires_without_sleeping(momento_caches, momento_clock):
    cache = caches["pages"]
    cache.set("k", 1, timeout=3600)
    momento_clock.advance(3000)
    assert cache.get("k") == 1
    momento_clock.advance(600.001)
    assert cache.get("k") is None
    with pytest.raises(ValueError, match="cannot go back by 1 s"):
        momento_clock.advance(-1)

def test_other_options_stay(momento_caches):
    options = caches["pages"].options
    assert options.serializer == "json"
    assert options.connection.read_concern == "consistent"
    assert options.connection.credentials == "local"
    assert type(caches["default"]).__name__ == "LocMemCache"

def test_a_fault_ends_with_its_test(momento_caches):
    momento_caches.fail("not_found")

def test_after_a_fault(momento_caches):
    caches["pages"].set("k", 1)
"""


@pytest.mark.parametrize("arguments", [[], ["-n", "3"]])
def test_caches_are_empty_and_expire_in_each_test(tmp_path: Path, arguments: list[str]) -> None:
    """Also in the workers of pytest-xdist, at the same time."""
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_site.py").write_text(TESTS)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:django",
        "-p",
        "no:randomly",
        "-p",
        "no:cacheprovider",
    ]
    done = subprocess.run(
        [*command, *arguments, str(tmp_path)], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert "24 passed" in done.stdout, done.stdout + done.stderr


def test_a_site_without_a_momento_cache_is_told_so(tmp_path: Path) -> None:
    """Or its tests would share a cache that nothing empties."""
    (tmp_path / "conftest.py").write_text(CONFTEST.replace("django_momento.cache.MomentoCache", LOCMEM))
    (tmp_path / "test_site.py").write_text("def test_it(momento_caches): pass")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:django", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, str(tmp_path)], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert "No alias of CACHES uses Momento" in done.stdout
