"""What docs/checks.md and docs/momento_check.md say is what the checks and the command do."""

from __future__ import annotations

import json
import re
from dataclasses import fields
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.checks.registry import registry
from django.core.management import call_command

from django_momento.checks.aliases import TAG
from django_momento.diagnostics.examination import Step
from django_momento.diagnostics.latency import Bucket, Latency
from django_momento.management.commands.momento_check import Command
from tests.conftest import MakeCache

DOCS = Path(__file__).parents[1] / "docs"
CHECKS = (DOCS / "checks.md").read_text()
COMMAND = (DOCS / "momento_check.md").read_text()


def sections(page: str) -> dict[str, str]:
    """Return the text below each heading of the third level."""
    parts = re.split(r"(?m)^### (.+)$", page)
    return {
        name.removeprefix("django_momento."): text
        for name, text in zip(parts[1::2], parts[2::2], strict=True)
    }


def test_every_check_is_documented_with_its_fix() -> None:
    """Each id has a section, which says when it is checked and what to do."""
    every = registry.get_checks(include_deployment_checks=True)
    summaries = [str(check.__doc__) for check in every if TAG in getattr(check, "tags", ())]
    documented = sections(CHECKS)

    assert sorted(summary[:4] for summary in summaries) == sorted(documented)
    for summary in summaries:
        text = documented[summary[:4]]
        assert "**Fix:**" in text
        assert ("--deploy" in summary) is ("With `--deploy`." in text)


def test_every_argument_is_documented() -> None:
    """An argument that nobody reads of is of no use."""
    parser = Command().create_parser("manage.py", "momento_check")
    ours = {"--create", "--requests", "--watch", "--deploy", "--json", "--no-color", "--force-color"}

    actions = parser._actions  # noqa: SLF001 - argparse has no public name for them
    assert ours <= {option for action in actions for option in action.option_strings}
    assert [] == [option for option in ours if option not in COMMAND]


@pytest.fixture
def documented() -> Any:
    """The object in the page."""
    (block,) = re.findall(r"```json\n(.*?)```", COMMAND, re.DOTALL)
    return json.loads(block)


def test_the_documented_object_has_the_names_of_the_real_one(make_cache: MakeCache, documented: Any) -> None:
    """On every level, in the same order."""
    make_cache()
    output = StringIO()
    call_command("momento_check", json=True, deploy=True, stdout=output)
    report = json.loads(output.getvalue())
    step, limits = documented["caches"][0]["steps"]

    assert list(report) == list(documented)
    assert list(report["caches"][0]) == list(documented["caches"][0])
    assert list(report["caches"][0]["steps"][0]) == list(step)
    assert list(report["caches"][0]["steps"][-1]["facts"][-1]) == list(limits["facts"][0])
    assert report["checks"] == documented["checks"]
    assert [field.name for field in fields(Latency)] == list(step["latency"])
    assert [field.name for field in fields(Bucket)] == list(step["latency"]["histogram"][0])
    assert {"ok", *(field.name for field in fields(Step))} == set(step)


def test_every_step_and_every_fact_is_documented(make_cache: MakeCache) -> None:
    """In the table of the steps, in the sample, and in the table of the facts."""
    make_cache()
    output = StringIO()
    call_command("momento_check", json=True, stdout=output)
    steps = json.loads(output.getvalue())["caches"][0]["steps"]

    assert [step["name"] for step in steps] == re.findall(r"(?m)^\| `([a-z ]+)` \| [a-z]", COMMAND)[
        : len(steps)
    ]
    assert [step["name"] for step in steps] == [
        name.strip() for name in re.findall(r"(?m)^  ok    ([a-z ]+?) +\d+ ms", COMMAND)
    ]
    facts = set(re.findall(r"(?m)^\| `[a-z]+` \| `([a-z_]+)` \|", COMMAND))
    assert {fact["name"] for step in steps for fact in step["facts"]} | {"fetched_at", "expires_at"} == facts
