"""The site for WSGI servers, with the metrics of all workers at ``/metrics``."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from django.core.wsgi import get_wsgi_application
from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client.multiprocess import MultiProcessCollector

_site = get_wsgi_application()


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    if environ["PATH_INFO"] != "/metrics":
        return _site(environ, start_response)
    registry = CollectorRegistry()
    MultiProcessCollector(registry)
    return make_wsgi_app(registry)(environ, start_response)
