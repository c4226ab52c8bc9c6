"""Check this process: whether gRPC can work in it, whatever ``CACHES`` says.

``momento_check`` runs these checks each time. They look at modules that the process has already imported, and
import neither gRPC nor gevent.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from django.core.checks import CheckMessage, Tags, register

from .aliases import TAG, momento_aliases, warning

# gRPC reads these words as false. It ignores a word that is neither true nor false.
_FALSE = ("0", "f", "false", "n", "no")


def process_checks() -> list[CheckMessage]:
    """Return the messages of all checks of this module."""
    return [*check_gevent(), *check_fork_support()]


@register(Tags.caches, TAG)
def check_gevent(app_configs: Any = None, **kwargs: Any) -> list[CheckMessage]:
    """W006: each cache call stops every greenlet of the process until it returns."""
    monkey = sys.modules.get("gevent.monkey")
    if not momento_aliases() or monkey is None or not monkey.is_module_patched("socket"):
        return []
    # A process without gRPC cannot have called init_gevent().
    cygrpc = sys.modules.get("grpc._cython.cygrpc")
    if getattr(cygrpc, "g_gevent_activated", False):
        return []
    return [
        warning(
            "W006",
            "gevent has patched this process, but gRPC has not been told: a cache call then stops every "
            "greenlet until Momento responds.",
            "Call grpc.experimental.gevent.init_gevent() after monkey.patch_all() and before the first cache "
            "call; with gunicorn, in post_fork().",
        )
    ]


@register(Tags.caches, TAG)
def check_fork_support(app_configs: Any = None, **kwargs: Any) -> list[CheckMessage]:
    """W007: workers that are forked after a cache call hang at their first cache call."""
    value = os.environ.get("GRPC_ENABLE_FORK_SUPPORT", "")
    if not momento_aliases() or value.strip().lower() not in _FALSE:
        return []
    return [
        warning(
            "W007",
            f"GRPC_ENABLE_FORK_SUPPORT is {value!r} in the environment: if a process is forked after a cache "
            "call, as with gunicorn --preload and Celery, the child hangs at its first cache call.",
            "Unset it.",
        )
    ]
