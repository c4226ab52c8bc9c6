"""A table of cases that one test goes through, with every row that fails in its report."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Sequence
from functools import wraps
from typing import Any

import pytest

Test = Callable[..., None]


def table(names: str | Sequence[str], rows: Iterable[Any]) -> Callable[[Test], Test]:
    """Call a test once for each row, as ``parametrize`` would, within one test that reports each failure.

    Rows share the test's fixtures. A test whose rows would disturb each other needs ``parametrize``. A row
    is a value, a tuple of values for several names, or a ``pytest.param`` without marks.
    """
    arguments = [name.strip() for name in names.split(",")] if isinstance(names, str) else [*names]
    cases = [_case(arguments, row) for row in rows]
    if not cases:
        raise ValueError("A table without rows would test nothing.")

    def decorate(test: Test) -> Test:
        signature = inspect.signature(test)
        parameters = [it for name, it in signature.parameters.items() if name not in arguments]
        has_subtests = "subtests" in signature.parameters
        if not has_subtests:
            parameters.append(inspect.Parameter("subtests", inspect.Parameter.KEYWORD_ONLY))

        @wraps(test)
        def every_row(**fixtures: Any) -> None:
            subtests: pytest.Subtests = fixtures["subtests"] if has_subtests else fixtures.pop("subtests")
            for case in cases:
                with subtests.test(", ".join(f"{name}={value!r:.200}" for name, value in case.items())):
                    test(**fixtures, **case)

        every_row.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
        return every_row

    return decorate


def _case(names: list[str], row: Any) -> dict[str, Any]:
    """Return the arguments that a row stands for."""
    if hasattr(row, "marks"):
        if row.marks:
            raise ValueError("A row of a table cannot have marks.")
        values = row.values
    else:
        values = (row,) if len(names) == 1 else row
    return dict(zip(names, values, strict=True))
