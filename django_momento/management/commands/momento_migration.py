"""``manage.py momento_migration``: the state of a change to another cache, and whether to go on."""

from __future__ import annotations

import json
from argparse import ArgumentTypeError
from time import sleep
from typing import Any

from django.core.cache import caches
from django.core.management.base import BaseCommand, CommandError, CommandParser

from django_momento.exceptions import ConfigurationError
from django_momento.migration.cache import DualCache
from django_momento.migration.leaving import look_at_mark
from django_momento.migration.reports import read_reports
from django_momento.migration.sides import run
from django_momento.migration.verdict import judge, text


def _seconds(value: str) -> float:
    try:
        seconds = float(value)
    except ValueError:
        seconds = 0.0
    if not 0.1 <= seconds <= 86400:
        raise ArgumentTypeError(f"{value!r} is not a number of seconds from 0.1 to 86400.")
    return seconds


class Command(BaseCommand):
    help = (
        "Shows the figures of the change from one cache to another (DualCache): the hit rate that the new "
        "cache has or would have, compared values, latencies, failures and operations. They are sums over "
        "all processes, of the last five to ten minutes. Says whether it is safe to go on to the next phase, "
        "and why not. The exit status is 1 if it is not safe."
    )
    # They would stop the command, which reports mistakes in CACHES itself.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--alias",
            default="default",
            help="Alias of CACHES whose backend is DualCache. Default: default.",
        )
        parser.add_argument("--json", action="store_true", help="Print JSON, on one line for each report.")
        parser.add_argument(
            "--watch",
            nargs="?",
            type=_seconds,
            const=5.0,
            metavar="SECONDS",
            help="Report again every so many seconds, until interrupted. Default: 5.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        cache = self._find(options["alias"])
        try:
            while True:
                is_safe = self._report(cache, options["alias"], as_json=options["json"])
                if options["watch"] is None:
                    break
                sleep(options["watch"])
        except KeyboardInterrupt:
            return
        except ConfigurationError as error:
            raise CommandError(str(error)) from error
        if not is_safe:
            raise SystemExit(1)

    def _find(self, alias: str) -> DualCache:
        duals = [each for each in caches.settings if isinstance(_cache_or_none(each), DualCache)]
        if alias not in duals:
            known = ", ".join(map(repr, duals)) or "none"
            raise CommandError(
                f"CACHES[{alias!r}] is no DualCache, whose BACKEND is 'django_momento.migration.DualCache'. "
                f"Name one with --alias; there is {known}."
            )
        cache = caches[alias]
        assert isinstance(cache, DualCache)  # noqa: S101 - found above
        return cache

    def _report(self, cache: DualCache, alias: str, *, as_json: bool) -> bool:
        """Write one report; return whether it is safe to go on."""
        reports, failures = read_reports(cache.pair)
        phase = cache.migration.phase.get()
        verdict = judge(phase, reports).show()
        if (look := look_at_mark(cache.pair, phase)) is not None:
            run(look, cache.migration)
        if cache.migration.is_held:
            verdict["reasons"].insert(
                0,
                "OLD is out of date since 'done', and NEW serves alone. Empty OLD, so that it is used again.",
            )
            verdict["safe"] = False
        for side, error in failures.items():
            verdict["reasons"].append(f"{side.upper()} cannot be read: {type(error).__name__}: {error}")
            verdict["safe"] = False
        if as_json:
            self.stdout.write(json.dumps({"alias": alias, **verdict}))
        else:
            pairing = cache.pairing
            for line in text(verdict, alias, pairing.old, pairing.new):
                self.stdout.write(line)
        return bool(verdict["safe"])


def _cache_or_none(alias: str) -> Any:
    """Return the cache of an alias, or None if it cannot be made."""
    try:
        return caches[alias]
    except Exception:  # noqa: BLE001 - another alias, whose mistakes are no matter here
        return None
