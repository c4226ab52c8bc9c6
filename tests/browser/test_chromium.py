"""Which Chromium the browser tests take, and what they say where there is none."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from tests.browser import chromium
from tests.browser.chromium import NoChromium, candidates

ROOT = Path(__file__).parents[2]


# As they were before a test changed them.
VARIABLES = {**os.environ}
PATH = VARIABLES["PATH"]


@cache
def chromium_of_this_machine() -> str:
    """Return the path of the Chromium that the other tests use."""
    program = "from tests.browser import install; print(install.starting())"
    return run_python("-c", program, **VARIABLES).stdout.strip()


def run_module(name: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return run_python("-m", name, *arguments, **variables)


def run_python(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run Python in a process of its own: Playwright starts only once in one."""
    return subprocess.run(
        [sys.executable, *arguments],
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

    def make(name: str, script: str = "") -> str:
        path = tmp_path / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        return str(path)

    return make


def test_the_environment_names_it(program, monkeypatch):
    """CHROMIUM wins over all that is installed."""
    own, named = program("own"), program("named")
    monkeypatch.setenv("CHROMIUM", named)

    assert [named] == candidates(own)


def test_a_wrong_name_is_not_replaced(program, monkeypatch):
    """A CHROMIUM that does not exist is an error, not a hint."""
    monkeypatch.setenv("CHROMIUM", "/no/such/browser")

    with pytest.raises(NoChromium, match="CHROMIUM=/no/such/browser is no program"):
        candidates(program("own"))


def test_playwrights_own_wins_over_the_systems(program):
    """What `make browser` installed is what its user wants."""
    own, system = program("own"), program("chromium")

    assert [own, system] == candidates(own)
    assert [system] == candidates("/no/such/browser")


def test_a_snap_is_left_alone(program, monkeypatch):
    """A snap sees neither our profile nor our files, so it is as if it were not there."""
    monkeypatch.setattr(chromium, "SNAP", program("chromium"))

    with pytest.raises(NoChromium, match="Run `make browser`"):
        candidates("/no/such/browser")


@pytest.mark.parametrize(
    ("path", "advice"),
    [
        ("/no/such/browser", "unset it and run `make browser`"),
        (shutil.which("false"), "If a library is missing, run `make browser`"),
    ],
    ids=["missing", "broken"],
)
def test_without_one_the_tests_fail(path, advice):
    """No browser test is skipped: it fails, and names the make target."""
    one_file = ("-q", "-p", "no:cacheprovider", "tests/browser/test_screenshots.py")
    run = run_module("pytest", *one_file, CHROMIUM=path)

    assert run.returncode == 1
    assert advice in run.stdout
    assert "12 errors" in run.stdout


def test_one_that_does_not_start_is_passed_over(program, tmp_path):
    """A Chromium without its libraries does not hide another that works."""
    real = chromium_of_this_machine()
    broken, working = program("google-chrome"), program("chromium", f'PATH="{PATH}" exec "{real}" "$@"')

    run = run_module("tests.browser.install", PLAYWRIGHT_BROWSERS_PATH=str(tmp_path))

    assert (0, f"The browser tests use {working}\n") == (run.returncode, run.stdout)
    assert broken not in run.stdout


def test_the_one_that_is_there_is_not_installed_again():
    """With a Chromium that starts, the make target only names it."""
    path = chromium_of_this_machine()

    run = run_module("tests.browser.install", CHROMIUM=path)

    assert (0, f"The browser tests use {path}\n") == (run.returncode, run.stdout)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/no/such/browser", "CHROMIUM=/no/such/browser is no program"),
        (shutil.which("false"), "does not start"),
    ],
    ids=["missing", "broken"],
)
def test_a_wrong_name_is_not_installed_around(path, message):
    """Nothing is installed for a CHROMIUM that does not exist or start: the tests would not use it."""
    run = run_module("tests.browser.install", CHROMIUM=path)

    assert run.returncode == 1
    assert message in run.stderr
    assert run.stdout == ""


PLAYWRIGHT_FAILED = "playwright install --no-shell chromium` ended with status"


@pytest.fixture
def bare_machine(program, tmp_path):
    """Run the installation on a machine without a Chromium, whose apt-get is the given script, if any."""

    def run(distribution: str, apt_get: str | None) -> subprocess.CompletedProcess[str]:
        if apt_get is not None:
            program("apt-get", apt_get)
        program("sudo", 'shift; [ "$1" = true ] || exec "$@"')
        return run_python(
            "-c",
            "import pathlib, sys; from tests.browser import install; "
            f"install.distribution = lambda: {distribution!r}; "
            f"install.LOG = pathlib.Path({str(tmp_path / 'log')!r}); "
            "sys.exit(install.main())",
            PLAYWRIGHT_BROWSERS_PATH=str(tmp_path / "browsers"),
            PLAYWRIGHT_DOWNLOAD_HOST="http://127.0.0.1:9",
        )

    return run


def test_debians_chromium_is_installed_where_playwrights_cannot_be(bare_machine, tmp_path):
    """On Debian the package is installed and then found, if Playwright's download cannot be reached."""
    path = tmp_path / "chromium"
    script = f"""
        case "$*" in *chromium*)
            echo '#!/bin/sh' > {path}
            echo 'PATH="{PATH}" exec "{chromium_of_this_machine()}" "$@"' >> {path}
            PATH="{PATH}" chmod +x {path};;
        esac
    """
    run = bare_machine("debian", script)

    assert run.returncode == 0, run.stderr
    assert run.stdout.endswith(f"The browser tests use {path}\n")
    assert "apt-get install --yes --no-install-recommends chromium fonts-liberation" in run.stdout


@pytest.mark.parametrize(
    ("distribution", "apt_get", "reasons"),
    [
        (
            "debian",
            "exit 7",
            ["apt-get update` ended with status 7", "install --no-shell chromium` ended with"],
        ),
        (
            "debian",
            None,
            ["apt-get update` ended with status", "install --no-shell chromium` ended with status"],
        ),
        ("ubuntu", "exit 7", ["playwright install --no-shell chromium` ended with status"]),
        ("", None, ["playwright install --no-shell chromium` ended with status"]),
    ],
)
def test_without_any_way_one_line_says_so(bare_machine, distribution, apt_get, reasons):
    """Where nothing can be installed, one line gives every reason and says what to do."""
    run = bare_machine(distribution, apt_get)

    assert run.returncode == 1
    (line,) = run.stderr.splitlines()
    assert line.startswith("There is no Chromium for the browser tests, and none could be installed: ")
    assert line.endswith(
        "Install Chromium or Chrome, or set CHROMIUM to the path of one, and run this again."
    )
    assert [reason for reason in reasons if reason not in line] == []


def test_make_test_gets_a_browser_before_any_test():
    """``make test`` does all of its set-up first, so that no test fails for want of a browser."""
    dry_run = subprocess.run(["make", "-n", "test"], cwd=ROOT, capture_output=True, text=True, check=True)

    lines = dry_run.stdout.splitlines()
    (installed,) = [number for number, line in enumerate(lines) if "tests.browser.install" in line]
    assert installed < min(n for n, line in enumerate(lines) if "pytest" in line or "django_suite" in line)
