"""A site with all the packages that the tests here are about; a test overrides what it is about."""

SECRET_KEY = "only-for-tests"
ALLOWED_HOSTS = ["testserver", "localhost"]
USE_TZ = True
STATIC_URL = "/static/"
ROOT_URLCONF = ""  # Each module of tests has its own views and URLs.

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "axes",
    "debug_toolbar",
    "dj_control_room_base",
    "dj_cache_panel",
    "django_ratelimit",
    "health_check",
    "rest_framework",
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
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
# Logging in is what many tests do and none is about.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

# Only the tests of axes count failed logins.
AXES_ENABLED = False

DEBUG_TOOLBAR_CONFIG = {
    # The toolbar refuses to run under a test runner unless it is told that it is the one under test.
    "IS_RUNNING_TESTS": False,
    "SHOW_TOOLBAR_CALLBACK": "tests.ecosystem.test_debug_toolbar.show_toolbar",
}
