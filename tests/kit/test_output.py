"""The environment of tests, as each conftest prepares it."""

from __future__ import annotations

import os

import pytest

from tests.kit.output import VARIABLES

pytest_plugins = ["pytester"]


def test_variables_of_ci_and_of_terminals_reach_no_test(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are back after the last test, for the summary of pytest itself."""
    for name in VARIABLES:
        monkeypatch.setenv(name, "80")
    pytester.makeconftest("from tests.kit.output import same_output_everywhere")
    pytester.makepyfile(
        """
        import os
        from tests.kit.output import VARIABLES

        def test_none_is_there():
            assert not {*VARIABLES} & {*os.environ}
        """
    )
    pytester.runpytest_inprocess("-p", "no:randomly", "-p", "no:django").assert_outcomes(passed=1)
    assert {"80"} == {os.environ[name] for name in VARIABLES}
