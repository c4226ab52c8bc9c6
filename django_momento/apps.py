"""The Django app: it exists so that Django finds the management commands."""

from django.apps import AppConfig


class DjangoMomentoConfig(AppConfig):
    name = "django_momento"
    verbose_name = "Momento cache"
