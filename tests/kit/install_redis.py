"""Install a redis-server for the tests, unless there is one: ``make redis``.

``make test`` calls it before anything else. The tests take the ``redis-server`` on the PATH.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from tests.kit.installing import APT_INSTALL, Command, as_root, run
from tests.kit.redis import PROGRAM

LOG = Path(".cache/redis.log")

# The package that has the server alone, by the program that installs it.
PACKAGES: dict[str, tuple[Command, ...]] = {
    "apt-get": (("apt-get", "update"), (*APT_INSTALL, "redis-server")),
    "dnf": (("dnf", "install", "--assumeyes", "redis"),),
    "apk": (("apk", "add", "redis"),),
    "brew": (("brew", "install", "redis"),),
}


def install() -> list[str]:
    """Run the first package manager that is here; return the commands that failed."""
    manager = next(filter(shutil.which, PACKAGES), None)
    if manager is None:
        return [f"there is none of {', '.join(PACKAGES)} here"]
    # Homebrew refuses root.
    root = () if manager == "brew" else as_root(LOG)
    if root is None:
        return [f"{manager} needs root, and sudo asks for a password"]
    for command in PACKAGES[manager]:
        words = " ".join(command)
        sys.stdout.write(f"No {PROGRAM} yet; {words} (may take some minutes)\n")
        sys.stdout.flush()
        if status := run((*root, *command), LOG):
            return [f"`{words}` ended with status {status}"]
    return [f"`{words}` installed no {PROGRAM} on the PATH"]


def main() -> int:
    failures = []
    if not shutil.which(PROGRAM):
        LOG.parent.mkdir(exist_ok=True)
        LOG.write_text("")
        failures = install()
    path = shutil.which(PROGRAM)
    if not path:
        sys.stderr.write(
            f"There is no {PROGRAM} for the tests, and none could be installed: {'; '.join(failures)} "
            f"(see {LOG}). Install Redis, so that {PROGRAM} is on the PATH, and run this again.\n"
        )
        return 1
    sys.stdout.write(f"The tests use {path}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
