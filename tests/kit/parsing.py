"""CACHES of one alias, parsed or refused."""

from __future__ import annotations

from typing import Any

import pytest

from django_momento.conf.loading import parse
from django_momento.conf.options import CALLABLE, CacheOptions
from django_momento.exceptions import ConfigurationError

# The least OPTIONS of each source of the API key.
SOURCES: dict[str, dict[str, Any]] = {
    "secretsmanager": {"SECRET_ID": "momento"},
    "agent": {"CREDENTIALS": "agent", "SECRET_ID": "momento"},
    "env": {"CREDENTIALS": "env"},
    "file": {"CREDENTIALS": "file", "API_KEY_FILE": "/run/secrets/momento"},
    CALLABLE: {"CREDENTIALS": "mysite.keys.current"},
    "local": {"CREDENTIALS": "local"},
    "embedded": {"CREDENTIALS": "embedded"},
}


def parsed(**given: Any) -> CacheOptions:
    """Return the options of the alias ``default``, parsed from its OPTIONS."""
    return parse("default", "my-cache", {"OPTIONS": given})


def refusal(params: object, location: object = "my-cache", alias: str = "pages") -> str:
    """Return the message with which the settings of an alias are refused. It must say how to mend them."""
    with pytest.raises(ConfigurationError) as refused:
        parse(alias, location, params)  # type: ignore[arg-type]  # wrong on purpose
    assert refused.value.fix
    return str(refused.value)
