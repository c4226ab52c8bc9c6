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
    result.stdout.fnmatch_lines(["*test_odd*row 2: number=2*", "*test_odd*row 4: number=4*"])
    result.stdout.no_fnmatch_line("*number=3*")


def test_a_row_that_begins_afresh_finds_nothing_of_the_one_before(pytester: pytest.Pytester) -> None:
    """Neither files, nor patches, nor lines of the log, nor what the fixture ``start_afresh`` puts away."""
    pytester.makepyfile(
        """
        import logging
        import os

        import pytest
        from tests.kit.tables import table

        state = []

        @pytest.fixture
        def start_afresh():
            return state.clear

        @table("left", [1, 2], afresh=True)
        @table("right", [3, 4], ids=["three", "four"], afresh=True)
        def test_rows(tmp_path, monkeypatch, caplog, left, right):
            assert not [*tmp_path.iterdir()]
            (tmp_path / "file").touch()
            assert "SEEN" not in os.environ
            monkeypatch.setenv("SEEN", "1")
            assert not caplog.messages
            logging.error("a line")
            assert state == []
            state.append(left)
            assert (left, right) != (2, 4)
        """
    )
    result = pytester.runpytest_inprocess("-p", "no:randomly", "-p", "no:django")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*SUBFAILED?row 2: left=2; row 2 (four): right=4? *test_rows"])


def test_a_name_that_the_test_does_not_take_is_refused() -> None:
    with pytest.raises(ValueError, match="does not take misspelt"):
        table("misspelt", [1])(lambda spelt: None)


def test_a_table_without_rows_is_refused() -> None:
    """An empty table would pass whatever the code does."""
    with pytest.raises(ValueError, match="would test nothing"):
        table("number", [])
