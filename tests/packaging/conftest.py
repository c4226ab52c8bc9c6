"""The package as its users get it: built from a clean copy of the checkout, and installed away from it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from tests.kit import ctrl_c, output, stalls

# pytest finds fixtures and hooks by the names of a module.
pytest_configure = stalls.pytest_configure
same_output_everywhere, ctrl_c_everywhere = output.same_output_everywhere, ctrl_c.ctrl_c_everywhere

ROOT = Path(__file__).parents[2]
NEWCOMER = Path(__file__).parent / "newcomer"

# What a clone does not have; built from here it might find its way into the package.
GENERATED = shutil.ignore_patterns(
    ".*_cache", ".cache", ".git", ".hypothesis", ".tox", ".venv", "*.egg-info", "__pycache__", "build", "dist"
)


def run(*command: object, cwd: Path, status: int | None = 0, **variables: str) -> str:
    """Run a command that must end with this status, or with any. Return its output."""
    # The tests' own path, with the checkout in it, must not reach what is tested here.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    process = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**environment, **variables},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert status in (None, process.returncode), process.stdout
    return process.stdout


@pytest.fixture(scope="session")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist, and the wheel that was built from it, as for a release."""
    folder = tmp_path_factory.mktemp("distributions")
    clone = folder / "clone"
    shutil.copytree(ROOT, clone, ignore=GENERATED)
    run(sys.executable, "-m", "build", "--outdir", folder / "dist", clone, cwd=folder)
    return folder / "dist"


@pytest.fixture(scope="session")
def wheel(distributions: Path) -> Path:
    (wheel,) = distributions.glob("*.whl")
    return wheel


@pytest.fixture(scope="session")
def sdist(distributions: Path) -> Path:
    (sdist,) = distributions.glob("*.tar.gz")
    return sdist


@pytest.fixture(scope="session")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment with only the wheel in it; everything else it finds where the tests do."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, symlinks=os.name != "nt")
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", python]
    run(*pip, "install", "--quiet", "--no-deps", "--no-index", wheel, cwd=folder)
    purelib = run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder).strip()
    # Read after the environment's own folder, so that its wheel wins over whatever the tests run with.
    Path(purelib, "requirements.pth").write_text(sysconfig.get_path("purelib"))
    return python


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A site away from the checkout."""
    return Path(shutil.copytree(NEWCOMER, tmp_path / "site"))
