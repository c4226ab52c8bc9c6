"""``manage.py momento_forecast TRACE...``: the hit rate, operations and cost of a trace at Momento."""

from __future__ import annotations

import json
from argparse import ArgumentTypeError
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from django_momento.diagnostics.terminal import ProgressLine, escape, exit_without_reader
from django_momento.forecast.forecasting import DEFAULT_LIMIT, Question, forecast
from django_momento.forecast.page import page
from django_momento.forecast.prices import Prices
from django_momento.forecast.report import Report
from django_momento.forecast.store import DEFAULT_STORAGE
from django_momento.forecast.text import report_lines
from django_momento.local.units import parse_size
from django_momento.traces.reading import Trace, TraceError, find_files
from django_momento.traces.writer import flush_all


def _positive(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise ArgumentTypeError(f"{text!r} is not a number greater than 0.")
    return number


def _price(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number < float("inf"):
        raise ArgumentTypeError(f"{text!r} is not a price. Give a number of at least 0, without a currency.")
    return number


def _storage(text: str) -> int:
    try:
        return parse_size(text)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from error


class Command(BaseCommand):
    help = (
        "Replays traces of RecordingCache on a simulated Momento, and reports the hit rate, the operations, "
        "their cost and what some changes would bring. It says whether to switch, and why."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "trace", nargs="+", help="Files of a trace, their folder, or the path that TRACE names."
        )
        parser.add_argument(
            "--limit",
            type=_positive,
            default=DEFAULT_LIMIT,
            metavar="N",
            help="Operations a second that Momento allows. Default: 100.",
        )
        parser.add_argument(
            "--storage",
            type=_storage,
            default=DEFAULT_STORAGE,
            metavar="SIZE",
            help="Bytes that Momento stores, such as 500M. Default: 100M.",
        )
        parser.add_argument(
            "--price-per-million",
            type=_price,
            metavar="PRICE",
            help="Price of a million operations of Momento.",
        )
        parser.add_argument(
            "--ecpu-price-per-million",
            type=_price,
            metavar="PRICE",
            help="Price of a million units (ECPU) of ElastiCache Serverless.",
        )
        parser.add_argument(
            "--gb-hour-price",
            type=_price,
            metavar="PRICE",
            help="Price of a GB that ElastiCache Serverless stores for an hour.",
        )
        parser.add_argument(
            "--near",
            type=_positive,
            default=5.0,
            metavar="SECONDS",
            help="Seconds of the near cache in the what-ifs. Default: 5.",
        )
        parser.add_argument(
            "--stale",
            type=_positive,
            default=60.0,
            metavar="SECONDS",
            help="Seconds for which old values are served in the what-ifs. Default: 60.",
        )
        parser.add_argument("--json", action="store_true", help="Print one JSON object instead of text.")
        parser.add_argument("--html", metavar="FILE", help="Write the report as one page with plots too.")

    def handle(self, *args: Any, **options: Any) -> None:
        if (options["ecpu_price_per_million"] is None) != (options["gb_hour_price"] is None):
            raise CommandError(
                "ElastiCache Serverless charges units and storage. Give both --ecpu-price-per-million and "
                "--gb-hour-price."
            )
        progress = ProgressLine(self.stderr)
        question = Question(
            limit=options["limit"],
            near=options["near"],
            stale=options["stale"],
            storage=options["storage"],
            prices=Prices(
                options["price_per_million"], options["ecpu_price_per_million"], options["gb_hour_price"]
            ),
        )
        flush_all()  # if this process has recorded calls itself
        try:
            report = forecast(Trace(find_files(options["trace"])), question, progress)
        except TraceError as error:
            raise CommandError(str(error)) from error
        except KeyboardInterrupt:
            progress.clear(interrupted=True)
            raise CommandError("Interrupted.", returncode=130) from None
        finally:
            progress.clear()
        if options["html"]:
            self._write_page(Path(options["html"]), page(report))
        try:
            self._write_report(report, options["json"])
        except BrokenPipeError:
            exit_without_reader()

    def _write_report(self, report: Report, as_json: bool) -> None:
        lines = [json.dumps(report.as_dict(), indent=2)] if as_json else report_lines(report)
        for line in lines:
            self.stdout.write(escape(line, getattr(self.stdout, "encoding", None)))
        # Flushed, so that a closed pipe raises here.
        self.stdout.flush()

    def _write_page(self, path: Path, content: str) -> None:
        try:
            path.write_text(content, encoding="utf-8")
        except OSError as error:
            raise CommandError(
                f"{path} cannot be written ({error.strerror}). Give another --html."
            ) from error
