"""The guide to a switch without a cold cache, followed word for word, from a real Redis to a real Momento."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, Block, blocks
from tests.kit.processes import Server
from tests.kit.redis import RedisServer
from tests.kit.waiting import eventually, patience
from tests.processes.momento import Momento

PAGE = "docs/how-to/switch-without-a-cold-cache.md"

SETTINGS = """
from site_caches import CACHES
SECRET_KEY = "0123456789" * 6
INSTALLED_APPS = ["django_momento"]
"""
MANAGE = """
import os, sys
from django.core.management import execute_from_command_line
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "site_settings")
execute_from_command_line(sys.argv)
"""
# The site's traffic: it computes values that are missing, and prints how many it has computed so far.
TRAFFIC = """
import random
import django
django.setup()
from django.core.cache import cache
computed = []
while True:
    for number in random.sample(range(200), 200):
        def compute():
            computed.append(number)
            return {"page": number}
        value = cache.get_or_set(f"page:{number}", compute, 3600)
        assert value == {"page": number}, value
    cache.add("visits", 0, 3600)
    cache.incr("visits")
    print("computed", len(computed), flush=True)
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A site with the page's settings, whose programs find its servers."""
    for block in blocks(PAGE):
        if block.caption:
            (tmp_path / block.caption).write_text(block.text)
    for name, text in (("site_settings", SETTINGS), ("manage", MANAGE), ("traffic", TRAFFIC)):
        (tmp_path / f"{name}.py").write_text(text)
    return tmp_path


class Reader:
    """Someone who types what the page says, in the directory of the site."""

    def __init__(self, site: Path, redis: RedisServer, momento: Momento) -> None:
        self._site = site
        self.variables = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": f"{site}{os.pathsep}{ROOT}",
            "DJANGO_SETTINGS_MODULE": "site_settings",
            "REDIS_URL": redis.url,
            "CACHE_URL": f"momento-local://{momento.address}/tests",
        }

    def type(self, block: Block) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-e"],
            input=block.text,
            cwd=self._site,
            env=self.variables,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    def repeat_until_safe(self, block: Block) -> str:
        """Type it again until it succeeds, as someone who waits; return what it printed."""
        for _ in patience():
            typed = self.type(block)
            if not typed.returncode:
                return typed.stdout
            assert "It is not safe to go on" in typed.stdout, typed.stdout + typed.stderr
        raise AssertionError(typed.stdout)


def without_numbers(text: str) -> str:
    """Replace numbers, and the blanks that align them."""
    return re.sub(r"\s+", " ", re.sub(r"\d+(\.\d+)?(e[+-]\d+)?|\b-(?= \()", "N", text)).strip()


def test_the_guide_leads_from_redis_to_momento_without_a_cold_cache(site: Path, tmp_path: Path) -> None:
    """Each command does what the page says, and the site computes each value once, for both caches."""
    commands = [block for block in blocks(PAGE) if block.language == "sh"]
    (shown,) = (block.text for block in blocks(PAGE) if block.language == "text")
    first, empty, look, dual, back, done = commands
    with RedisServer(tmp_path) as redis, Momento(tmp_path) as momento:
        reader = Reader(site, redis, momento)
        checked = reader.type(first)
        assert "System check identified no issues" in checked.stdout, checked.stderr
        assert 0 == reader.type(empty).returncode
        with Server("traffic", log=tmp_path / "log", address="", **reader.variables) as traffic:
            printed = reader.repeat_until_safe(look)
            assert without_numbers(shown.replace("4 processes", "1 process")) == without_numbers(printed)
            assert "It is safe to go on to 'done'." in reader.repeat_until_safe(dual)
            assert 0 == reader.type(back).returncode
            reader.repeat_until_safe(look)
            assert "It is safe to go on to 'done'." in reader.repeat_until_safe(dual)
            assert "NEW serves alone" in reader.repeat_until_safe(done)
            redis.kill()
            rounds = traffic.output.count("computed")
            eventually(lambda: traffic.output.count("computed") > rounds + 3)
            assert {"computed 200"} == {*traffic.output.splitlines()}
