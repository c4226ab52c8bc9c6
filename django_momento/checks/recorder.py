"""Check the settings of every RecordingCache."""

from __future__ import annotations

from typing import Any

from django.core.cache import caches
from django.core.checks import CheckMessage, Error, Tags, register

from ..exceptions import ConfigurationError
from .aliases import TAG, is_backend_of


@register(Tags.caches, TAG)
def check_recorder(app_configs: Any = None, **kwargs: Any) -> list[CheckMessage]:
    """E007: a RecordingCache names no cache to record, or one of its options is wrong."""
    found: list[CheckMessage] = []
    for alias, configured in caches.settings.items():
        if is_backend_of("django_momento.recorder", configured):
            from ..traces.recording import parse_options

            try:
                parse_options(configured.get("LOCATION", ""), configured)
            except ConfigurationError as error:
                found += [
                    Error(problem.cause, hint=problem.fix, id="django_momento.E007", obj=alias)
                    for problem in error.problems
                ]
    return found
