"""The test suites of other packages that run on this backend, and what in them is about their own cache.

Left out: sentry-sdk, whose tests name Django's cache in memory one by one; dj-cache-panel, whose sdist lacks
the base class of its tests; django-health-check, whose sdist has no tests. ``tests/ecosystem`` has all three.
"""

from __future__ import annotations

from dataclasses import dataclass, field

# Without our plugins, and without what pytest-django would find of ours above the sdist's folder.
OVERRIDES = ("-o", "addopts=", "-o", "django_find_project=false")
PYTEST = (
    "-m",
    "pytest",
    "-q",
    "-rfE",
    "-p",
    "no:randomly",
    "-p",
    "no:cacheprovider",
    "-o",
    "addopts=",
    "-o",
    "django_find_project=false",
)


@dataclass(frozen=True)
class Suite:
    """How to run the tests of an sdist, whose folder is the working directory."""

    distribution: str
    command: tuple[str, ...]
    # The module with its settings, which ``momento_settings`` changes.
    settings: str
    folder: str = "."
    # Whether a plugin of ours starts the server, and sees itself that it is used.
    has_own_server: bool = False
    # The tests that cannot pass with any other cache than theirs, with the reason.
    known_failures: dict[str, str] = field(default_factory=dict)


SUITES = (
    Suite(
        "django",
        ("runtests.py", "--settings=momento_settings", "--parallel=1", "sessions_tests", "auth_tests"),
        settings="test_sqlite",
        folder="tests",
    ),
    Suite(
        "django",
        ("runtests.py", "--settings=momento_sessions", "--parallel=1", "sessions_tests", "auth_tests"),
        settings="test_sqlite",
        folder="tests",
        known_failures={"test_empty_session_saved": "looks for its session in the database"},
    ),
    Suite(
        "djangorestframework",
        (*PYTEST, "-p", "momento_by_default", "tests"),
        settings="default_settings",
    ),
    Suite(
        "djangorestframework",
        (*PYTEST, "-p", "momento_throttles", "tests/test_throttling.py"),
        settings="default_settings",
        has_own_server=True,
    ),
    Suite(
        "django-ratelimit",
        ("-m", "django", "test", "--settings=momento_settings", "django_ratelimit"),
        settings="ratelimit_settings",
    ),
    Suite(
        "django-debug-toolbar",
        ("-m", "django", "test", "--settings=momento_settings", "tests"),
        settings="tests.settings",
        known_failures={
            "test_backend_alias_is_recorded": "expects the name of the class LocMemCache",
        },
    ),
    Suite(
        "django-axes",
        (*PYTEST, "--ds=momento_settings", "tests"),
        settings="tests.settings",
        known_failures={
            "test_reset_on_success_false": "counts what is in LocMemCache, in an attribute of its own",
            "test_reset_on_success_true": "counts what is in LocMemCache, in an attribute of its own",
        },
    ),
)
