"""The Django app: it exists so that Django finds the management commands and the system checks."""

from django.apps import AppConfig


class DjangoMomentoConfig(AppConfig):
    name = "django_momento"
    verbose_name = "Momento cache"

    def ready(self) -> None:
        from . import checks  # noqa: F401 - imported for what it registers
