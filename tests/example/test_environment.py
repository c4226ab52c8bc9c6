"""The demo's own environment: the progress of its installation, and its message if it fails."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from example_project.environment import InstallationFailed, Progress, create, run

ROOT = Path(__file__).parents[2]

OUTPUT = """\
Obtaining file:///checkout
  Installing build dependencies: started
Collecting moto[secretsmanager]>=5
  Downloading moto-5.2.5-py3-none-any.whl (7.2 MB)
Processing /wheels/flask-3.1.3-py3-none-any.whl
Collecting typing-extensions~=4.12 (from grpcio<2,>=1.83.1)
  Downloading typing_extensions-4.15.0-py3-none-any.whl.metadata (3.3 kB)
Collecting moto[secretsmanager]>=5
Building wheels for collected packages: django-momento
Installing collected packages: moto, flask, typing-extensions, django-momento
Successfully installed moto-5.2.5
"""


def show(output: str, *, rewrites: bool) -> str:
    """Return the output that the user sees while pip prints a text."""
    written: list[str] = []
    progress = Progress(written.append, rewrites)
    for line in output.splitlines(keepends=True):
        progress.read(line)
    progress.end()
    return "".join(written)


def test_a_terminal_shows_each_package_on_one_line() -> None:
    """Each package and download takes the place of the one before, whole."""
    text = show(OUTPUT, rewrites=True)
    steps = [step.rstrip() for step in text.removesuffix("\n").split("\r")[1:]]
    assert steps == [
        "  1 packages found, now moto",
        "  1 packages found, now moto (7.2 MB)",
        "  2 packages found, now flask",
        "  3 packages found, now typing-extensions",
        "  3 packages found, now typing-extensions (3.3 kB)",
        "  3 packages found, now moto",
        "  unpacking 4 packages",
    ]
    assert text.count("\n") == 1
    last = text.rstrip("\n").rpartition("\r")[2]
    assert len(last) == len("  3 packages found, now typing-extensions (3.3 kB)")


def test_a_log_gets_a_line_now_and_then() -> None:
    """Without a terminal each tenth package is a line, and so is the last step."""
    many = "".join(f"Collecting package{number}>=1\n" for number in range(25))
    assert show(many + "Installing collected packages: a, b\n", rewrites=False) == (
        "  10 packages found, now package9\n  20 packages found, now package19\n  unpacking 2 packages\n"
    )


def test_a_failed_installation_gives_pips_reason_and_what_to_do() -> None:
    """The errors that pip printed are shown, and the command to repeat."""
    program = "print('Collecting a'); print('ERROR: No matching distribution for a'); raise SystemExit(3)"
    seen: list[str] = []
    with pytest.raises(InstallationFailed) as failed:
        run([sys.executable, "-c", program], seen.append)
    assert seen == ["Collecting a\n", "ERROR: No matching distribution for a\n"]
    assert str(failed.value) == (
        "The demo's packages could not be installed: pip ended with status 3.\n"
        "    ERROR: No matching distribution for a\n"
        "  Check the connection to the package index, and run `make demo` again."
    )


def test_the_user_hears_at_once_where_it_goes_and_how_long_it_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first line comes before the work; an index that cannot be reached is the reason at the end."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "no-wheels"))
    written: list[str] = []
    with pytest.raises(InstallationFailed, match="could not be installed"):
        create(tmp_path / "demo", written.append, rewrites=False)
    assert written[0].startswith(f"Installing about 40 packages (220 MB) into {tmp_path / 'demo'}")
    assert "30 s, once" in written[0]
