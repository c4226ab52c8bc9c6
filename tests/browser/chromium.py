"""The Chromium of the browser tests: which one is taken, and how it is started.

``CHROMIUM`` in the environment names one. Otherwise the tests take the first that starts: Playwright's own,
in the virtual environment, where ``make browser`` puts it, or one of the system. Without any they fail.
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


def candidates(playwrights_own: str) -> list[str]:
    """Return the paths of the Chromiums to try, best first; Playwright knows the path of its own.

    Raises NoChromium if there is none.
    """
    if named := os.environ.get("CHROMIUM"):
        if not shutil.which(named):
            raise NoChromium(
                f"CHROMIUM={named} is no program. Correct it, or unset it and run `make browser`."
            )
        return [named]
    paths = filter(None, [playwrights_own, *map(shutil.which, SYSTEM_NAMES)])
    found = [path for path in paths if Path(path).exists() and str(Path(path).resolve()) != SNAP]
    if not found:
        raise NoChromium(
            "There is no Chromium for the browser tests. Run `make browser`, which installs one, "
            "or set CHROMIUM to the path of one."
        )
    return found


def launch(playwright: Playwright) -> tuple[Browser, str]:
    """Start the first Chromium that starts; return it and its path. Raises NoChromium if none does.

    It runs in its sandbox, unless for root, for whom Chromium has none.
    """
    is_root = hasattr(os, "geteuid") and os.geteuid() == 0
    failures = []
    for path in candidates(playwright.chromium.executable_path):
        try:
            browser = playwright.chromium.launch(executable_path=path, chromium_sandbox=not is_root)
        except Error as error:
            failures.append(f"{path} does not start: {_reason(error)}")
        else:
            return browser, path
    raise NoChromium(
        f"{'; '.join(failures)}. If a library is missing, run `make browser`, which installs it; "
        "if the sandbox is not usable here, install your distribution's own Chromium or Chrome."
    )


def _reason(error: Error) -> str:
    """Return the line of Chromium's own output that says why it ended, or else Playwright's first line."""
    lines = [line.partition("[err]")[2].strip() for line in error.message.splitlines() if "[err]" in line]
    return next(filter(None, lines), error.message.splitlines()[0])
