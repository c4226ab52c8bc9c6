"""The processes of group 6: ``python -m benchmarks.first_get NAME`` prints its figures as JSON.

``bare_*`` use the SDK alone, as anyone would write it. Names that end in ``_site`` start Django before
the clock, for a site has done so before its first cache call.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable

CACHE, KEY = "bench", "first"
REDIS = "BENCHMARKS_REDIS"


def bare_secret() -> None:
    from datetime import timedelta

    import boto3
    from momento import CacheClient, Configurations, CredentialProvider
    from momento.responses import CacheGet

    answer = boto3.client("secretsmanager").get_secret_value(SecretId="Momento_Auth_Token")
    host, port = os.environ["BENCHMARKS_MOMENTO"].split(":")
    provider = CredentialProvider(answer["SecretString"], host, host, host, int(port))
    client = CacheClient(Configurations.InRegion.Default.latest(), provider, timedelta(days=1))
    assert isinstance(client.get(CACHE, KEY), CacheGet.Hit)  # noqa: S101 - a benchmark of a miss says nothing


def bare_environment() -> None:
    from datetime import timedelta

    from momento import CacheClient, Configurations, CredentialProvider
    from momento.responses import CacheGet

    host, port = os.environ["BENCHMARKS_MOMENTO"].split(":")
    provider = CredentialProvider(os.environ["MOMENTO_API_KEY"], host, host, host, int(port))
    client = CacheClient(Configurations.InRegion.Default.latest(), provider, timedelta(days=1))
    assert isinstance(client.get(CACHE, KEY), CacheGet.Hit)  # noqa: S101 - a benchmark of a miss says nothing


def our_secret() -> None:
    _get("key from Secrets Manager")


def our_agent() -> None:
    _get("key from the agent")


def our_environment() -> None:
    _get("key from the environment")


def django_redis() -> None:
    _get("django-redis")


def redis_cache() -> None:
    _get("RedisCache")


def _get(alias: str) -> None:
    from django.core.cache import caches

    if caches[alias].get(KEY) is None:
        raise LookupError(KEY)


def fill() -> None:
    """Store the values that the others get. If there is no Redis, store them in Momento only."""
    from django.core.cache import caches

    from .clients import sdk_client

    with sdk_client() as client:
        client.set(CACHE, KEY, b"value")
    for alias in ("key from the environment", "django-redis", "RedisCache")[
        : None if REDIS in os.environ else 1
    ]:
        caches[alias].set(KEY, b"value", timeout=None)


def import_ours() -> None:
    import django_momento.cache  # noqa: F401 - the import is measured


def import_sdk() -> None:
    import momento  # noqa: F401 - the import is measured


def import_sdk_and_boto3() -> None:
    import boto3  # noqa: F401 - the import is measured
    import momento  # noqa: F401 - the import is measured


def import_django_redis() -> None:
    import django_redis.cache  # type: ignore[import-untyped]  # noqa: F401 - the import is measured, of a package without types


STEPS: dict[str, Callable[[], None]] = {
    step.__name__: step
    for step in (
        fill,
        bare_secret,
        bare_environment,
        our_secret,
        our_agent,
        our_environment,
        django_redis,
        redis_cache,
        import_ours,
        import_sdk,
        import_sdk_and_boto3,
        import_django_redis,
    )
}


def main(name: str) -> None:
    step = STEPS[name.removesuffix("_site")]
    if name.endswith("_site"):
        import django

        django.setup()
    wall, cpu = time.perf_counter(), time.process_time()
    step()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    sys.stdout.write(json.dumps({"wall ms": wall * 1000, "CPU ms": cpu * 1000}))


if __name__ == "__main__":
    main(sys.argv[1])
