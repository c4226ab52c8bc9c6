"""Which Chromium the browser tests take, and what they say where there is none."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.browser import chromium, install
from tests.browser.chromium import NoChromium, find

ROOT = Path(__file__).parents[2]


def run_module(name: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """A Python process of its own: Playwright starts only once in one."""
    return subprocess.run(
        [sys.executable, "-m", name, *arguments],
        cwd=ROOT,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Make programs in a directory that is all of the PATH."""
    monkeypatch.delenv("CHROMIUM", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))

    def make(name: str) -> str:
        path = tmp_path / name
        path.write_text("#!/bin/sh\n")
        path.chmod(0o755)
        return str(path)

    return make


def test_the_environment_names_it(program, monkeypatch):
    """CHROMIUM wins over all that is installed."""
    own, named = program("own"), program("named")
    monkeypatch.setenv("CHROMIUM", named)

    assert named == find(own)


def test_a_wrong_name_is_not_replaced(program, monkeypatch):
    """A CHROMIUM that does not exist is an error, not a hint."""
    monkeypatch.setenv("CHROMIUM", "/no/such/browser")

    with pytest.raises(NoChromium, match="CHROMIUM=/no/such/browser is no program"):
        find(program("own"))


def test_playwrights_own_wins_over_the_systems(program):
    """What `make browser` installed is what its user wants."""
    own, system = program("own"), program("chromium")

    assert own == find(own)
    assert system == find("/no/such/browser")


def test_a_snap_is_left_alone(program, monkeypatch):
    """A snap sees neither our profile nor our files, so it is as if it were not there."""
    monkeypatch.setattr(chromium, "SNAP", program("chromium"))

    with pytest.raises(NoChromium, match="Run `make browser`"):
        find("/no/such/browser")


@pytest.mark.parametrize(
    ("path", "advice"),
    [
        ("/no/such/browser", "unset it and run `make browser`"),
        (shutil.which("false"), "If a library is missing, run `make system-packages`"),
    ],
    ids=["missing", "broken"],
)
def test_without_one_the_tests_fail(path, advice):
    """No browser test is skipped: it fails, and names the make target."""
    one_file = ("-q", "-p", "no:cacheprovider", "tests/browser/test_screenshots.py")
    run = run_module("pytest", *one_file, CHROMIUM=path)

    assert run.returncode == 1
    assert advice in run.stdout
    assert "8 errors" in run.stdout


@pytest.mark.parametrize("arguments", [(), ("--system-packages",)])
def test_what_is_there_is_not_installed_again(program, arguments):
    """With a Chromium both make targets do nothing but name it."""
    path = program("chromium")

    run = run_module("tests.browser.install", *arguments, CHROMIUM=path)

    assert (0, f"The browser tests use {path}\n") == (run.returncode, run.stdout)


def test_a_wrong_name_is_not_installed_around():
    """Nothing is installed for a CHROMIUM that does not exist: the tests would not use it."""
    run = run_module("tests.browser.install", CHROMIUM="/no/such/browser")

    assert run.returncode == 1
    assert "CHROMIUM=/no/such/browser is no program" in run.stderr


@pytest.mark.parametrize(
    ("distribution", "system_packages", "expected"),
    [
        ("debian", True, "apt-get install --yes --no-install-recommends chromium fonts-liberation"),
        ("ubuntu", True, "-m playwright install-deps chromium"),
        ("debian", False, "-m playwright install --no-shell chromium"),
        ("", False, "-m playwright install --no-shell chromium"),
    ],
)
def test_installs_what_the_distribution_has(monkeypatch, distribution, system_packages, expected):
    """Debian packages Chromium; elsewhere it is Playwright's, and the packages that it needs."""
    monkeypatch.setattr(install, "distribution", lambda: distribution)

    assert " ".join(install.commands(system_packages)[-1]).endswith(expected)


def test_a_failed_installation_fails(monkeypatch, capfd):
    """The first command that fails is the last, and its status is make's."""
    monkeypatch.setattr(install, "present", lambda: None)
    fail, never = ((sys.executable, "-c", f"raise SystemExit({status})") for status in (3, 4))
    monkeypatch.setattr(install, "commands", lambda system_packages: [fail, never])

    assert install.main([]) == 3
    assert "SystemExit(4)" not in capfd.readouterr().out
