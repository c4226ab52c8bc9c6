"""Django's own ``BaseCacheTests``, unmodified, over a migration from its memory cache to Momento.

Named so that pytest leaves it alone, as ``momento_tests`` is.
"""

from cache.tests import BaseCacheTests, caches_setting_for_tests
from django.core.cache import caches
from django.test import TestCase, override_settings


def pairs(phase):
    """Return Django's seven configurations: each is a DualCache over a memory cache and a Momento cache."""
    settings = {}
    for alias, params in caches_setting_for_tests().items():
        options = {"OLD": f"{alias}-old", "NEW": f"{alias}-new", "PHASE": phase, "SAMPLE": 1.0}
        settings[alias] = {"BACKEND": "django_momento.migration.DualCache", "OPTIONS": options}
        settings[f"{alias}-old"] = {
            "BACKEND": "django.core.cache.backends.locmem.LocMemCache",
            "LOCATION": f"dual-suite-{phase}",
            **params,
        }
        settings[f"{alias}-new"] = {
            "BACKEND": "django_momento.cache.MomentoCache",
            "LOCATION": f"dual-suite-{phase}",
            **params,
            "OPTIONS": {"CREDENTIALS": "embedded"},
        }
    return settings


class Migration(BaseCacheTests):
    """What holds in each phase."""

    # See momento_tests: they count what is left after a cache of limited size was culled.
    test_cull = None
    test_zero_cull = None

    def test_all_aliases_are_configured(self):
        """What the suite is meant to run over is what it runs over."""
        assert 21 == len(caches.settings)
        assert self.phase == caches["v2"].pairing.phase.spelling


@override_settings(CACHES=pairs("shadow"))
class ShadowTests(Migration, TestCase):
    phase = "shadow"


@override_settings(CACHES=pairs("dual"))
class DualTests(Migration, TestCase):
    phase = "dual"


@override_settings(CACHES=pairs("done"))
class DoneTests(Migration, TestCase):
    phase = "done"
