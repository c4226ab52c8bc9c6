"""What is in the wheel and in the sdist, and what is not."""

from __future__ import annotations

import sys
import tarfile
import zipfile
from email import message_from_bytes
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import django_momento
from tests.packaging.conftest import ROOT, run

VERSION = django_momento.__version__
STEM = f"django_momento-{VERSION}"


def package() -> set[str]:
    """The files of the package in the checkout."""
    files = (ROOT / "django_momento").rglob("*")
    return {path.relative_to(ROOT).as_posix() for path in files if path.is_file() and path.suffix != ".pyc"}


@pytest.fixture(scope="session")
def in_wheel(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


@pytest.fixture(scope="session")
def in_sdist(sdist: Path) -> set[str]:
    with tarfile.open(sdist) as archive:
        return {member.name.partition("/")[2] for member in archive if member.isfile()}


def test_the_wheel_is_the_package_and_what_describes_it(in_wheel: set[str]) -> None:
    """All of the package, marked as typed, with its licence; no tests, no example, no documentation."""
    info = {"METADATA", "RECORD", "WHEEL", "licenses/LICENSE", "top_level.txt"}
    assert {"django_momento/py.typed"} < package()
    assert package() | {f"{STEM}.dist-info/{name}" for name in info} == in_wheel


def test_the_sdist_is_what_the_wheel_is_built_from(in_sdist: set[str]) -> None:
    """The package, and the files that a build reads; nothing else of the checkout."""
    files = {"CHANGELOG.md", "LICENSE", "MANIFEST.in", "PKG-INFO", "README.md", "pyproject.toml", "setup.cfg"}
    assert package() | files == {name for name in in_sdist if ".egg-info/" not in name}


def test_both_are_named_for_the_version(wheel: Path, sdist: Path) -> None:
    """The version has one source, which is the package."""
    assert (f"{STEM}-py3-none-any.whl", f"{STEM}.tar.gz") == (wheel.name, sdist.name)


def test_the_index_would_accept_both(wheel: Path, sdist: Path) -> None:
    """The metadata is whole, and the README can be shown."""
    run(sys.executable, "-m", "twine", "check", "--strict", wheel, sdist, cwd=wheel.parent)


def test_the_metadata_tells_what_is_needed(wheel: Path) -> None:
    """The Python and the packages without which nothing works, and none that only some sites need."""
    with zipfile.ZipFile(wheel) as archive:
        metadata = message_from_bytes(archive.read(f"{STEM}.dist-info/METADATA"))
    required = map(Requirement, metadata.get_all("Requires-Dist", []))
    names = {requirement.name for requirement in required if "extra" not in str(requirement.marker)}
    assert (">=3.10", "MIT") == (metadata["Requires-Python"], metadata["License"])
    assert {"Django", "boto3", "django-environ", "grpcio", "momento", "momento-wire-types"} == names
