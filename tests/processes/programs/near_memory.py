"""Writes or reads far more than the near cache holds, and prints the growth of the process, in its bound."""

import os
import sys
from pathlib import Path

import django
from django.conf import settings

BOUND = 8 * 1024 * 1024
KEYS = [f"key {number}" for number in range(20_000)]


def resident_bytes() -> int:
    (line,) = [
        line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS")
    ]
    return int(line.split()[1]) * 1024


def batch(start: int) -> dict[str, str]:
    return {key: os.urandom(512).hex() for key in KEYS[start : start + 100]}


def main(verb: str) -> None:
    options = settings.CACHES["default"]["OPTIONS"]
    near = {**settings.CACHES["default"], "OPTIONS": {**options, "NEAR_SECONDS": 600, "NEAR_BYTES": BOUND}}
    settings.CACHES = {"default": near, "far": {**near, "OPTIONS": {**options, "CONNECT_TIMEOUT": 6}}}
    django.setup()
    from django.core.cache import caches

    far, cache = caches["far"], caches["default"]
    for start in range(0, len(KEYS), 100):  # the servers and gRPC have their memory before it is measured
        far.set_many(batch(start))
        far.get_many(KEYS[start : start + 100])
    cache.get_many(KEYS[:10])
    before = resident_bytes()
    for start in range(0, len(KEYS), 100):
        if verb == "set_many":
            cache.set_many(batch(start))
        else:
            cache.get_many(KEYS[start : start + 100])
    sys.stdout.write(f"{(resident_bytes() - before) / BOUND}\n")


if __name__ == "__main__":
    main(sys.argv[1])
