"""Settings for the test suite; tests that need a Momento server override CACHES themselves."""

SECRET_KEY = "only-for-tests"
INSTALLED_APPS = ["django_momento"]
DATABASES: dict[str, object] = {}
USE_TZ = True
