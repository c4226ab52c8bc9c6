"""Reports: all problems of an alias in one error."""

from __future__ import annotations

import pytest

from django_momento.conf.loading import parse
from django_momento.exceptions import ConfigurationError


def test_all_problems_of_an_alias_are_in_one_report() -> None:
    """Nobody mends one to be told of the next."""
    options = {"CREDENTIALS": "env", "REGION": "eu-west-1", "SIGN": "no", "MAX_TTL": 0, "CLIENT_CLASS": "x"}
    params = {"OPTIONS": options, "TIMEOUT": "1h", "KEYPREFIX": "a"}

    with pytest.raises(ConfigurationError) as refused:
        parse("pages", "a\nb", params)

    mistakes = ("['LOCATION']", "'KEYPREFIX'", "'CLIENT_CLASS'", "['TIMEOUT']", "'SIGN'", "'MAX_TTL'")
    for mistake in mistakes:
        assert 1 == len([problem for problem in refused.value.problems if mistake in problem.cause])
    assert 6 == len(refused.value.problems)
    assert "CACHES['pages'] has 6 problems:\n1. CACHES['pages']['LOCATION'] is 'a" in refused.value.cause
    assert all(str(problem) in str(refused.value) for problem in refused.value.problems)


def test_problems_of_options_together_are_in_one_report_too() -> None:
    """Options that are right one by one, and have no meaning together."""
    with pytest.raises(ConfigurationError) as refused:
        parse("pages", "a", {"OPTIONS": {"CREDENTIALS": "file", "SECRET_ID": "a", "REGION": "b"}})

    assert [
        "CACHES['pages']['OPTIONS'] has CREDENTIALS 'file' but no API_KEY_FILE.",
        "CACHES['pages']['OPTIONS']['SECRET_ID'] has no meaning with CREDENTIALS 'file'.",
        "CACHES['pages']['OPTIONS']['REGION'] has no meaning with CREDENTIALS 'file'.",
    ] == [problem.cause for problem in refused.value.problems]


def test_one_problem_is_its_own_report() -> None:
    """A list of one would only be longer."""
    with pytest.raises(ConfigurationError) as refused:
        parse("pages", "a", {"OPTIONS": {"CREDENTIALS": "env", "MAX_TTL": 0}})

    assert (refused.value,) == refused.value.problems
