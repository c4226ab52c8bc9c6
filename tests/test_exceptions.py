"""Every error says what happened and what to do, survives pickling, and stands in the tree as drawn."""

from __future__ import annotations

import copy
import inspect
import pickle
import re

from django.core.exceptions import ImproperlyConfigured

from django_momento import exceptions
from django_momento.exceptions import (
    ConfigurationError,
    LimitExceeded,
    LockError,
    MomentoCacheError,
    UnreadableValue,
)
from tests.kit.tables import table

EXPLAINED = [
    error
    for _, error in inspect.getmembers(exceptions, inspect.isclass)
    if error is ConfigurationError or issubclass(error, (MomentoCacheError, LockError))
]


def drawn_tree() -> dict[str, str | None]:
    """Read the module's docstring: each error with the one it hangs under."""
    parents: dict[str, str | None] = {}
    path: list[str] = []
    for line in (exceptions.__doc__ or "").splitlines():
        drawn = re.match(r"    ((?:│   |    )*)(├── |└── )?([A-Z]\w+)", line)
        if drawn:
            depth = len(drawn[1]) // 4 + bool(drawn[2])
            del path[depth:]
            parents[drawn[3]] = path[-1] if path else None
            path.append(drawn[3])
    return parents


def test_the_tree_in_the_docstring_is_the_tree_of_the_classes() -> None:
    """A reader of the docstring must be able to rely on it for an except clause."""
    actual = {
        error.__name__: next((base.__name__ for base in error.__bases__ if base in EXPLAINED), None)
        for error in EXPLAINED
    }

    assert drawn_tree() == actual


def test_the_tree_is_not_empty() -> None:
    """The test above must compare something: both roots and a second level."""
    tree = drawn_tree()

    assert (None, None) == (tree["ConfigurationError"], tree["MomentoCacheError"])
    assert "TransportError" == tree["CallTimedOut"]


@table("error", EXPLAINED)
def test_an_error_says_cause_and_fix(error: type[MomentoCacheError]) -> None:
    """``str()`` gives both sentences, and each can be had alone."""
    raised = error("It broke.", "Mend it.")

    assert ("It broke. Mend it.", "It broke.", "Mend it.") == (str(raised), raised.cause, raised.fix)


@table("error", EXPLAINED)
def test_an_error_without_a_fix_ends_after_its_cause(error: type[MomentoCacheError]) -> None:
    """Where there is nothing to advise, no blank trails the message."""
    raised = error("It broke.")

    assert ("It broke.", "") == (str(raised), raised.fix)


@table("duplicate", [copy.copy, lambda error: pickle.loads(pickle.dumps(error))])
@table("error", EXPLAINED)
def test_an_error_crosses_processes_whole(error: type[MomentoCacheError], duplicate) -> None:
    """Test runners and task queues pickle errors: text and attributes must arrive as they left."""
    raised = error("It broke.", "Mend it.")
    arrived = duplicate(raised)

    assert (error, str(raised), vars(raised)) == (type(arrived), str(arrived), vars(arrived))


def test_a_limit_keeps_its_name_across_processes() -> None:
    """``limit`` is an argument of its own, and must not get lost or become the fix."""
    arrived = pickle.loads(pickle.dumps(LimitExceeded("Too much.", "Do less.", limit="throughput")))

    assert ("throughput", "Too much.", "Do less.") == (arrived.limit, arrived.cause, arrived.fix)


def test_a_configuration_error_is_django_s_own_and_not_a_runtime_error() -> None:
    """Django's commands handle ImproperlyConfigured; fail-open must not hide a wrong configuration."""
    assert issubclass(ConfigurationError, ImproperlyConfigured)
    assert not issubclass(ConfigurationError, MomentoCacheError)


def test_an_unreadable_value_is_no_error_for_users() -> None:
    """It is internal: whoever catches this package's errors does not meet it."""
    assert not issubclass(UnreadableValue, MomentoCacheError)


def test_an_error_of_several_problems_lists_them_and_crosses_processes() -> None:
    """Each problem keeps its own category; the list has that of the first."""
    first = ConfigurationError("One is wrong.", "Mend it.", category="LOCATION")
    second = ConfigurationError("Two is wrong.")
    combined = ConfigurationError.combine("CACHES['pages']", [first, second])
    arrived = pickle.loads(pickle.dumps(combined))

    assert "CACHES['pages'] has 2 problems:\n1. One is wrong. Mend it.\n2. Two is wrong." == str(combined)
    assert ("LOCATION", (first, second)) == (combined.category, combined.problems)
    assert first is ConfigurationError.combine("CACHES['pages']", [first])
    assert str(arrived) == str(combined)
    assert ["LOCATION", "settings"] == [problem.category for problem in arrived.problems]
