"""The wheel, installed away from the checkout and used by a site."""

from __future__ import annotations

import json
from pathlib import Path

from tests.packaging.conftest import run


def test_the_wheel_is_what_is_used(python: Path, site: Path) -> None:
    """Not the checkout, whichever way it is on the path of the tests."""
    where = run(python, "-c", "import django_momento; print(django_momento.__file__)", cwd=site)
    assert python.parents[1] in Path(where.strip()).parents


def test_a_site_can_use_it(python: Path, site: Path) -> None:
    """Every verb, sync and async, on the server that comes with it."""
    run(python, "-X", "dev", "-W", "error", "usage.py", cwd=site, DJANGO_SETTINGS_MODULE="settings")


def test_its_commands_are_there(python: Path, site: Path) -> None:
    """The doctor finds nothing to complain about."""
    django = [python, "-m", "django", "momento_check", "--json"]
    report = json.loads(run(*django, cwd=site, DJANGO_SETTINGS_MODULE="settings"))
    assert (True, ["default"]) == (report["ok"], [cache["alias"] for cache in report["caches"]])
