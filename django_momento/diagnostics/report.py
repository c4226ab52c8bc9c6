"""The results of one round of ``momento_check``, and their JSON. The names in the JSON are stable."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from django.core.checks import CRITICAL, DEBUG, ERROR, INFO, WARNING, CheckMessage

from .examination import Step

_LEVELS = {DEBUG: "debug", INFO: "info", WARNING: "warning", ERROR: "error", CRITICAL: "critical"}


@dataclass
class Report:
    """The steps for each alias, up to the first that failed, and the messages of the system checks."""

    at: datetime = field(default_factory=lambda: datetime.now(timezone.utc))
    caches: dict[str, list[Step]] = field(default_factory=dict)
    messages: list[CheckMessage] = field(default_factory=list)

    @property
    def failed_aliases(self) -> list[str]:
        """The aliases with a step that failed."""
        return [alias for alias, steps in self.caches.items() if not steps[-1].ok]

    @property
    def errors(self) -> list[CheckMessage]:
        """The messages of system checks that are errors."""
        return [message for message in self.messages if message.is_serious()]

    @property
    def ok(self) -> bool:
        return not (self.failed_aliases or self.errors)

    def __str__(self) -> str:
        if self.ok:
            return f"All caches work: {', '.join(self.caches)}"
        parts = []
        if self.failed_aliases:
            failed = ", ".join(self.failed_aliases)
            parts.append(f"{len(self.failed_aliases)} of {len(self.caches)} caches failed: {failed}")
        if self.errors:
            parts.append(f"system checks failed: {', '.join(str(message.id) for message in self.errors)}")
        return "; ".join(parts)

    def as_dict(self) -> dict[str, Any]:
        """Return the report for JSON."""
        return {
            "ok": self.ok,
            "at": self.at.isoformat(timespec="seconds"),
            "caches": [
                {"alias": alias, "ok": steps[-1].ok, "steps": [step.as_dict() for step in steps]}
                for alias, steps in self.caches.items()
            ],
            "checks": [
                {
                    "id": message.id,
                    "level": _LEVELS.get(message.level, str(message.level)),
                    "message": message.msg,
                    "hint": message.hint or "",
                }
                for message in self.messages
            ],
        }
