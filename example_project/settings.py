"""Settings of the example site. The environment sets everything that differs between machines.

``CACHE_URL`` sets the cache. Without it the site uses an embedded Momento server inside its own process, so
``python manage.py runserver`` needs no account, no key and no network. The site has no database: its sessions
are in the cache.
"""

from django.core.exceptions import ImproperlyConfigured

from django_momento.env import Env

env = Env()

INSECURE_LOCAL_KEY = "insecure-key-for-local-use-only"

DEBUG = env.bool("DEBUG", default=True)
SECRET_KEY = env.str("SECRET_KEY", default=INSECURE_LOCAL_KEY)
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])

if not DEBUG and SECRET_KEY == INSECURE_LOCAL_KEY:
    raise ImproperlyConfigured(
        "SECRET_KEY is the example's public default, which signs nothing once DEBUG is off. "
        "Set the environment variable SECRET_KEY to a long random value, the same in every process."
    )

CACHES = {"default": env.cache_url(default="momento://example?credentials=embedded")}
if CACHES["default"]["BACKEND"] == "django_momento.cache.MomentoCache":
    # It counts the calls for the status page.
    CACHES["default"].setdefault("OPTIONS", {}).setdefault("OBSERVERS", "example_project.activity.observe")

# The overview says so. ``make demo`` sets it, because its servers are all on this machine.
LOCAL_SERVERS = env.bool("LOCAL_SERVERS", default="CACHE_URL" not in env.ENVIRON)

SESSION_ENGINE = "django.contrib.sessions.backends.cache"
SESSION_COOKIE_AGE = 24 * 60 * 60  # Momento on demand keeps nothing longer than a day

INSTALLED_APPS = ["django_momento", "example_project"]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "example_project.middleware.show_calls",
    "example_project.middleware.CacheErrorMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "example_project.pages.navigation",
            ]
        },
    }
]
ROOT_URLCONF = "example_project.urls"
WSGI_APPLICATION = "example_project.wsgi.application"
ASGI_APPLICATION = "example_project.asgi.application"
USE_I18N = False
USE_TZ = True
TIME_ZONE = "UTC"

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"console": {"class": "logging.StreamHandler"}},
    "loggers": {name: {"handlers": ["console"], "level": "INFO"} for name in ("django", "django_momento")},
}
