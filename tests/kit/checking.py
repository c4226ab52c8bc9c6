"""A site with some CACHES, and what this package's system checks say of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.core.checks import CheckMessage, run_checks

from django_momento.checks.aliases import TAG

BACKEND = "django_momento.cache.MomentoCache"

Found = Callable[..., list[CheckMessage]]


def alias(location: str = "my-cache", **given: Any) -> dict[str, Any]:
    """An alias of CACHES with OPTIONS; what is in lower case is Django's, such as ``timeout=5``."""
    beside = {name.upper(): given.pop(name) for name in list(given) if name.islower()}
    return {"BACKEND": BACKEND, "LOCATION": location, **beside, "OPTIONS": given}


def messages(
    settings: Any, caches: dict[str, Any], deploy: bool = False, **others: Any
) -> list[CheckMessage]:
    """Configure CACHES and other settings, and answer what the checks say, but for what is silenced."""
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}} | caches
    for name, value in others.items():
        setattr(settings, name, value)
    found = run_checks(tags=[TAG], include_deployment_checks=deploy)
    return [message for message in found if not message.is_silenced()]


def ids(messages: list[CheckMessage]) -> list[str]:
    return sorted(str(message.id).removeprefix("django_momento.") for message in messages)
