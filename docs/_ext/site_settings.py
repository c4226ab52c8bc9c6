"""Django's settings while the documentation is built: just enough to import commands and backends."""

SECRET_KEY = "only-for-the-documentation"  # noqa: S105 - signs nothing
INSTALLED_APPS = ["django_momento"]
DATABASES: dict[str, object] = {}
USE_TZ = True
