"""The demo's own environment: ``python -m example_project.environment FOLDER`` makes it and shows progress.

It holds only the packages that the demo runs, which is a third of those that developers need. This module
runs before any of them is installed, and so needs only Python.
"""

import argparse
import re
import subprocess
import sys
import venv
from collections.abc import Callable, Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# A pip that reads dependency groups. A new environment often has an older one.
PIP = "pip>=25.1"

INTRODUCTION = (
    "Installing about 40 packages (220 MB) into {folder} for the demo. This takes about 30 s, once."
)
# The lines of pip's output that name a package, from an index or from a file of this machine.
FINDS = re.compile(
    r"(?:Collecting|Processing (?:.*/)?)\s*([A-Za-z0-9][A-Za-z0-9_.]*(?:-[A-Za-z][A-Za-z0-9_.]*)*)"
)
DOWNLOADS = re.compile(r"\s+Downloading .*(\(.+\))")
UNPACKS = re.compile(r"Installing collected packages: (.*)")

# Without a terminal that can rewrite a line, one in so many packages is worth a line.
PACKAGES_PER_LINE = 10


class InstallationFailed(Exception):
    """pip ended with an error; the message is for the user."""


class Progress:
    """The progress of pip, read from its output: one line, rewritten on a terminal."""

    def __init__(self, write: Callable[[str], object], rewrites: bool) -> None:
        self._write = write
        self._rewrites = rewrites
        self._width = 0
        self.names: dict[str, None] = {}

    def read(self, line: str) -> None:
        """Show the step that a line of pip's output stands for, if any."""
        if found := FINDS.match(line):
            self.names.setdefault(found[1])
            if self._rewrites or len(self.names) % PACKAGES_PER_LINE == 0:
                self._show(f"{len(self.names)} packages found, now {found[1]}")
        elif self._rewrites and self.names and (download := DOWNLOADS.match(line)):
            self._show(f"{len(self.names)} packages found, now {[*self.names][-1]} {download[1]}")
        elif unpacks := UNPACKS.match(line):
            self._show(f"unpacking {len(unpacks[1].split(','))} packages")

    def _show(self, text: str) -> None:
        self._write(f"\r  {text:<{self._width}}" if self._rewrites else f"  {text}\n")
        self._width = max(self._width, len(text))

    def end(self) -> None:
        """Leave the line, so that the next output starts on one of its own."""
        if self._rewrites and self._width:
            self._write("\n")


def run(command: list[str], read: Callable[[str], None]) -> None:
    """Run a command and hand over each line of its output. Raises InstallationFailed if it fails."""
    lines: list[str] = []
    with subprocess.Popen(  # noqa: S603 - the interpreter that was just made
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, bufsize=1
    ) as process:
        for line in process.stdout or ():
            lines.append(line)
            read(line)
    if process.returncode:
        tail = "".join(f"    {line}" for line in _errors(lines))
        raise InstallationFailed(
            f"The demo's packages could not be installed: pip ended with status {process.returncode}.\n{tail}"
            "  Check the connection to the package index, and run `make demo` again."
        )


def _errors(lines: Iterable[str]) -> list[str]:
    """Return pip's errors, or the end of its output if it printed none."""
    kept = [*lines]
    return [line for line in kept if line.startswith("ERROR:")] or kept[-5:]


def create(folder: Path, write: Callable[[str], object], rewrites: bool) -> None:
    """Make the environment and install the demo into it. Raises InstallationFailed if pip fails."""
    write(INTRODUCTION.format(folder=folder) + "\n")
    venv.create(folder, with_pip=True, clear=True)
    scripts = "Scripts" if sys.platform == "win32" else "bin"
    pip = [str(folder / scripts / "python"), "-m", "pip", "--disable-pip-version-check", "install"]
    progress = Progress(write, rewrites)
    try:
        run([*pip, PIP], lambda line: None)
        run([*pip, "--progress-bar", "off", "--editable", ".", "--group", "demo"], progress.read)
    finally:
        progress.end()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m example_project.environment")
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    try:
        create(folder.absolute(), _write, sys.stdout.isatty())
    except (InstallationFailed, subprocess.CalledProcessError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def _write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
