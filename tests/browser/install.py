"""Install a Chromium for the browser tests, unless there is one that starts: ``make browser``.

``make test`` calls it before anything else. It tries Playwright's own Chromium, in the virtual environment,
and Debian's package, with apt. Root gets Debian's first, because it brings the libraries along.
"""

from __future__ import annotations

import os
import platform
import shutil
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

from tests.browser.chromium import NoChromium, launch
from tests.kit.installing import APT_INSTALL, Command, as_root, run

LOG = Path(".cache/browser.log")

PLAYWRIGHT = (sys.executable, "-m", "playwright")


def starting() -> str | None:
    """Return the path of the Chromium that the tests would use, or None if there is none that starts.

    Raises NoChromium if ``CHROMIUM`` in the environment names one that does not start.
    """
    with sync_playwright() as playwright:
        try:
            browser, path = launch(playwright)
        except NoChromium:
            if "CHROMIUM" in os.environ:
                raise
            return None
        browser.close()
        return path


def ways() -> list[list[Command]]:
    """Return the ways to install one, best first. A way is a list of commands, run until one starts."""
    root = as_root(LOG)
    own: list[Command] = [(*PLAYWRIGHT, "install", "--no-shell", "chromium")]
    if root is None:
        return [own]
    if sys.platform == "linux" and shutil.which("apt-get"):
        own.append((*PLAYWRIGHT, "install-deps", "chromium"))  # calls sudo by itself
    if distribution() != "debian":
        return [own]
    packages: list[Command] = [
        (*root, "apt-get", "update"),
        (*root, *APT_INSTALL, "chromium", "fonts-liberation"),
    ]
    return [own, packages] if root else [packages, own]


def distribution() -> str:
    """Return the ID of the Linux distribution, or an empty string elsewhere."""
    try:
        return platform.freedesktop_os_release()["ID"]
    except OSError:
        return ""


def install() -> tuple[str | None, list[str]]:
    """Try each way until a Chromium starts; return its path, if one does, and the commands that failed."""
    failures = []
    for way in ways():
        for command in way:
            words = " ".join(command).replace(sys.executable, "python")
            sys.stdout.write(f"No Chromium yet; {words} (may take some minutes)\n")
            sys.stdout.flush()
            if status := run(command, LOG):
                failures.append(f"`{words}` ended with status {status}")
                break
            if path := starting():
                return path, failures
    return None, failures


def main() -> int:
    LOG.parent.mkdir(exist_ok=True)
    LOG.write_text("")
    failures: list[str] = []
    try:
        path = starting()
        if not path:
            path, failures = install()
    except NoChromium as error:
        sys.stderr.write(f"{error}\n")
        return 1
    if not path:
        reason = "; ".join(failures) or "what was installed does not start"
        sys.stderr.write(
            f"There is no Chromium for the browser tests, and none could be installed: {reason} (see {LOG}). "
            "Install Chromium or Chrome, or set CHROMIUM to the path of one, and run this again.\n"
        )
        return 1
    sys.stdout.write(f"The browser tests use {path}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
