"""Get a Chromium for the browser tests, unless there is one: ``make browser`` and ``make system-packages``.

python -m tests.browser.install                      Playwright's own, into the virtual environment
python -m tests.browser.install --system-packages    as root or with sudo: Debian's, which has all it
                                                     needs; elsewhere what Playwright's needs
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Sequence

from playwright.sync_api import sync_playwright

from tests.browser.chromium import NoChromium, find

APT_INSTALL = ("apt-get", "install", "--yes", "--no-install-recommends")


def present() -> str | None:
    """The Chromium that the tests would use. Raises NoChromium if the environment names one that is none."""
    with sync_playwright() as playwright:
        try:
            return find(playwright.chromium.executable_path)
        except NoChromium:
            if "CHROMIUM" in os.environ:
                raise
            return None


def commands(system_packages: bool) -> list[tuple[str, ...]]:
    """What to run where there is no Chromium."""
    playwright = (sys.executable, "-m", "playwright")
    if not system_packages:
        return [(*playwright, "install", "--no-shell", "chromium")]
    if distribution() == "debian":
        return [as_root("apt-get", "update"), as_root(*APT_INSTALL, "chromium", "fonts-liberation")]
    return [(*playwright, "install-deps", "chromium")]  # asks for sudo itself


def distribution() -> str:
    try:
        return platform.freedesktop_os_release()["ID"]
    except OSError:
        return ""


def as_root(*command: str) -> tuple[str, ...]:
    return command if os.geteuid() == 0 or not shutil.which("sudo") else ("sudo", *command)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.browser.install")
    parser.add_argument("--system-packages", action="store_true")
    options = parser.parse_args(arguments)
    try:
        path = present()
    except NoChromium as error:
        sys.stderr.write(f"{error}\n")
        return 1
    if path:
        sys.stdout.write(f"The browser tests use {path}\n")
        return 0
    for command in commands(options.system_packages):
        sys.stdout.write(f"{' '.join(command)}\n")
        sys.stdout.flush()
        if status := subprocess.run(command, check=False).returncode:
            return status
    return 0


if __name__ == "__main__":
    sys.exit(main())
