"""What keeps a tag from becoming a release, and what a release is announced with."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest

import django_momento
from tests.packaging.conftest import ROOT, run

SCRIPT = ROOT / ".ci" / "release_notes.py"
PACKAGE = '"""Docstring."""\n\n__version__ = "1.1.0"\n'
CHANGELOG = """# Changelog

## 1.1.0 - 2030-02-01

### Added

- Something.

## 1.0.0 - 2030-01-01

- The first version.
"""


def release_notes(tag: str = "v1.1.0", changelog: str = CHANGELOG) -> str:
    return str(runpy.run_path(str(SCRIPT))["release_notes"](tag, PACKAGE, changelog))


def test_a_release_is_announced_with_its_section() -> None:
    """All of it, without the heading, and nothing of other versions."""
    assert release_notes() == "### Added\n\n- Something."


@pytest.mark.parametrize(
    ("tag", "changelog", "reason"),
    [
        ("v1.1.1", CHANGELOG, r"The tag is v1\.1\.1, but django_momento\.__version__ is 1\.1\.0"),
        ("1.1.0", CHANGELOG, "The tag is 1"),
        ("v1.1.0", CHANGELOG.replace("1.1.0", "1.2.0"), r"no section '## 1\.1\.0 - YYYY-MM-DD'"),
        ("v1.1.0", CHANGELOG.replace("2030-02-01", "unreleased"), "says 'unreleased' of 1"),
        ("v1.1.0", CHANGELOG.replace("### Added\n\n- Something.\n", ""), "says nothing about 1"),
    ],
)
def test_what_is_not_ready_is_not_released(tag: str, changelog: str, reason: str) -> None:
    """The reason says which of the three, tag, version or changelog, has to be changed."""
    with pytest.raises(Exception, match=reason):
        release_notes(tag, changelog)


def test_this_checkout_is_read(tmp_path: Path) -> None:
    """Its version and its changelog fit together, or the reason is on the screen."""
    output = run(sys.executable, SCRIPT, "v0.0.0", cwd=tmp_path, status=1)
    assert output == f"The tag is v0.0.0, but django_momento.__version__ is {django_momento.__version__}.\n"
