"""System checks of this process: whether gRPC can work in it, whatever ``CACHES`` says.

Registered with those of ``checks``, and asked by ``momento_check`` each time. Nothing here imports gRPC or
gevent: it only looks at what the process has imported.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from django.core.checks import CheckMessage, Tags, Warning, register  # noqa: A004 - Django's name for it

from .configured_caches import momento_aliases

# Beside Django's own tag: `manage.py check --tag momento` runs this package's checks alone.
TAG = "momento"
# What gRPC takes for false; what is neither false nor true it ignores.
_FALSE = ("0", "f", "false", "n", "no")


def process_checks() -> list[CheckMessage]:
    """Answer what both checks find."""
    return [*check_gevent(), *check_fork_support()]


@register(Tags.caches, TAG)
def check_gevent(app_configs: Any = None, **kwargs: Any) -> list[CheckMessage]:
    """W006: one cache call stops every greenlet of the process until it is answered."""
    monkey = sys.modules.get("gevent.monkey")
    if not momento_aliases() or monkey is None or not monkey.is_module_patched("socket"):
        return []
    # Without gRPC in the process nobody can have prepared it.
    cygrpc = sys.modules.get("grpc._cython.cygrpc")
    if getattr(cygrpc, "g_gevent_activated", False):
        return []
    return [
        Warning(
            "gevent has patched this process, but gRPC has not been told: a cache call then stops every "
            "greenlet until Momento has answered.",
            hint="Call grpc.experimental.gevent.init_gevent() after monkey.patch_all() and before the first "
            "cache call; with gunicorn, in post_fork().",
            id="django_momento.W006",
        )
    ]


@register(Tags.caches, TAG)
def check_fork_support(app_configs: Any = None, **kwargs: Any) -> list[CheckMessage]:
    """W007: workers that are forked after a cache call hang at their own first."""
    value = os.environ.get("GRPC_ENABLE_FORK_SUPPORT", "")
    if not momento_aliases() or value.strip().lower() not in _FALSE:
        return []
    return [
        Warning(
            f"GRPC_ENABLE_FORK_SUPPORT is {value!r} in the environment: a process that is forked after a "
            "cache call, as gunicorn --preload and Celery do, hangs at its own first.",
            hint="Unset it.",
            id="django_momento.W007",
        )
    ]
