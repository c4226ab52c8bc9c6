"""``manage.py momento_check``: does the cache work, how fast, and if not, why and what to do about it."""

from __future__ import annotations

import json
from argparse import ArgumentTypeError
from collections.abc import Iterator
from typing import Any

from django.core.cache import caches
from django.core.management.base import BaseCommand, CommandError, CommandParser

from django_momento.status import Step, examine, is_momento, momento_aliases


def _at_least_one(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


class Command(BaseCommand):
    help = (
        "Checks each Momento cache step by step: its options, the API key, the connection, the cache itself, "
        "a value written, read and deleted, and the latency of reading. Exit status 1 if any step failed. "
        "No part of an API key is ever shown."
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
        parser.add_argument("--json", action="store_true", help="Print one JSON object instead of text.")

    def handle(self, *args: Any, **options: Any) -> None:
        aliases = self._aliases(options["alias"])
        failed = []
        reports = []
        for alias in aliases:
            steps = examine(alias, requests=options["requests"], create=options["create"])
            report = list(steps if options["json"] else self._shown(alias, steps))
            reports.append(
                {"alias": alias, "ok": report[-1].ok, "steps": [step.as_dict() for step in report]}
            )
            if not report[-1].ok:
                failed.append(alias)
        if options["json"]:
            self.stdout.write(json.dumps({"ok": not failed, "caches": reports}, indent=2))
        if failed:
            raise CommandError(f"{len(failed)} of {len(aliases)} caches failed: {', '.join(failed)}")

    def _aliases(self, named: list[str]) -> list[str]:
        for alias in named:
            if alias not in caches.settings:
                raise CommandError(f"CACHES has no alias {alias!r}. It has: {', '.join(caches.settings)}.")
            if not is_momento(alias):
                backend = caches.settings[alias].get("BACKEND")
                raise CommandError(f"The backend of {alias!r} is {backend!r}, not Momento's.")
        aliases = named or momento_aliases()
        if not aliases:
            raise CommandError(
                "No alias of CACHES uses Momento. Set its BACKEND to 'django_momento.cache.MomentoCache'."
            )
        return aliases

    def _shown(self, alias: str, steps: Iterator[Step]) -> Iterator[Step]:
        self.stdout.write(self.style.MIGRATE_HEADING(alias))
        for step in steps:
            mark = self.style.SUCCESS("ok  ") if step.ok else self.style.ERROR("FAIL")
            took = f"{step.seconds * 1000:.0f} ms"
            self.stdout.write(f"  {mark}  {step.name:<11}  {took:>8}  {step.found or step.cause}")
            if step.fix:
                self.stdout.write(f"        {'fix':<11}  {'':>8}  {step.fix}")
            yield step
