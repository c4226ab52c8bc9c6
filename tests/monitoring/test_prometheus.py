"""The collector for ``prometheus_client``, read as a server scrapes it."""

from __future__ import annotations

import os
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.parser import text_string_to_metric_families

from django_momento.exceptions import MomentoCacheError
from django_momento.local import LocalServer
from django_momento.monitoring.prometheus import MomentoCollector
from tests.conftest import MakeCache

BIG = b"x" * 3000


def scrape(address: str) -> dict[tuple[str, ...], float]:
    """Return the samples at an address by name and by the values of their labels."""
    with urllib.request.urlopen(address) as response:
        return samples(response.read().decode())


def samples(text: str) -> dict[tuple[str, ...], float]:
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_a_scrape_has_what_the_server_has_counted(make_cache: MakeCache, momento: LocalServer) -> None:
    """By verb and by key group, with errors and events by name."""
    cache = make_cache()
    registry = CollectorRegistry()
    registry.register(MomentoCollector())
    momento.reset_calls()
    cache.set("page:1", BIG)
    for key in ("page:1", "page:1", "user:2"):
        cache.get(key)
    server, thread = start_http_server(0, "127.0.0.1", registry)
    try:
        found = scrape(f"http://127.0.0.1:{server.server_port}/metrics")
        with pytest.raises(MomentoCacheError):
            make_cache("nowhere", alias="lost").get("k")
        make_cache("nowhere", alias="open", OPTIONS={"IGNORE_EXCEPTIONS": True}).get("k")
        again = scrape(f"http://127.0.0.1:{server.server_port}/metrics")
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

    assert found["momento_cache_calls_total", "default", "get"] == 3
    assert found["momento_cache_hits_total", "default", "get"] == 2
    assert found["momento_cache_misses_total", "default", "get"] == 1
    assert found["momento_cache_group_calls_total", "default", "page"] == 3
    assert found["momento_cache_duration_seconds_count", "default", "set"] == 1
    operations = [value for name, value in found.items() if name[0] == "momento_cache_operations_total"]
    assert sum(operations) == momento.operations["Get"] + momento.operations["Set"] - 2
    assert again["momento_cache_errors_total", "lost", "CacheNotFound", "get"] == 1
    assert again["momento_cache_events_total", "open", "ignored_exceptions"] == 1


def test_processes_are_added_up_in_multiprocess_mode(momento: LocalServer, tmp_path: Path) -> None:
    """As under gunicorn: each worker keeps its figures in a file, and a scrape of any adds them up."""
    code = (
        "import sys, django\n"
        "from django.conf import settings\n"
        "settings.configure(SECRET_KEY='k', CACHES={'default': {\n"
        "  'BACKEND': 'django_momento.cache.MomentoCache', 'LOCATION': 'tests', 'OPTIONS': {\n"
        "  'CREDENTIALS': 'local', 'ENDPOINT': sys.argv[1],\n"
        "  'OBSERVERS': 'django_momento.monitoring.prometheus.observe'}}})\n"
        "django.setup()\n"
        "from django.core.cache import cache\n"
        "[cache.get('page:1') for _ in range(5)]\n"
    )
    environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    environment.pop("DJANGO_SETTINGS_MODULE", None)
    for _ in range(2):
        subprocess.run([sys.executable, "-c", code, momento.address], check=True, env=environment)
    reading = (
        "from prometheus_client import CollectorRegistry, generate_latest\n"
        "from prometheus_client.multiprocess import MultiProcessCollector\n"
        "registry = CollectorRegistry()\n"
        "MultiProcessCollector(registry)\n"
        "print(generate_latest(registry).decode())"
    )
    scraped = subprocess.run(
        [sys.executable, "-c", reading], check=True, env=environment, capture_output=True, text=True
    )

    found = samples(scraped.stdout)

    assert found["momento_cache_calls_total", "default", "page", "get"] == 10
    assert found["momento_cache_operations_total", "default", "page", "get"] == 10
    assert found["momento_cache_duration_seconds_count", "default", "page", "get"] == 10
