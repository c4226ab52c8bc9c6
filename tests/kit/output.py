"""The same output of programs and test runners everywhere, for tests that read it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

# They choose the width, the colours and the length of the output.
VARIABLES = (
    *("BUILD_NUMBER", "CI", "GITHUB_ACTIONS"),
    *("COLUMNS", "LINES", "TERM"),
    *("CLICOLOR_FORCE", "DJANGO_COLORS", "FORCE_COLOR", "MYPY_FORCE_COLOR"),
    *("NO_COLOR", "PY_COLORS", "PYTHON_COLORS"),
)


@pytest.fixture(scope="session", autouse=True)
def same_output_everywhere() -> Iterator[None]:
    """Let tests, and the processes that they start, print in CI as they do at a desk."""
    with pytest.MonkeyPatch.context() as patch:
        for name in VARIABLES:
            patch.delenv(name, raising=False)
        yield
