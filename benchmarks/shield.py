"""Groups: queries that reach the database in five disasters, and a near hit beside other caches in memory.

A query takes QUERY seconds. Each contender serves a site of its own, as its documentation says: threads that
read keys with ``get_or_set``, or dogpile's ``get_or_create``, and query the database if the cache raises.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from typing import Any

from django_momento.local import LocalServer

from .clients import DJANGO_REDIS, LOCMEM, OURS, REDIS_CACHE
from .measure import Case, Contender, Run, Sample, Table
from .services import HOST, ROOT, free_port, redis_at
from .verbs import gets

QUERY = 0.05
KEYS = [f"page:{number}" for number in range(20)]
HOT = ["hot"]
DOGPILE = "dogpile"
UNSHIELDED = "django-momento without its options"
CONTENDERS = (OURS, UNSHIELDED, DJANGO_REDIS, REDIS_CACHE, DOGPILE)
NEAR = "django-momento near"
VCACHE = "django-vcache"


class Disaster:
    """One disaster: ``strike`` begins it. ``keys`` are read by ``threads`` with a timeout of seconds."""

    def __init__(
        self,
        title: str,
        strike: Callable[[Cloud], None] | None = None,
        *,
        keys: list[str] = KEYS,
        threads: int = 8,
        timeout: float = 300.0,
        release: str = "old",
        needs_momento: bool = False,
    ) -> None:
        self.title = title
        self.strike = strike
        self.load = {"keys": keys, "threads": threads, "timeout": timeout}
        self.release = release
        self.needs_momento = needs_momento


class Cloud:
    """The cache servers of one contender."""

    def __init__(self, stack: ExitStack, redis_port: int | None) -> None:
        self.momento = LocalServer(caches=["bench"])
        self.momento.start()
        stack.callback(self.momento.stop)
        self.redis_port = redis_port
        self._redis = ExitStack()
        stack.callback(self._redis.close)
        if redis_port is not None:
            self._redis.enter_context(redis_at(redis_port))

    def stop(self) -> None:
        self.momento.stop(0)
        self._redis.close()

    def flush(self) -> None:
        """Empty the caches without the knowledge of the site."""
        port = self.momento.port
        self.momento.stop(0)
        LocalServer.__init__(self.momento, caches=["bench"], port=port)
        self.momento.start()
        if self.redis_port is not None:
            import redis

            redis.Redis(HOST, self.redis_port).flushall()

    def throttle(self) -> None:
        """Let Momento refuse every call for a limit of the account. Redis has no such limit."""
        self.momento.fail("resource-exhausted")


DISASTERS = (
    Disaster("Expiry: a hot key with a timeout of 1 second, 50 threads", keys=HOT, threads=50, timeout=1.0),
    Disaster("Flush: 20 keys are gone at once, 8 threads", Cloud.flush),
    Disaster("Outage: no server for the whole time, 20 known keys, 8 threads", Cloud.stop),
    Disaster(
        "Throttle: every call hits a limit, 20 known keys, 8 threads", Cloud.throttle, needs_momento=True
    ),
    Disaster(
        "Deploy: new processes with a new SECRET_KEY and no fallback, 20 keys, 8 threads", release="new"
    ),
)


def race(group: str, redis_port: int | None, rounds: int, seconds: float) -> Iterator[Table]:
    """Let the contenders go through each disaster."""
    for disaster in DISASTERS:
        table = Table(group, disaster.title)
        for name in CONTENDERS:
            on_momento = name in (OURS, UNSHIELDED)
            if (redis_port is None or disaster.needs_momento) and not on_momento:
                continue
            table.compare(name, None)
            for _ in range(rounds):
                table.samples[name].append(_suffer(name, disaster, redis_port, seconds))
        yield table


def _suffer(name: str, disaster: Disaster, redis_port: int | None, seconds: float) -> Sample:
    with ExitStack() as stack:
        cloud = Cloud(stack, None if redis_port is None else free_port())
        stale = 10.0 if name == OURS else 0.0
        load = {**disaster.load, "stale": stale, "seconds": seconds}
        with _site(name, cloud, "old") as ask:
            ask(load | {"seconds": 0})  # the site is warm
            if disaster.release == "old":
                if disaster.strike is not None:
                    disaster.strike(cloud)
                return ask(load)
        with _site(name, cloud, disaster.release) as ask:
            return ask(load)


@contextmanager
def _site(name: str, cloud: Cloud, release: str) -> Iterator[Callable[[dict[str, Any]], Sample]]:
    environment = {
        **os.environ,
        "BENCHMARKS_MOMENTO": cloud.momento.address,
        "BENCHMARKS_REDIS": f"redis://{HOST}:{cloud.redis_port}/0",
        "BENCHMARKS_SECRET_KEY": f"only-for-benchmarks-{release}",
    }
    command = (sys.executable, "-m", "benchmarks.shield", name)
    with subprocess.Popen(  # noqa: S603 - a command of this module
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, cwd=ROOT, text=True
    ) as process:
        assert process.stdin is not None  # noqa: S101 - for mypy: they were asked for above
        assert process.stdout is not None  # noqa: S101 - for mypy
        stdin, stdout = process.stdin, process.stdout

        def ask(load: dict[str, Any]) -> Sample:
            stdin.write(json.dumps(load) + "\n")
            stdin.flush()
            sample: Sample = json.loads(stdout.readline())
            return sample

        try:
            yield ask
        finally:
            process.kill()


class Database:
    """The database of a site, which counts its queries."""

    def __init__(self) -> None:
        self.queries = 0
        self._lock = threading.Lock()

    def query(self) -> str:
        with self._lock:
            self.queries += 1
        time.sleep(QUERY)
        return "x" * 100


Fetch = Callable[[str, Callable[[], str], float, float], str]


def _fetcher(name: str) -> Fetch:
    if name == DOGPILE:
        from dogpile.cache import make_region

        from . import settings

        region = make_region().configure(
            "dogpile.cache.redis",
            arguments={"url": settings.REDIS, "distributed_lock": True, "thread_local_lock": False},
        )

        def get_or_create(key: str, query: Callable[[], str], timeout: float, stale: float) -> str:
            value: str = region.get_or_create(key, query, expiration_time=timeout)
            return value

        return get_or_create
    from django.core.cache import caches

    def get_or_set(key: str, query: Callable[[], str], timeout: float, stale: float) -> str:
        options = {"stale": stale} if stale else {}
        value: str = caches[_ALIASES.get(name, name)].get_or_set(key, query, timeout, **options)  # type: ignore[call-arg]  # ours
        return value

    return get_or_set


_ALIASES = {
    OURS: "django-momento shielded",
    UNSHIELDED: "django-momento open",
    DJANGO_REDIS: "django-redis open",
}


def _serve(fetch: Fetch, load: dict[str, Any]) -> Sample:
    """Read each key once, or in threads for some seconds. Return the number of queries and reads."""
    database, reads = Database(), [0] * load["threads"]
    if not load["seconds"]:
        for key in load["keys"]:
            fetch(key, database.query, load["timeout"], load["stale"])
    until = time.monotonic() + load["seconds"]

    def work(number: int) -> None:
        place = number
        while time.monotonic() < until:
            key = load["keys"][place % len(load["keys"])]
            place += 1
            try:
                fetch(key, database.query, load["timeout"], load["stale"])
            except Exception:  # noqa: BLE001 - the cache of a site may raise anything
                database.query()
            reads[number] += 1
            time.sleep(0.005)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(load["threads"])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return {"queries": database.queries, "reads": sum(reads)}


def main(name: str) -> None:
    """Be the site of a contender: for each load on stdin, print the figures as JSON."""
    import logging

    import django

    django.setup()
    logging.disable(logging.CRITICAL)
    fetch = _fetcher(name)
    for line in sys.stdin:
        sys.stdout.write(json.dumps(_serve(fetch, json.loads(line))) + "\n")
        sys.stdout.flush()


@contextmanager
def near_hits(size: int) -> Iterator[Run]:
    """Read values that are in memory."""
    with gets(NEAR, size) as run:
        yield run


@contextmanager
def vcache_hits(size: int) -> Iterator[Run]:
    """Read values from the client-side cache of django-vcache."""
    with gets(VCACHE, size) as run:
        yield run


def near_cases() -> list[Case]:
    """Return a case for each size of value."""
    contenders = [
        lambda size: Contender(OURS, partial(near_hits, size), LOCMEM),
        lambda size: Contender(LOCMEM, partial(gets, LOCMEM, size)),
    ]
    with suppress(ImportError):
        import django_vcache  # type: ignore[import-not-found]  # noqa: F401 - from Python 3.12 on

        contenders.append(
            lambda size: Contender(VCACHE, partial(vcache_hits, size), LOCMEM, needs_redis=True)
        )
    return [
        Case(f"near hit of {label}", 5000, tuple(make(size) for make in contenders))
        for label, size in [("100 B", 100), ("10 KB", 10_240)]
    ]


if __name__ == "__main__":
    os.environ["DJANGO_SETTINGS_MODULE"] = "benchmarks.settings"
    main(sys.argv[1])
