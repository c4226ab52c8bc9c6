"""Settings for every process of the benchmarks: the contenders' defaults, at the servers of this run.

Only the addresses come from the environment, where ``services`` puts them. Values are pickled by every Django
backend; this one also signs them, which is its default.
"""

import os

SECRET_KEY = os.environ.get("BENCHMARKS_SECRET_KEY", "only-for-benchmarks")
ALLOWED_HOSTS = ["*"]
INSTALLED_APPS = ["django_momento"]
DATABASES: dict[str, object] = {}
ROOT_URLCONF = "benchmarks.asgi"
USE_TZ = True

# Of which cache the page of group 5 is served; its name in the environment.
ALIAS = "BENCHMARKS_ALIAS"

CACHE_NAME = "bench"
MOMENTO = os.environ.get("BENCHMARKS_MOMENTO", "127.0.0.1:8080")
REDIS = os.environ.get("BENCHMARKS_REDIS", "redis://127.0.0.1:6379/0")
SECRET_ID = "Momento_Auth_Token"  # noqa: S105 - the name of a secret is none

CACHES = {
    "default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"},
    "django-momento": {
        "BACKEND": "django_momento.cache.MomentoCache",
        "LOCATION": CACHE_NAME,
        "OPTIONS": {"CREDENTIALS": "local", "ENDPOINT": MOMENTO},
    },
    "key from the environment": {
        "BACKEND": "django_momento.cache.MomentoCache",
        "LOCATION": CACHE_NAME,
        "OPTIONS": {"CREDENTIALS": "env", "ENDPOINT": MOMENTO},
    },
    "key from Secrets Manager": {
        "BACKEND": "django_momento.cache.MomentoCache",
        "LOCATION": CACHE_NAME,
        "OPTIONS": {"SECRET_ID": SECRET_ID, "ENDPOINT": MOMENTO},
    },
    "key from the agent": {
        "BACKEND": "django_momento.cache.MomentoCache",
        "LOCATION": CACHE_NAME,
        "OPTIONS": {"CREDENTIALS": "agent", "SECRET_ID": SECRET_ID, "ENDPOINT": MOMENTO},
    },
    "django-momento near": {
        "BACKEND": "django_momento.cache.MomentoCache",
        "LOCATION": CACHE_NAME,
        "OPTIONS": {"CREDENTIALS": "local", "ENDPOINT": MOMENTO, "NEAR_SECONDS": 3600},
    },
    "django-momento open": {
        "BACKEND": "django_momento.cache.MomentoCache",
        "LOCATION": CACHE_NAME,
        "OPTIONS": {"CREDENTIALS": "local", "ENDPOINT": MOMENTO, "IGNORE_EXCEPTIONS": True},
    },
    "django-momento shielded": {
        "BACKEND": "django_momento.cache.MomentoCache",
        "LOCATION": CACHE_NAME,
        "OPTIONS": {
            "CREDENTIALS": "local",
            "ENDPOINT": MOMENTO,
            "IGNORE_EXCEPTIONS": True,
            "STALE_IF_ERROR": 60,
        },
    },
    "django-redis open": {
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": REDIS,
        "OPTIONS": {"IGNORE_EXCEPTIONS": True},
    },
    "django-vcache": {
        "BACKEND": "django_vcache.backend.ValkeyCache",
        "LOCATION": REDIS,
        "OPTIONS": {"CLIENT_SIDE_CACHE": {"MAX_SIZE": 10_000, "TTL": 3600}},
    },
    "RedisCache": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": REDIS},
    "django-redis": {
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": REDIS,
        # redis-py's default of 100 makes it refuse part of the 300 requests at once of group 5.
        "OPTIONS": {"CONNECTION_POOL_KWARGS": {"max_connections": 2000}},
    },
    "LocMemCache": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},
}
