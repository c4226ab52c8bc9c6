"""For django-ratelimit, whose sdist has no settings. A Momento that is away is its connection error."""

SECRET_KEY = "only-for-tests"
INSTALLED_APPS = ["django_ratelimit"]
SILENCED_SYSTEM_CHECKS = ["django_ratelimit.E003", "django_ratelimit.W001"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
USE_TZ = True

UNREACHABLE = {
    "BACKEND": "django_momento.cache.MomentoCache",
    "LOCATION": "unreachable",
    "OPTIONS": {"CREDENTIALS": "local", "ENDPOINT": "127.0.0.1:9", "IGNORE_EXCEPTIONS": True},
}
CACHES = {
    "default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},
    "connection-errors": UNREACHABLE,
    "connection-errors-redis": UNREACHABLE,
    "instant-expiration": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"},
}
