"""Hold a lock for as long as this process lives, and print that it is held."""

import signal
import sys

import django

django.setup()

from django.core.cache import cache

if __name__ == "__main__":
    with cache.lock("job", float(sys.argv[1])):  # type: ignore[attr-defined]  # the cache is ours
        sys.stdout.write("held\n")
        signal.pause()
