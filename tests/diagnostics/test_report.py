"""One round of momento_check as a whole: did it go well, in words and as JSON."""

from __future__ import annotations

import json
from datetime import datetime, timezone

from django.core.checks import CheckMessage, Error, Warning  # noqa: A004 - Django's name for it

from django_momento.diagnostics.examination import Step
from django_momento.diagnostics.report import Report

GOOD = Step("latency", 0.1, "20 gets")
BAD = Step("cache", 0.1, error="CacheNotFound", cause="No cache.", fix="Create it.")
ERROR = Error("Wrong.", hint="Mend it.", id="django_momento.E003")
WARNING = Warning("Odd.", id="django_momento.W003")


def test_findings_are_good_if_nothing_failed() -> None:
    """A warning does not fail anything."""
    findings = Report(caches={"default": [GOOD], "pages": [GOOD]}, messages=[WARNING])

    assert findings.ok
    assert "All caches work: default, pages" == str(findings)


def test_a_step_that_failed_names_its_cache() -> None:
    """The last step of each cache says how it ended."""
    findings = Report(caches={"default": [GOOD, BAD], "pages": [GOOD]})

    assert not findings.ok
    assert "1 of 2 caches failed: default" == str(findings)


def test_an_error_of_the_system_checks_fails_too() -> None:
    """As it would fail ``manage.py check``."""
    assert "system checks failed: django_momento.E003" == str(
        Report(caches={"default": [GOOD]}, messages=[ERROR, WARNING])
    )
    assert "1 of 1 caches failed: default; system checks failed: django_momento.E003" == str(
        Report(caches={"default": [BAD]}, messages=[ERROR])
    )


def test_findings_are_json_with_stable_names() -> None:
    """Others parse it."""
    at = datetime(2026, 8, 1, 12, 30, tzinfo=timezone.utc)
    unusual = CheckMessage(35, "Unusual.", id="a.X001")
    answer = Report(at, {"default": [BAD]}, [WARNING, ERROR, unusual]).as_dict()

    assert ["ok", "at", "caches", "checks"] == list(answer)
    assert (False, "2026-08-01T12:30:00+00:00") == (answer["ok"], answer["at"])
    assert [{"alias": "default", "ok": False, "steps": [BAD.as_dict()]}] == answer["caches"]
    assert [
        {"id": "django_momento.W003", "level": "warning", "message": "Odd.", "hint": ""},
        {"id": "django_momento.E003", "level": "error", "message": "Wrong.", "hint": "Mend it."},
        {"id": "a.X001", "level": "35", "message": "Unusual.", "hint": ""},
    ] == answer["checks"]
    assert json.loads(json.dumps(answer))
