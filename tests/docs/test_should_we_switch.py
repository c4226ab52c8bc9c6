"""The page "Should we switch?" followed word for word, from a site with a real Redis server to the verdict.

Packages are there already, the port of Redis is a free one, and the day of traffic takes a few seconds.
"""

from __future__ import annotations

import json
import os
import re
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest

from django_momento.forecast.report import Elasticache, Outcome, Report, TraceFacts
from django_momento.forecast.verdict import DO_NOT, RECORD_MORE, SWITCH, WITH_CHANGES, Verdict
from django_momento.traces.format import Event
from django_momento.traces.recording import RecordingOptions
from tests.docs.pages import ROOT, blocks, tables
from tests.docs.terminal import Terminal
from tests.docs.test_tutorial import shell
from tests.kit.ports import free_port
from tests.kit.redis import RedisServer

HOW_TO, REFERENCE = "docs/how-to/should-we-switch.md", "docs/reference/forecast.md"
SITE = """
from django.core.cache import cache
from django.http import HttpResponse
from django.urls import path

def product(request, number):
    text = cache.get_or_set(f"product:{number}", lambda: "tea " * 500, 300)
    return HttpResponse(text[:3] + str(cache.incr("visits:all")))

urlpatterns = [path("<int:number>/", product)]
"""


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    directory = tmp_path / "redis"
    directory.mkdir()
    with RedisServer(directory) as server:
        yield server


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    """A terminal in the folder of a site, with a `python` that has the package."""
    programs, site, notes = (tmp_path / name for name in ("bin", "site", "notes"))
    for directory in (programs, site, notes):
        directory.mkdir()
    (programs / "python").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    (programs / "python").chmod(0o755)
    ignored = ("DJANGO_SETTINGS_MODULE", "CACHE_URL")
    environment = {name: value for name, value in os.environ.items() if name not in ignored}
    environment |= {"PATH": f"{programs}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    return Terminal(site, environment, notes)


def test_the_page_leads_from_redis_to_a_verdict(terminal: Terminal, redis: RedisServer) -> None:
    site = terminal.directory
    terminal.type("python -m django startproject mysite .")
    (block,) = (each for each in blocks(HOW_TO) if each.language == "python")
    assert "redis://127.0.0.1:6379/0" in block.text
    settings = site / "mysite" / "settings.py"
    configured = block.text.replace("redis://127.0.0.1:6379/0", redis.url)
    settings.write_text(settings.read_text() + configured)
    (site / "mysite" / "urls.py").write_text(SITE)
    terminal.type(
        "python manage.py shell -c \"from django.core.cache import cache; cache.set('visits:all', 0)\""
    )

    port = free_port()
    with terminal.serving(f"python manage.py runserver --noreload 127.0.0.1:{port}", port):
        for number in range(1, 61):
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/{number % 6}/", timeout=60) as response:
                assert response.read().decode() == f"tea{number}"
    traces = [*site.glob("trace-*.jsonl.zst")]
    assert len(traces) == 2
    pattern = next(re.finditer(r"`(trace-[\d-]+\.jsonl\.zst)`", (ROOT / HOW_TO).read_text()))[1]
    shape = re.sub(r"\d+", r"\\d+", pattern)
    assert all(re.fullmatch(shape, trace.name) for trace in traces)

    command, with_prices = (each for each in _shell_blocks() if "momento_forecast" in each)
    found = terminal.type(command)
    # 6 of 60 reads miss, and each visit is counted.
    assert "hit rate                   90.0 % (the recorded cache: 90.0 %)" in found
    assert "for 121 keys in 121 calls" in found
    assert "The trace covers only" in found
    (shown,) = (each.text for each in blocks(HOW_TO) if each.language == "text")
    labels = {_label(line) for line in found.splitlines()}
    shown_figures = shown.partition("\n\nSwitch: ")[0]
    assert [line for line in shown_figures.splitlines() if _label(line) not in labels] == []

    assert "a month at Momento" in terminal.type(with_prices)
    assert "<svg" in (site / "forecast.html").read_text()
    as_json = json.loads(terminal.type(f"{command.strip()} --json --limit 500"))
    assert as_json["limit"] == 500
    product = next(row for row in as_json["groups"] if row["name"] == "product")
    # A miss costs 1 and 2 to write 2,000 bytes, and a hit 2.
    assert product["operations"] == 6 * (1 + 2) + 54 * 2


def _shell_blocks() -> list[str]:
    return [block.text for block in blocks(HOW_TO) if block.language == "sh"]


def _label(line: str) -> str:
    """Return the words before the first figure."""
    return re.split(r"\s{2,}|\d", line.strip())[0].strip()


def test_the_verdicts_and_options_are_those_of_the_code() -> None:
    (verdicts,) = tables(HOW_TO)
    assert [row[0] for row in verdicts[1:]] == [SWITCH, WITH_CHANGES, DO_NOT, RECORD_MORE]
    options, event, figures = tables(REFERENCE)
    names = [row[0].strip("`").lower() for row in options[1:]]
    assert names == [field.name for field in fields(RecordingOptions)]
    defaults = {field.name: str(field.default) for field in fields(RecordingOptions)}
    assert (options[3][1], options[4][1]) == (defaults["sample"], defaults["max_bytes"])
    assert [row[0].strip("`") for row in event[1:]] == [*Event._fields]
    named = {name for row in figures[1:] for name in re.findall(r"`(\w+)`", row[0])}
    assert named == {field.name for field in fields(Report)} - {"series"} | {"verdict"}
    inner = {name for row in figures[1:] for name in re.findall(r"`(\w+)`", row[1])}
    for part in (TraceFacts, Elasticache, Verdict):
        assert {field.name for field in fields(part)} <= inner, part
    assert {field.name for field in fields(Outcome)} - {"name"} <= inner
    assert "django-momento[zstd]" in shell(HOW_TO, "pip install")
