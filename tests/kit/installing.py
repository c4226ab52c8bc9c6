"""Installation of the programs that tests need, with the package manager of the system."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

Command = Sequence[str]

APT_INSTALL = ("apt-get", "install", "--yes", "--no-install-recommends")

# Without the first, apt may ask for a time zone; the second bounds a download that nobody serves, in ms.
QUIET = {"DEBIAN_FRONTEND": "noninteractive", "PLAYWRIGHT_DOWNLOAD_CONNECTION_TIMEOUT": "20000"}


def as_root(log: Path) -> Command | None:
    """Return the words to put before a command for root, or None if there is no root without a password."""
    if not hasattr(os, "geteuid"):
        return None
    if os.geteuid() == 0:
        return ()
    asks_nothing = shutil.which("sudo") and run(("sudo", "-n", "true"), log) == 0
    return ("sudo", "-n") if asks_nothing else None


def run(command: Command, log: Path) -> int:
    """Run a command with its output in ``log``; return its status, 127 if it does not exist."""
    with log.open("a") as output:
        output.write(f"$ {' '.join(command)}\n")
        output.flush()
        try:
            return subprocess.run(
                command, env={**os.environ, **QUIET}, stdout=output, stderr=output, check=False
            ).returncode
        except OSError as error:
            output.write(f"{error}\n")
            return 127
