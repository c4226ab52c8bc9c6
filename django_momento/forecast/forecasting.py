"""Make a forecast of a trace: replay it once for each scenario, all in one pass over the events."""

from __future__ import annotations

import gc
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from operator import attrgetter

from ..local.limits import ON_DEMAND
from ..redaction import quote
from ..traces.reading import Trace, TraceError
from .bursts import MAX_GAP, Bursts
from .estimate import Estimate, Figure
from .load import Load
from .prices import NO_PRICES, SECONDS_OF_A_MONTH, Prices
from .replay import Replay
from .report import Elasticache, GroupRow, Outcome, Report, TraceFacts
from .store import DEFAULT_STORAGE

DEFAULT_LIMIT = float(ON_DEMAND.operations_per_second)
# Events between two calls of the progress.
_STEP = 20_000
_POINTS = 240

Progress = Callable[[str, int, int], object]

_keys, _reads, _hits, _writes = (attrgetter(name) for name in ("keys", "reads", "hits", "writes"))
_operations, _packed, _units = (attrgetter(name) for name in ("operations", "packed", "units"))
_too_large, _cut = attrgetter("too_large"), attrgetter("cut")
_OF_ROWS: tuple[Figure, ...] = (_keys, _reads, _hits, _operations, _too_large, _cut)


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
        self._bursts = Bursts()
        self._started = self._ended = 0
        self._replay = self._start(0)
        self._estimate = Estimate(self._replay.totals)

    def run(self, progress: Progress) -> Report:
        trace, follow_burst = self._trace, self._bursts.apply
        size = max(1, trace.size)
        done = 0
        for process, event in trace.events():
            if not done:
                self._replay = self._start(event[0])
                replay = self._replay.apply
            replay(process, event)
            follow_burst(process, event)
            done += 1
            if done % _STEP == 0:
                progress("replay, percent", min(trace.bytes_read, size) * 100 // size, 100)
        if not done:
            skipped = f", and {trace.skipped} lines that are no events" if trace.skipped else ""
            raise TraceError(
                f"The trace has no event in it{skipped}. Record some traffic first, and check SAMPLE."
            )
        self._ended = self._replay.store.now
        self._replay.finish()
        self._estimate = Estimate(self._replay.totals)
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
        return max(1.0, (self._ended - self._started - self._replay.paused) / 1000)

    def _of_a_month(self, total: float) -> float:
        return total * SECONDS_OF_A_MONTH / self._seconds

    def _report(self, events: int) -> Report:
        trace, question, replay, estimate = self._trace, self._question, self._replay, self._estimate
        totals, scale = replay.totals, 1 / trace.sample
        base_load = estimate.load(replay.load, _operations)
        baseline = self._outcome("as it is", "No change", base_load)
        units, mean_bytes = estimate.total(_units), totals.byte_seconds / self._seconds * scale
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
                paused_seconds=replay.paused / 1000,
                sampled_keys=len(replay.store.believed),
                recorded_hit_rate=estimate.recorded_hit_rate(),
            ),
            limit=question.limit,
            baseline=baseline,
            hit_rate_error=estimate.error_of_ratio(_hits, _reads),
            operations_error=estimate.error(_operations),
            calls=estimate.calls,
            keys=estimate.total(_keys),
            mean_per_second=baseline.operations / self._seconds,
            minutes=-(-len(base_load.seconds) // 60),
            operations_of_a_month=self._of_a_month(baseline.operations),
            peak_bytes=totals.peak_bytes * scale,
            storage=question.storage,
            too_large=estimate.total(_too_large),
            cut=estimate.total(_cut),
            writes=estimate.total(_writes),
            elasticache=Elasticache(
                units,
                self._of_a_month(units),
                mean_bytes,
                question.prices.elasticache(self._of_a_month(units), mean_bytes),
            ),
            groups=self._group_rows(baseline.operations),
            verbs=self._verb_rows(baseline.operations),
            what_ifs=self._what_ifs(base_load),
            series=base_load.series(_POINTS),
        )

    def _outcome(
        self, name: str, change: str, load: Load, further_hits: float = 0, note: str = ""
    ) -> Outcome:
        reads, hits = self._estimate.total(_reads), self._estimate.total(_hits) + further_hits
        return Outcome(
            name=name,
            change=change,
            reads=reads,
            hits=hits,
            hit_rate=hits / reads if reads else None,
            operations=load.total,
            per_second=load.percentiles(),
            minutes_over=load.minutes_over(self._question.limit),
            over_limit=load.excess(self._question.limit),
            cost=self._question.prices.momento(self._of_a_month(load.total)),
            note=note,
        )

    def _what_ifs(self, base_load: Load) -> list[Outcome]:
        replay, question, estimate = self._replay, self._question, self._estimate
        near, stale, longer = replay.near, replay.stale, replay.longer
        factor = estimate.factor(_reads)
        packed_load = estimate.load(replay.packed_load, _packed)
        measured = replay.compression.was_measured
        return [
            self._outcome(
                "compression",
                "COMPRESSOR = zlib",
                packed_load,
                note="Measured with zlib." if measured else "No value is large enough to gain.",
            ),
            self._outcome(
                "near cache",
                f"NEAR_SECONDS = {question.near:g}",
                base_load + near.load.times(factor),
                near.hits * factor,
                f"{near.served * factor:,.0f} reads come from memory. {near.old * factor:,.0f} of them get "
                f"a value that another process has changed, up to {question.near:g} s late.",
            ),
            self._outcome(
                "compression and near cache",
                f"COMPRESSOR = zlib, NEAR_SECONDS = {question.near:g}",
                packed_load + near.packed_load.times(factor),
                near.hits * factor,
            ),
            self._outcome("batching", "get_many for gets in a row", base_load, note=self._batching_note()),
            self._outcome(
                "longer timeouts",
                "No limit of 24 hours",
                base_load + longer.load.times(factor),
                longer.hits * factor,
                f"{estimate.total(_cut):,.0f} writes have a longer timeout, or none. This needs provisioned "
                "storage.",
            ),
            self._outcome(
                "stale values",
                f"Old values for {question.stale:g} s",
                base_load + stale.load.times(factor),
                stale.hits * factor,
                f"{stale.hits * factor:,.0f} reads get the old value while one caller computes the next.",
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

    def _group_rows(self, operations: float) -> list[GroupRow]:
        """Return a row for each key group. The groups of keys outside the sample are not known."""
        factor = self._estimate.factor(_operations)
        rows = []
        for name, sums in self._replay.totals.groups.items():
            figures = {figure: figure(sums) * factor for figure in _OF_ROWS}
            rows.append(self._row(quote(name, 80) or "(no key)", figures, sums.largest, operations))
        return _by_operations(rows)

    def _verb_rows(self, operations: float) -> list[GroupRow]:
        totals, rows = self._replay.totals, []
        for verb in {verb for verb, _ in (*totals.strata, *totals.others)}:
            figures = {figure: self._estimate.total(figure, frozenset({verb})) for figure in _OF_ROWS}
            largest = max(
                (each.largest for (name, _), each in totals.strata.items() if name == verb), default=0
            )
            rows.append(self._row(quote(verb, 80), figures, largest, operations))
        return _by_operations(rows)

    def _row(self, name: str, figures: Mapping[Figure, float], largest: int, operations: float) -> GroupRow:
        reads, hits, cost = figures[_reads], figures[_hits], figures[_operations]
        return GroupRow(
            name=name,
            keys=figures[_keys],
            reads=reads,
            hits=hits,
            hit_rate=hits / reads if reads else None,
            operations=cost,
            share=cost / operations if operations else 0.0,
            largest=largest,
            too_large=figures[_too_large],
            cut=figures[_cut],
            cost=self._question.prices.momento(self._of_a_month(cost)),
        )


def _by_operations(rows: list[GroupRow]) -> list[GroupRow]:
    return sorted(rows, key=lambda row: (-row.operations, row.name))
