"""A table of cases that one test goes through, with every row that fails in its report."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from functools import wraps
from itertools import count
from typing import Any
from unittest.mock import patch

import pytest
from django.conf import settings
from django.test import override_settings

Test = Callable[..., None]


def table(
    names: str | Sequence[str],
    rows: Iterable[Any],
    *,
    ids: Iterable[object] = (),
    afresh: bool = False,
) -> Callable[[Test], Test]:
    """Call a test once for each row, as ``parametrize`` would, within one test that reports each failure.

    A row is a value, a tuple of values for several names, or a ``pytest.param`` without marks. ``ids`` name
    the rows in the report, in which each also has its number and its values.

    Rows share the test's fixtures. If ``afresh``, each row begins with the state that ``tests.conftest``
    gives a test: with no key at the server, no client, no event, no record of a log, and an empty
    ``tmp_path``. Changes of the environment and of settings and those by ``monkeypatch`` are undone after the
    row. A test whose rows would disturb each other in another way needs ``parametrize``.
    """
    arguments = [name.strip() for name in names.split(",")] if isinstance(names, str) else [*names]
    cases = [_case(arguments, row) for row in rows]
    if not cases:
        raise ValueError("A table without rows would test nothing.")
    labels = [*_labels(cases, ids)]

    def decorate(test: Test) -> Test:
        signature = inspect.signature(test)
        own = [it for name, it in signature.parameters.items() if name not in arguments]
        if missing := {*arguments} - {*signature.parameters}:
            raise ValueError(f"The test {test.__name__} does not take {', '.join(sorted(missing))}.")
        added = [name for name in _ADDED[: 3 if afresh else 1] if name not in signature.parameters]
        parameters = own + [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY) for name in added]

        @wraps(test)
        def every_row(**fixtures: Any) -> None:
            given = {name: fixtures[name] for name in fixtures if name not in added}
            subtests: pytest.Subtests = fixtures["subtests"]
            for number, (label, case) in enumerate(zip(labels, cases, strict=True)):
                with subtests.test("; ".join([*_outer, label])), ExitStack() as stack:
                    _outer.append(label)
                    stack.callback(_outer.pop)
                    if afresh:
                        given |= _refresh(given, fixtures, number, stack)
                    test(**given, **case)

        every_row.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]  # pytest reads it
        return every_row

    return decorate


# The rows of the tables around the one that runs.
_outer: list[str] = []

# The fixtures that every table takes, and those that one takes whose rows begin afresh.
_ADDED = ("subtests", "start_afresh", "tmp_path_factory")


def _refresh(
    given: dict[str, Any], fixtures: dict[str, Any], number: int, stack: ExitStack
) -> dict[str, Any]:
    """Bring back the state of the beginning of a test; return the fixtures that are the row's own."""
    if number:
        fixtures["start_afresh"]()
    stack.enter_context(patch.dict(os.environ))
    # It undoes all settings, and tells Django of these.
    stack.enter_context(override_settings(CACHES=settings.CACHES))
    own: dict[str, Any] = {}
    if "monkeypatch" in given:
        own["monkeypatch"] = stack.enter_context(pytest.MonkeyPatch.context())
    if "tmp_path" in given and number:
        own["tmp_path"] = fixtures["tmp_path_factory"].mktemp("row")
    if "caplog" in given:
        given["caplog"].clear()
    return own


def _labels(cases: list[dict[str, Any]], ids: Iterable[object]) -> Iterator[str]:
    """Yield the number of each row, its name if it has one, and its values."""
    given = iter(ids)
    for number, case in zip(count(1), cases, strict=False):
        name = next(given, None)
        values = ", ".join(f"{name}={_show(value)}" for name, value in case.items())
        yield f"row {number}{'' if name is None else f' ({name})'}: {values}"


def _show(value: object) -> str:
    return getattr(value, "__qualname__", None) or f"{value!r:.200}"


def _case(names: list[str], row: Any) -> dict[str, Any]:
    """Return the arguments that a row stands for."""
    if hasattr(row, "marks"):
        if row.marks:
            raise ValueError("A row of a table cannot have marks.")
        values = row.values
    else:
        values = (row,) if len(names) == 1 else row
    return dict(zip(names, values, strict=True))
