"""A pytest plugin for suites that configure Django themselves, and leave CACHES to Django's own default."""

from django.conf import global_settings
from momento_settings import CACHES

global_settings.CACHES = CACHES
