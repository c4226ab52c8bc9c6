"""Make a forecast of a trace: replay it once for each scenario, all in one pass over the events."""

from __future__ import annotations

import gc
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ..redaction import quote
from ..traces.reading import Trace, TraceError
from .bursts import MAX_GAP, Bursts
from .error_bars import error_of_hit_rate, error_of_total
from .load import Load
from .prices import NO_PRICES, SECONDS_OF_A_MONTH, Prices
from .replay import Replay
from .report import Elasticache, GroupRow, Outcome, Report, TraceFacts
from .store import DEFAULT_STORAGE
from .totals import READS, Sums

DEFAULT_LIMIT = 100.0
# Events between two calls of the progress.
_STEP = 20_000
_POINTS = 240

Progress = Callable[[str, int, int], object]


@dataclass(frozen=True)
class Question:
    """The settings of a forecast.

    ``near`` and ``stale`` are seconds of the what-ifs, ``storage`` is in bytes.
    """

    limit: float = DEFAULT_LIMIT
    near: float = 5.0
    stale: float = 60.0
    storage: int = DEFAULT_STORAGE
    prices: Prices = NO_PRICES


def forecast(trace: Trace, question: Question, progress: Progress) -> Report:
    """Return the forecast. Raises TraceError if the trace has no event."""
    # A replay makes millions of objects and no cycles. Looking for cycles takes a quarter of its time.
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        return _Forecast(trace, question).run(progress)
    finally:
        if was_enabled:
            gc.enable()


class _Forecast:
    def __init__(self, trace: Trace, question: Question) -> None:
        self._trace = trace
        self._question = question
        self._scale = 1 / trace.sample
        self._bursts = Bursts()
        self._recorded = Sums()
        self._started = self._ended = 0
        self._replay = self._start(0)

    def run(self, progress: Progress) -> Report:
        trace, recorded, follow_burst = self._trace, self._recorded, self._bursts.apply
        size = max(1, trace.size)
        done = 0
        for process, event in trace.events():
            if not done:
                self._replay = self._start(event[0])
                replay = self._replay.apply
            replay(process, event)
            follow_burst(process, event)
            if event[9] is not None and event[2] in READS:
                recorded.reads += 1
                recorded.hits += event[9]
            done += 1
            if done % _STEP == 0:
                progress("replay of the trace, in percent:", min(trace.bytes_read, size) * 100 // size, 100)
        if not done:
            skipped = f", and {trace.skipped} lines that are no events" if trace.skipped else ""
            raise TraceError(
                f"The trace has no event in it{skipped}. Record some traffic first, and check SAMPLE."
            )
        self._ended = self._replay.store.now
        self._replay.finish()
        return self._report(done)

    def _start(self, started: int) -> Replay:
        question = self._question
        self._started = started
        return Replay(
            sample=self._trace.sample,
            started=started,
            storage=question.storage,
            near=question.near,
            stale=question.stale,
        )

    @property
    def _seconds(self) -> float:
        return max(1.0, (self._ended - self._started) / 1000)

    def _of_a_month(self, total: float) -> float:
        return total * SECONDS_OF_A_MONTH / self._seconds

    def _report(self, events: int) -> Report:
        trace, question, scale, replay = self._trace, self._question, self._scale, self._replay
        totals = replay.totals
        baseline = self._outcome("as it is", "No change", replay.load)
        units = totals.units * scale
        mean_bytes = totals.byte_seconds / self._seconds * scale
        return Report(
            trace=TraceFacts(
                files=len(trace.files),
                processes=len({file.header.process for file in trace.files}),
                sample=trace.sample,
                events=events,
                skipped=trace.skipped,
                lost=trace.lost,
                started=self._started / 1000,
                seconds=self._seconds,
                recorded_hit_rate=self._recorded.hit_rate,
            ),
            limit=question.limit,
            baseline=baseline,
            hit_rate_error=error_of_hit_rate(totals.parts, trace.sample),
            operations_error=error_of_total(totals.parts, trace.sample, lambda part: part.operations),
            calls=totals.calls * scale,
            keys=totals.keys * scale,
            mean_per_second=baseline.operations / self._seconds,
            minutes=-(-len(replay.load.seconds) // 60),
            operations_of_a_month=self._of_a_month(baseline.operations),
            peak_bytes=totals.peak_bytes * scale,
            storage=question.storage,
            too_large=totals.too_large * scale,
            cut=totals.cut * scale,
            writes=totals.writes * scale,
            elasticache=Elasticache(
                units,
                self._of_a_month(units),
                mean_bytes,
                question.prices.elasticache(self._of_a_month(units), mean_bytes),
            ),
            groups=self._rows(totals.groups, totals.operations),
            verbs=self._rows(totals.verbs, totals.operations),
            what_ifs=self._what_ifs(),
            series=replay.load.series(_POINTS),
        )

    def _outcome(self, name: str, change: str, load: Load, further_hits: int = 0, note: str = "") -> Outcome:
        totals, scale = self._replay.totals, self._scale
        hits = totals.hits + further_hits
        return Outcome(
            name=name,
            change=change,
            reads=totals.reads * scale,
            hits=hits * scale,
            hit_rate=hits / totals.reads if totals.reads else None,
            operations=load.total,
            per_second=load.percentiles(),
            minutes_over=load.minutes_over(self._question.limit),
            over_limit=load.excess(self._question.limit),
            cost=self._question.prices.momento(self._of_a_month(load.total)),
            note=note,
        )

    def _what_ifs(self) -> list[Outcome]:
        replay, question, scale = self._replay, self._question, self._scale
        near, stale, longer = replay.near, replay.stale, replay.longer
        measured = replay.compression.was_measured
        return [
            self._outcome(
                "compression",
                "COMPRESSOR = zlib",
                replay.packed_load,
                note="Measured with zlib." if measured else "No value is large enough to gain.",
            ),
            self._outcome(
                "near cache",
                f"NEAR_SECONDS = {question.near:g}",
                replay.load + near.load,
                near.hits,
                f"{near.served * scale:,.0f} reads come from memory. {near.old * scale:,.0f} of them get "
                f"a value that another process has changed, up to {question.near:g} s late.",
            ),
            self._outcome("batching", "get_many for gets in a row", replay.load, note=self._batching_note()),
            self._outcome(
                "longer timeouts",
                "No limit of 24 hours",
                replay.load + longer.load,
                longer.hits,
                f"{replay.totals.cut * scale:,.0f} writes have a longer timeout, or none. This needs "
                "provisioned storage.",
            ),
            self._outcome(
                "stale values",
                f"Old values for {question.stale:g} s",
                replay.load + stale.load,
                stale.hits,
                f"{stale.hits * scale:,.0f} reads get the old value while one caller computes the next.",
            ),
        ]

    def _batching_note(self) -> str:
        if self._trace.sample < 1:
            return "Cannot be told from a sample of keys. Record a while with SAMPLE = 1."
        calls = self._replay.totals.calls
        return (
            f"{calls - self._bursts.saved:,.0f} calls instead of {calls:,.0f}, if gets within {MAX_GAP} ms "
            "become one get_many. This saves round trips, and no operations."
        )

    def _rows(self, sums: Mapping[str, Sums], operations: int) -> list[GroupRow]:
        scale = self._scale
        rows = [
            GroupRow(
                name=quote(name, 80) or "(no key)",
                keys=each.keys * scale,
                reads=each.reads * scale,
                hits=each.hits * scale,
                hit_rate=each.hit_rate,
                operations=each.operations * scale,
                share=each.operations / operations if operations else 0.0,
                largest=each.largest,
                too_large=each.too_large * scale,
                cut=each.cut * scale,
                cost=self._question.prices.momento(self._of_a_month(each.operations * scale)),
            )
            for name, each in sums.items()
        ]
        return sorted(rows, key=lambda row: (-row.operations, row.name))
