"""The tables of ``tests.kit``: a test that uses one fails for each of its rows that fails."""

from __future__ import annotations

import pytest

from tests.kit.tables import table

pytest_plugins = ["pytester"]


def test_each_row_is_a_call_with_fixtures(pytester: pytest.Pytester) -> None:
    """Rows reach the test as arguments beside its fixtures, in every form that parametrize takes."""
    pytester.makepyfile(
        """
        import pytest
        from tests.kit.tables import table

        seen = []

        @table("left, right", [(1, 2), pytest.param(3, 4)])
        @table("factor", [10, 20])
        def test_rows(tmp_path, left, right, factor):
            assert tmp_path.is_dir()
            seen.append((left, right, factor))

        def test_all_were_seen():
            assert seen == [(1, 2, 10), (1, 2, 20), (3, 4, 10), (3, 4, 20)]
        """
    )
    pytester.runpytest_inprocess("-p", "no:randomly", "-p", "no:django").assert_outcomes(passed=2)


def test_every_failing_row_is_reported(pytester: pytest.Pytester) -> None:
    """A row that fails neither hides in the others nor ends the table."""
    pytester.makepyfile(
        """
        from tests.kit.tables import table

        @table("number", [1, 2, 3, 4])
        def test_odd(number):
            assert number % 2
        """
    )
    result = pytester.runpytest_inprocess("-p", "no:randomly", "-p", "no:django")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*test_odd*number=2*", "*test_odd*number=4*"])
    result.stdout.no_fnmatch_line("*number=3*")


def test_a_table_without_rows_is_refused() -> None:
    """An empty table would pass whatever the code does."""
    with pytest.raises(ValueError, match="would test nothing"):
        table("number", [])
