"""The checks of the process: gevent without gRPC knowing, and an environment in which forked workers hang."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from django_momento.checks.process import process_checks
from tests.kit.tables import table

BACKEND = "django_momento.cache.MomentoCache"


@pytest.fixture(autouse=True)
def _momento(settings: Any) -> None:
    settings.CACHES = {"default": {"BACKEND": BACKEND, "LOCATION": "a", "OPTIONS": {"CREDENTIALS": "env"}}}


@table("value", ["0", "false", "False", "no", "n", "f", " 0 "], afresh=True)
def test_an_environment_without_fork_support_is_remarked(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    """Workers that are forked after a cache call hang: whatever gRPC takes for false is said."""
    monkeypatch.setenv("GRPC_ENABLE_FORK_SUPPORT", value)
    (message,) = process_checks()

    assert "django_momento.W007" == message.id
    assert f"GRPC_ENABLE_FORK_SUPPORT is {value!r}" in message.msg
    assert "Unset it." == message.hint


@table("value", ["1", "true", "yes", "", "off"], afresh=True)
def test_an_environment_with_fork_support_is_not(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    """What gRPC does not understand, it ignores; fork support is on then."""
    monkeypatch.setenv("GRPC_ENABLE_FORK_SUPPORT", value)

    assert [] == process_checks()


def test_an_unset_variable_is_not_remarked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fork support is on by default."""
    monkeypatch.delenv("GRPC_ENABLE_FORK_SUPPORT", raising=False)

    assert [] == process_checks()


PATCH = "from gevent import monkey; monkey.patch_all()"
CHECK = """
import sys

import django
from django.conf import settings

cache = {"BACKEND": "django_momento.cache.MomentoCache", "LOCATION": "a", "OPTIONS": {"CREDENTIALS": "env"}}
settings.configure(SECRET_KEY="only-for-tests", INSTALLED_APPS=["django_momento"], CACHES={"default": cache})
django.setup()

from django.core.checks import run_checks

print(*(f"{message.id}: {message.hint}" for message in run_checks(tags=["momento"])))
"""


@table(
    ("before", "expected"),
    [
        ("", ""),
        ("import gevent.monkey", ""),
        (PATCH, "django_momento.W006: Call grpc.experimental.gevent.init_gevent()"),
        (f"{PATCH}; import grpc", "django_momento.W006: Call grpc.experimental.gevent.init_gevent()"),
        (f"{PATCH}; import grpc.experimental.gevent as grpc_gevent; grpc_gevent.init_gevent()", ""),
    ],
)
def test_gevent_is_remarked_unless_grpc_knows_of_it(before: str, expected: str) -> None:
    """In a process that gevent really patched, and gRPC was really told of it or not."""
    program = f"{before}\n{CHECK}"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert ended.stdout.startswith(expected)
    assert bool(expected) is bool(ended.stdout.strip())
