"""Django's own ``BaseCacheTests``, unmodified, over its seven alias configurations on Momento.

Named so that pytest leaves it alone: it needs the tests of Django's sdist, which ``run.py`` provides.
"""

import tempfile
import threading
import time
from pathlib import Path
from unittest import mock

from cache.tests import BaseCacheTests, CacheMiddlewareTest, caches_setting_for_tests
from django.core.cache import caches
from django.test import TestCase, override_settings

from django_momento import pages
from django_momento.client.registry import clients
from django_momento.local import LocalServer
from tests.kit.clock import Clock

BACKEND = "django_momento.cache.MomentoCache"


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


class _WithPolicy(BaseCacheTests):
    """The suite with a policy on. It passes whole, because a process sees its own writes at once."""

    test_cull = None
    test_zero_cull = None


def with_options(**options):
    """Return the seven aliases, with these options beside the server in this process."""
    return caches_setting_for_tests(
        BACKEND="django_momento.cache.MomentoCache",
        LOCATION="django-suite",
        OPTIONS={"CREDENTIALS": "embedded", **options},
    )


@override_settings(CACHES=with_options(NEAR_SECONDS=60))
class NearCacheTests(_WithPolicy, TestCase):
    """Reads come from the memory of the process."""


@override_settings(CACHES=with_options(STALE_IF_ERROR=60, NEAR_SECONDS=0.001))
class ShieldTests(_WithPolicy, TestCase):
    """Every call passes through the shield, and values in memory end all the time."""


@override_settings(CACHES=with_options(NEAR_SECONDS=60, STALE_IF_ERROR=60, CLEAR="prefix"))
class AllPoliciesTests(_WithPolicy, TestCase):
    """Policies that are on together, with a generation in every key."""


@override_settings(CACHES=with_options())
class MemoTests(_WithPolicy, TestCase):
    """Each test within a memo of every alias."""

    def setUp(self):
        super().setUp()
        for alias in caches:
            memo = caches[alias].memo()
            memo.__enter__()
            self.addCleanup(memo.__exit__, None, None, None)


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


class PageTests(CacheMiddlewareTest):
    """Django's tests of its middleware and of ``cache_page``, on Momento and with our ``cache_page``.

    Time passes only while they sleep. Their pages expire after a second, which a busy machine may use up.
    """

    stale = 0

    def setUp(self):
        clock = Clock()
        server = LocalServer(create_missing_caches=True, clock=clock.milliseconds)
        server.start()
        self.addCleanup(server.stop)
        self.addCleanup(clients.close)
        options = {"CREDENTIALS": "local", "ENDPOINT": server.address}
        momento = {"BACKEND": BACKEND, "LOCATION": "django-suite", "OPTIONS": options}
        other = {**momento, "KEY_PREFIX": "other", "TIMEOUT": 1}

        def cache_page(timeout, **options):
            return pages.cache_page(timeout, stale=self.stale, **options)

        own_thread, wait = threading.current_thread(), time.sleep

        def sleep(seconds):
            (clock.advance if threading.current_thread() is own_thread else wait)(seconds)

        changes = [
            override_settings(CACHES={"default": momento, "other": other}),
            mock.patch("cache.tests.cache_page", cache_page),
            mock.patch("time.sleep", sleep),
            mock.patch("django_momento.codec.attributes.wall", clock),
            mock.patch("django_momento.policies.freshness.wall", clock),
        ]
        for change in changes:
            change.__enter__()
            self.addCleanup(change.__exit__, None, None, None)
        super().setUp()


class StalePageTests(PageTests):
    """The same with stale pages, which one request at a time recomputes."""

    stale = 60


# The base class is Django's, and runs in Django's own suite.
del CacheMiddlewareTest
