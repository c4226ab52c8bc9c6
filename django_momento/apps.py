"""The Django app, by which Django finds the management commands and the system checks."""

from django.apps import AppConfig, apps


class DjangoMomentoConfig(AppConfig):
    name = "django_momento"
    verbose_name = "Momento cache"

    def ready(self) -> None:
        from django.conf import settings

        from . import checks  # noqa: F401 - imported because it registers the checks
        from .conf.loading import mask_secrets, replace_misplaced

        configured = replace_misplaced(settings.CACHES)
        if configured is not settings.CACHES:
            settings.CACHES = configured
        mask_secrets(configured)
        if apps.is_installed("dj_cache_panel"):
            from .monitoring import cache_panel

            cache_panel.register()
