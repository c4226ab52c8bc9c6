"""What type checkers make of the installed wheel, in a site that is as strict as they allow."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from tests.packaging.conftest import run

MYPY_INI = """
[mypy]
strict = True
plugins = mypy_django_plugin.main

[mypy.plugins.django-stubs]
django_settings_module = settings
"""

# Env itself is not among them: its base class comes without types.
DOCUMENTED = (
    "django_momento.cache.MomentoCache",
    "django_momento.env.Env.cache_url",
    "django_momento.exceptions.ConfigurationError",
    "django_momento.exceptions.LimitExceeded",
    "django_momento.exceptions.MomentoCacheError",
    "django_momento.local.LocalServer",
    "django_momento.local.server.LocalServer",
)


@pytest.fixture(scope="module")
def mypy_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What mypy made of Django, for the second of two runs."""
    return tmp_path_factory.mktemp("mypy")


def mypy(python: Path, site: Path, cache: Path, *files: str, status: int = 0) -> str:
    (site / "mypy.ini").write_text(MYPY_INI)
    return run(python, "-m", "mypy", "--cache-dir", cache, *files, cwd=site, status=status)


def test_mypy_sees_the_types(python: Path, site: Path, mypy_cache: Path) -> None:
    """Strict, with django-stubs and its plugin: nothing to complain about, and every type as asserted."""
    output = mypy(python, site, mypy_cache, "settings.py", "usage.py")
    assert "Success: no issues found in 2 source files" in output


def test_mypy_finds_mistakes(python: Path, site: Path, mypy_cache: Path) -> None:
    """Each of them in its line, and nothing else."""
    output = mypy(python, site, mypy_cache, "misuse.py", status=1)
    found = re.findall(r"^misuse.py:(\d+): error: .* \[(.+)\]$", output, re.MULTILINE)
    lines = enumerate((site / "misuse.py").read_text().splitlines(), 1)
    expected = [(str(number), line.partition("# E: ")[2]) for number, line in lines if "# E: " in line]
    assert expected == found


def pyright(python: Path, site: Path, *arguments: str, status: int | None = 0) -> Any:
    # It looks for an environment with the first Python on the path.
    path = os.pathsep.join([str(python.parent), os.environ["PATH"]])
    output = run(python, "-m", "pyright", "--outputjson", *arguments, cwd=site, status=status, PATH=path)
    return json.loads(output)


def test_pyright_sees_the_types(python: Path, site: Path) -> None:
    """The same types, by the other type checker that people use."""
    assert [] == pyright(python, site, "settings.py", "usage.py")["generalDiagnostics"]


def test_every_type_a_site_meets_is_known(python: Path, site: Path) -> None:
    """Nothing that is documented for sites leaves a type checker guessing."""
    report = pyright(python, site, "--verifytypes", "django_momento", "--ignoreexternal", status=None)
    symbols = report["typeCompleteness"]["symbols"]
    met = {
        symbol["name"]: symbol["isTypeKnown"] for symbol in symbols if symbol["name"].startswith(DOCUMENTED)
    }
    assert set(DOCUMENTED) <= met.keys()
    assert [] == [name for name, known in met.items() if not known]
