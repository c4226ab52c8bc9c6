"""The Chromium of the browser tests: which one is taken, and how it is started.

``CHROMIUM`` in the environment names one. Otherwise it is Playwright's own, in the virtual environment, where
``make browser`` puts it; otherwise one of the system. Without any the tests fail: they are not skipped.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from playwright.sync_api import Browser, Error, Playwright

# Ubuntu's chromium is a snap, which sees neither our profile nor our files.
SYSTEM_NAMES = ("google-chrome-stable", "google-chrome", "chromium")
SNAP = "/usr/bin/snap"

# Playwright's word for "inside the Python package"; `make clean` then takes the browser along.
os.environ.setdefault("PLAYWRIGHT_BROWSERS_PATH", "0")


class NoChromium(Exception):
    """There is no Chromium that the tests could use; the message says what to run."""


def find(playwrights_own: str) -> str:
    """Answer the path of the Chromium to use; Playwright knows where its own would be. Raises NoChromium."""
    if named := os.environ.get("CHROMIUM"):
        if not shutil.which(named):
            raise NoChromium(
                f"CHROMIUM={named} is no program. Correct it, or unset it and run `make browser`."
            )
        return named
    candidates = [playwrights_own, *map(shutil.which, SYSTEM_NAMES)]
    for path in filter(None, candidates):
        if Path(path).exists() and str(Path(path).resolve()) != SNAP:
            return path
    raise NoChromium(
        "There is no Chromium for the browser tests. Run `make browser` (on a machine without the libraries "
        "that it needs `make system-packages` first), or set CHROMIUM to the path of one."
    )


def launch(playwright: Playwright) -> Browser:
    """Start Chromium, in its sandbox unless that is impossible. Raises NoChromium."""
    path = find(playwright.chromium.executable_path)
    is_root = hasattr(os, "geteuid") and os.geteuid() == 0  # Chromium's sandbox refuses to work for root
    try:
        return playwright.chromium.launch(executable_path=path, chromium_sandbox=not is_root)
    except Error as error:
        raise NoChromium(
            f"{path} does not start. If a library is missing, run `make system-packages`; if its sandbox is "
            f"not usable here, install your distribution's own Chromium or Chrome. It said:\n{error.message}"
        ) from error
