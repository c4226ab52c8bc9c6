"""Django's own ``BaseCacheTests``, unmodified, over its seven alias configurations on Momento.

Named so that pytest leaves it alone: it needs the tests of Django's sdist, which ``run.py`` provides.
"""

from cache.tests import BaseCacheTests, caches_setting_for_tests
from django.core.cache import caches
from django.test import TestCase, override_settings


@override_settings(
    CACHES=caches_setting_for_tests(
        BACKEND="django_momento.cache.MomentoCache",
        LOCATION="django-suite",
        OPTIONS={"CREDENTIALS": "embedded"},
    )
)
class MomentoCacheTests(BaseCacheTests, TestCase):
    # These two count what is left after MAX_ENTRIES culled a cache. Momento can neither list nor count keys,
    # and evicts by itself. Django's Redis backend cannot run them either.
    test_cull = None
    test_zero_cull = None

    def test_all_seven_aliases_are_configured(self):
        """What the suite is meant to run over is what it runs over."""
        aliases = ["default", "prefix", "v2", "custom_key", "custom_key2", "cull", "zero_cull"]
        assert aliases == list(caches.settings)
