"""A site with the packages that the pages are about; the pages' own settings are laid over it."""

SECRET_KEY = "only-for-tests"
ALLOWED_HOSTS = ["testserver", "127.0.0.1"]
USE_TZ = True
STATIC_URL = "/static/"
ROOT_URLCONF = "tests.docs.urls"
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django_ratelimit",
    "rest_framework",
    "django_momento",
]
MIDDLEWARE = ["django.contrib.sessions.middleware.SessionMiddleware"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
