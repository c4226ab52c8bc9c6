"""Settings of the processes that the tests start: a site and a cache on the server at CACHE_ADDRESS."""

import os

SECRET_KEY = "only-for-tests"
ALLOWED_HOSTS = ["127.0.0.1"]
INSTALLED_APPS = ["django_momento"]
ROOT_URLCONF = "tests.processes.site"
USE_TZ = True

CACHES = {
    "default": {
        "BACKEND": "django_momento.cache.MomentoCache",
        "LOCATION": "tests",
        "KEY_PREFIX": os.environ["CACHE_PREFIX"],
        "OPTIONS": {
            **(
                {"CREDENTIALS": "embedded"}
                if os.environ["CACHE_ADDRESS"] == "embedded"
                else {"CREDENTIALS": "local", "ENDPOINT": os.environ["CACHE_ADDRESS"]}
            ),
            "OBSERVERS": [path for path in os.environ.get("OBSERVERS", "").split(",") if path],
            # Few tests are about deadlines: in all others nothing may fail because the machine is busy.
            "CLIENT_TIMEOUT": float(os.environ.get("CLIENT_TIMEOUT", "100")),
        },
    }
}
