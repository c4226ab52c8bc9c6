"""Settings import this package in every process: what costs a fifth of a second waits for the first call."""

from __future__ import annotations

import subprocess
import sys

IMPORTS = """
import sys
from django.conf import settings

settings.configure(SECRET_KEY="only-for-tests")
import django_momento.cache, django_momento.env, django_momento.recorder

costly = {"momento", "momento_wire_types", "grpc", "google.protobuf", "boto3", "botocore"}
print(*sorted(costly & set(sys.modules)))
"""

FIRST_LOOKUP = IMPORTS.replace(
    "import django_momento.cache, django_momento.env, django_momento.recorder",
    """
from django.core.cache import caches
from django_momento.env import Env

settings.CACHES = {"default": Env.cache_url_config("momento://my-cache?secret_id=momento")}
caches["default"].make_key("key")
""",
)


def imported_by(program: str) -> str:
    """Return which of the costly packages a program imports in a process of its own."""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return ended.stdout.strip()


def test_importing_the_backend_imports_neither_sdk() -> None:
    """``manage.py`` imports the backend for every command, most of which never touch the cache."""
    assert imported_by(IMPORTS) == ""


def test_looking_a_cache_up_imports_neither_sdk() -> None:
    """Django makes instances before any call is made, in system checks for one."""
    assert imported_by(FIRST_LOOKUP) == ""
