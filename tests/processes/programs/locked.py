"""Run sections under one lock from several threads. A section that finds another one inside ends the program.

Calls that meet an outage are repeated: the test may stop the server.
"""

import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import django

django.setup()

from django.core.cache import cache

from django_momento.exceptions import MomentoCacheError
from django_momento.policies import locks

MARKER, SECTIONS, THREADS, TIMEOUT = Path(sys.argv[1]), *map(int, sys.argv[2:])
# A section takes a millisecond. The pauses of real waiting would make the test take minutes.
locks.MAX_PAUSE = 0.05


def section() -> None:
    """Fail if another section is inside, by a file that must not exist."""
    os.close(os.open(MARKER, os.O_CREAT | os.O_EXCL))
    time.sleep(0.001)
    MARKER.unlink()


def run(_: int) -> None:
    for number in range(SECTIONS):
        while True:
            try:
                with cache.lock("sections", TIMEOUT, sleep=0.01):  # type: ignore[attr-defined]  # the cache is ours
                    section()
            except MomentoCacheError:
                time.sleep(0.05)
            else:
                break
        sys.stdout.write(f"section {number}\n")


if __name__ == "__main__":
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(run, range(THREADS)))
    sys.stdout.write("done\n")
