"""``manage.py momento_check``: does the cache work, how fast, and if not, why and what to do about it.

Arguments, the order of events and the exit status. What is found comes from ``status``, its looks from
``report`` and ``findings``; docs/momento_check.md documents them.
"""

from __future__ import annotations

import json
import logging
import os
import sys
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
from django_momento.diagnostics.report import Findings
from django_momento.diagnostics.terminal import ProgressLine, bar_for, width_of
from django_momento.diagnostics.text import Report

logger = logging.getLogger("django_momento")


def _at_least_one(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


def _pause(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0.1 <= seconds <= 86400:
        raise ArgumentTypeError(
            f"{text!r} is not a number of seconds from 0.1 to 86400; aliases stand before --watch"
        )
    return seconds


class Command(BaseCommand):
    help = (
        "Checks each Momento cache step by step: its options, the API key, the connection, the cache itself, "
        "a value written, read and deleted, the latency of reading, and what Momento allows. Exit status 1 "
        "if any step failed. No part of an API key is ever shown."
    )
    # What is wrong with CACHES is what this command is for.
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
            help="How many gets to time. Default: 20.",
        )
        parser.add_argument(
            "--watch",
            nargs="?",
            type=_pause,
            const=5.0,
            metavar="SECONDS",
            help="Check again every so many seconds, 5 if none are given, until Ctrl-C.",
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
        self._report = Report(self.style, width_of(self.stdout), bar_for(self.stdout))
        self._messages = _messages(options["deploy"])
        aliases = _aliases(options["alias"])
        logger.addFilter(self._progress)
        try:
            last = self._watched(aliases) if options["watch"] else self._round(aliases)
        except KeyboardInterrupt:
            raise CommandError("Interrupted.", returncode=130) from None
        except BrokenPipeError:
            # Whoever read this wants no more. Python would flush once more when it ends, and complain.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(1)
        finally:
            self._progress.clear()
            logger.removeFilter(self._progress)
        if not last.ok:
            raise CommandError(str(last))

    def _watched(self, aliases: list[str]) -> Findings:
        """Check again and again until Ctrl-C; answer what the last whole round found."""
        last = self._round(aliases)
        with suppress(KeyboardInterrupt):
            while True:
                self._progress("waiting for the next round; Ctrl-C ends this", 0, 0)
                sleep(self._options["watch"])
                last = self._round(aliases, before=last)
        return last

    def _round(self, aliases: list[str], before: Findings | None = None) -> Findings:
        findings = Findings(messages=self._messages)
        for alias in aliases:
            if self._options["json"]:
                findings.caches[alias] = list(self._steps(alias))
            elif before is None:
                findings.caches[alias] = list(self._in_full(alias))
            else:
                findings.caches[alias] = self._in_brief(alias, before.caches[alias])
        if self._options["json"]:
            self._write([json.dumps(findings.as_dict(), indent=None if self._options["watch"] else 2)])
        elif before is None:
            self._write_rest(findings)
        return findings

    def _steps(self, alias: str) -> Iterator[Step]:
        options = self._options
        for step in examine(alias, options["requests"], options["create"], self._progress):
            self._progress.clear()
            yield step

    def _in_full(self, alias: str) -> Iterator[Step]:
        self._write([self._report.heading(alias)])
        for step in self._steps(alias):
            self._write(self._report.step(step))
            yield step

    def _in_brief(self, alias: str, before: list[Step]) -> list[Step]:
        steps = list(self._steps(alias))
        at = datetime.now(timezone.utc).astimezone()
        self._write(self._report.round(f"{at:%H:%M:%S}", alias, steps, before))
        return steps

    def _write_rest(self, findings: Findings) -> None:
        if findings.messages or self._options["deploy"]:
            self._write([self._report.heading("system checks")])
            self._write(self._report.checks(findings.messages))
        if findings.ok:
            self._write([self.style.SUCCESS(str(findings))])

    def _write(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.stdout.write(line)
        # At once, also into a pipe; and so that a pipe that was closed is met here and not when Python ends.
        self.stdout.flush()


def _aliases(named: list[str]) -> list[str]:
    known = momento_aliases()
    if not known:
        raise CommandError(
            "No alias of CACHES uses Momento. Set its BACKEND to 'django_momento.cache.MomentoCache'."
        )
    for alias in named:
        if alias not in known:
            backend = caches.settings.get(alias, {}).get("BACKEND")
            what = f"The backend of {alias!r} is {backend!r}" if backend else f"CACHES has no alias {alias!r}"
            raise CommandError(f"{what}. Momento's are: {', '.join(known)}.")
    return list(dict.fromkeys(named)) or known


def _messages(deploy: bool) -> list[CheckMessage]:
    """Answer what the system checks say: with ``deploy`` all of this package's, else those of the process."""
    messages = run_checks(tags=[TAG], include_deployment_checks=True) if deploy else process_checks()
    return [message for message in messages if not message.is_silenced()]
