"""``manage.py momento_check``: whether the cache works and how fast; if not, the cause and the fix.

This module holds the arguments, the order of the output and the exit status. ``docs/momento_check.md``
documents them. The rest is in ``diagnostics``.
"""

from __future__ import annotations

import json
import logging
from argparse import ArgumentTypeError
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import datetime, timezone
from time import sleep
from typing import Any

from django.core.cache import caches
from django.core.checks import CheckMessage, run_checks
from django.core.management.base import BaseCommand, CommandError, CommandParser

from django_momento.checks.aliases import TAG, momento_aliases
from django_momento.checks.process import process_checks
from django_momento.diagnostics.examination import Step, examine
from django_momento.diagnostics.report import Report
from django_momento.diagnostics.terminal import ProgressLine, bar_for, escape, exit_without_reader, width_of
from django_momento.diagnostics.text import TextReport

logger = logging.getLogger("django_momento")


def _at_least_one(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise ArgumentTypeError(f"{text!r} is not a whole number of at least 1.")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0.1 <= seconds <= 86400:
        raise ArgumentTypeError(
            f"{text!r} is not a number of seconds from 0.1 to 86400. Write aliases before --watch."
        )
    return seconds


class Command(BaseCommand):
    help = (
        "Checks each Momento cache step by step: its options, the API key, the connection, the cache, a "
        "value that is written, read and deleted, the latency of gets, and the limits of Momento. The exit "
        "status is 1 if a step failed. No part of an API key is shown."
    )
    # They would stop the command, which reports mistakes in CACHES itself.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "alias", nargs="*", help="Aliases of CACHES to check. Default: all that use Momento."
        )
        parser.add_argument(
            "--create", action="store_true", help="Create the Momento cache if it is missing."
        )
        parser.add_argument(
            "--requests",
            type=_at_least_one,
            default=20,
            metavar="N",
            help="Number of gets to time. Default: 20.",
        )
        parser.add_argument(
            "--watch",
            nargs="?",
            type=_seconds,
            const=5.0,
            metavar="SECONDS",
            help="Check again every SECONDS until Ctrl-C. Default: 5.",
        )
        parser.add_argument(
            "--deploy",
            action="store_true",
            help="Run the system checks of this package too, with those for deployment.",
        )
        parser.add_argument(
            "--json",
            action="store_true",
            help="Print one JSON object instead of text; with --watch one on each line.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        self._options = options
        self._progress = ProgressLine(self.stderr)
        self._text = TextReport(self.style, width_of(self.stdout), bar_for(self.stdout))
        self._messages = _messages(options["deploy"])
        aliases = _aliases(options["alias"])
        logger.addFilter(self._progress)
        try:
            last = self._watch(aliases) if options["watch"] else self._round(aliases)
        except KeyboardInterrupt:
            self._progress.clear(interrupted=True)
            raise CommandError("Interrupted.", returncode=130) from None
        except BrokenPipeError:
            exit_without_reader()
        finally:
            self._progress.clear()
            logger.removeFilter(self._progress)
        if not last.ok:
            raise CommandError(str(last))

    def _watch(self, aliases: list[str]) -> Report:
        """Check again and again until Ctrl-C, and return the report of the last complete round."""
        last = self._round(aliases)
        with suppress(KeyboardInterrupt):
            while True:
                self._progress("waiting for the next round; Ctrl-C ends this", 0, 0)
                sleep(self._options["watch"])
                last = self._round(aliases, before=last)
        self._progress.clear(interrupted=True)
        return last

    def _round(self, aliases: list[str], before: Report | None = None) -> Report:
        report = Report(messages=self._messages)
        for alias in aliases:
            if self._options["json"]:
                report.caches[alias] = list(self._steps(alias))
            elif before is None:
                report.caches[alias] = list(self._report_fully(alias))
            else:
                report.caches[alias] = self._report_briefly(alias, before.caches[alias])
        if self._options["json"]:
            self._write([json.dumps(report.as_dict(), indent=None if self._options["watch"] else 2)])
        elif before is None:
            self._write_rest(report)
        return report

    def _steps(self, alias: str) -> Iterator[Step]:
        options = self._options
        for step in examine(alias, options["requests"], options["create"], self._progress):
            self._progress.clear()
            yield step

    def _report_fully(self, alias: str) -> Iterator[Step]:
        self._write([self._text.heading(alias)])
        for step in self._steps(alias):
            self._write(self._text.step(step))
            yield step

    def _report_briefly(self, alias: str, before: list[Step]) -> list[Step]:
        steps = list(self._steps(alias))
        at = datetime.now(timezone.utc).astimezone()
        self._write(self._text.round(f"{at:%H:%M:%S}", alias, steps, before))
        return steps

    def _write_rest(self, report: Report) -> None:
        if report.messages or self._options["deploy"]:
            self._write([self._text.heading("system checks")])
            self._write(self._text.checks(report.messages))
        if report.ok:
            self._write([self.style.SUCCESS(str(report))])

    def _write(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.stdout.write(escape(line, getattr(self.stdout, "encoding", None)))
        # Flushed so that a reader sees each line at once, and so that a closed pipe raises here.
        self.stdout.flush()


def _aliases(named: list[str]) -> list[str]:
    known = momento_aliases()
    if not known:
        raise CommandError(
            "No alias of CACHES uses Momento. Set the BACKEND of one to 'django_momento.cache.MomentoCache'."
        )
    for alias in named:
        if alias not in known:
            backend = caches.settings.get(alias, {}).get("BACKEND")
            cause = (
                f"The backend of {alias!r} is {backend!r}" if backend else f"CACHES has no alias {alias!r}"
            )
            raise CommandError(f"{cause}. Give one of: {', '.join(known)}.")
    return list(dict.fromkeys(named)) or known


def _messages(deploy: bool) -> list[CheckMessage]:
    """Return the messages of the checks of this process, or with ``deploy`` of all checks of this package."""
    messages = run_checks(tags=[TAG], include_deployment_checks=True) if deploy else process_checks()
    return [message for message in messages if not message.is_silenced()]
