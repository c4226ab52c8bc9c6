"""Check a site before it is deployed: ``manage.py check --deploy`` and ``momento_check --deploy``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from django.core.checks import CheckMessage, Info, Tags, register

from ..cache import MomentoCache
from .aliases import TAG, usable_caches, warning

# The consequence of each source that is meant for development.
_DEVELOPMENT = {
    "local": "is kept by momento_local, which loses everything when it stops.",
    "embedded": "is kept inside each process: other processes do not see its values, and it ends with the "
    "process.",
}


@register(Tags.caches, TAG, deploy=True)
def check_plaintext(app_configs: Any = None, **kwargs: Any) -> list[CheckMessage]:
    """W008, with --deploy: the API key is sent without encryption."""
    return [
        warning(
            "W008",
            f"{where}['OPTIONS']['ENDPOINT'] is {str(endpoint)!r}: a port means a local server without TLS, "
            "so the API key and all values are sent unencrypted.",
            "Give the endpoint of your region as Momento's console shows it, without a port.",
        )
        for where, cache in usable_caches()
        if (endpoint := cache.options.connection.endpoint) is not None
        and endpoint.is_plaintext
        and cache.options.connection.credentials != "local"
    ]


@register(Tags.caches, TAG, deploy=True)
def check_development_server(app_configs: Any = None, **kwargs: Any) -> list[CheckMessage]:
    """W009, with --deploy: the cache is a server for development."""
    return [
        warning(
            "W009",
            f"{where} has CREDENTIALS {source!r}, so it {_DEVELOPMENT[source]}",
            "Give SECRET_ID in OPTIONS, the name of the secret with the API key, instead of CREDENTIALS.",
        )
        for where, cache in usable_caches()
        if (source := cache.options.connection.credentials) in _DEVELOPMENT
    ]


@register(Tags.caches, TAG, deploy=True)
def check_missing_api_key(app_configs: Any = None, **kwargs: Any) -> list[CheckMessage]:
    """W011, with --deploy: the environment variable or the file with the API key is missing or empty."""
    return [
        warning(
            "W011",
            f"{where} reads the Momento API key from {place}: every cache call in this environment fails.",
            f"{fix} If only the deployed processes have it, add 'django_momento.W011' to "
            "SILENCED_SYSTEM_CHECKS.",
        )
        for where, cache in usable_caches()
        for place, fix in _missing_api_key(cache)
    ]


@register(Tags.caches, TAG, deploy=True)
def check_limits(app_configs: Any = None, **kwargs: Any) -> list[CheckMessage]:
    """I001, with --deploy: a page fails if Momento throttles a cache that does not fail open."""
    return [
        Info(
            f"{where} raises LimitExceeded if the site makes more calls than the Momento account allows (100 "
            "a second on demand): a page that does not catch it ends with status 500.",
            hint="Set IGNORE_EXCEPTIONS to True in OPTIONS to read a miss instead, or ask Momento for a "
            "higher limit. If you want the error, add 'django_momento.I001' to SILENCED_SYSTEM_CHECKS.",
            id="django_momento.I001",
        )
        for where, cache in usable_caches()
        if not cache.options.ignore_exceptions and cache.options.connection.credentials not in _DEVELOPMENT
    ]


def _missing_api_key(cache: MomentoCache) -> list[tuple[str, str]]:
    """Return the place where the API key is missing, and the fix; return nothing if it is there."""
    connection = cache.options.connection
    variable, path = connection.api_key_variable, connection.api_key_file
    if connection.credentials == "env" and not os.environ.get(variable, "").strip():
        return [(f"the environment variable {variable}, which is not set", f"Set {variable}.")]
    if connection.credentials == "file" and path is not None and (problem := _file_problem(path)):
        return [(f"the file {str(path)!r}, which {problem}", "Create the file, or correct API_KEY_FILE.")]
    return []


def _file_problem(path: Path) -> str | None:
    """Return the reason why a file holds no key, or None if it may hold one."""
    if not os.access(path, os.R_OK):
        return "does not exist or cannot be read"
    if path.is_dir():
        return "is a folder"
    return "is empty" if path.is_file() and not path.stat().st_size else None
