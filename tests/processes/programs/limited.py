"""Hit a rate limit many times from several threads, and print the count of each hit that is allowed."""

import sys
from concurrent.futures import ThreadPoolExecutor

import django

django.setup()

from django.core.cache import cache

LIMIT, HITS, THREADS = map(int, sys.argv[1:])


def hit(_: int) -> None:
    outcome = cache.rate_limit("shared", LIMIT, 3600)  # type: ignore[attr-defined]  # the cache is ours
    assert outcome.is_counted
    sys.stdout.write(f"allowed {outcome.count}\n" if outcome else f"denied {outcome.count}\n")


if __name__ == "__main__":
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(hit, range(HITS)))
    sys.stdout.write("done\n")
