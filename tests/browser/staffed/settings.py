"""Settings of the site. The environment names its database and the two addresses of its caches."""

import os

BACKEND = "django_momento.cache.MomentoCache"

SECRET_KEY = "only for the browser's tests"
ALLOWED_HOSTS = ["127.0.0.1"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": os.environ["DATABASE"]}}
CACHES = {
    "default": {
        "BACKEND": BACKEND,
        "LOCATION": "example",
        "OPTIONS": {"CREDENTIALS": "file", "API_KEY_FILE": os.environ["KEY_FILE"], "CLIENT_TIMEOUT": 15},
    },
    "reports": {
        "BACKEND": BACKEND,
        "LOCATION": "example",
        "OPTIONS": {
            "CREDENTIALS": "local",
            "ENDPOINT": os.environ["CACHE_ADDRESS"],
            "IGNORE_EXCEPTIONS": True,
        },
    },
}
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "django_momento",
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
# Logging in is quick.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
STATIC_URL = "/static/"
ROOT_URLCONF = "tests.browser.staffed.urls"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
