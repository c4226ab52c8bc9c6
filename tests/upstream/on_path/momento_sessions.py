"""The settings of ``momento_settings``, with our engine of sessions in the place of Django's ``cache``."""

from django.contrib.sessions.backends import cache as engine
from momento_settings import *  # noqa: F403 - settings

from django_momento.sessions import SessionStore

SESSION_ENGINE = "django_momento.sessions"
engine.SessionStore = SessionStore  # type: ignore[misc]  # in place of the package's own
