"""Settings under which Django's own cache tests run; the tests bring their CACHES themselves."""

SECRET_KEY = "django_tests_secret_key"
INSTALLED_APPS = ["cache"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3"}}
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
USE_TZ = False
