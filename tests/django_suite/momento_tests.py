"""Django's own ``BaseCacheTests``, unmodified, over its seven alias configurations on Momento.

Named so that pytest leaves it alone: it needs the tests of Django's sdist, which ``run.py`` provides.
"""

import tempfile
from pathlib import Path

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


def recorded(wrapped):
    """Return settings in which each alias is a RecordingCache of one of ``wrapped``."""
    trace = Path(tempfile.mkdtemp()) / "trace.jsonl"
    recording = {
        alias: {
            "BACKEND": "django_momento.recorder.RecordingCache",
            "OPTIONS": {"CACHE": f"wrapped_{alias}", "TRACE": str(trace)},
        }
        for alias in wrapped
    }
    return recording | {f"wrapped_{alias}": settings for alias, settings in wrapped.items()}


@override_settings(
    CACHES=recorded(
        caches_setting_for_tests(
            BACKEND="django.core.cache.backends.locmem.LocMemCache", LOCATION="django-suite"
        )
    )
)
class RecordingCacheTests(BaseCacheTests, TestCase):
    """The suite on RecordingCache, which must not change a behaviour of the cache that it wraps."""
