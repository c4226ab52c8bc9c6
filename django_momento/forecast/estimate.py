"""Estimate the figures of all keys from those of the sample, and how far the estimate may be off.

The recorder counts all keys by stratum: by verb and outcome. So only the mean of a stratum is estimated, and
the hit rate of the sample hardly matters: a read that was a hit in the trace is a hit at Momento, unless
Momento has lost the item.

The keys of the sample are in parts by their hash. Each estimate is made again without each of the parts, and
the differences tell its error (jackknife). Without sampling there is no such error.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import sqrt

from .load import Load
from .totals import PARTS, READS, Stratum, Sums, Totals

# Student's t for 31 degrees of freedom: 95 of 100 such intervals contain the true figure.
_T95 = 2.04

Figure = Callable[[Sums], float]
_Strata = Mapping[Stratum, Sums]


class Estimate:
    """Figures of all keys. If the other keys were not counted, a key of the sample stands for several."""

    def __init__(self, totals: Totals) -> None:
        self._totals = totals
        self._strata: _Strata = totals.strata
        self._is_counted = totals.sample == 1 or bool(totals.others)
        # The strata without each of the parts.
        self._without = [_subtract(totals.strata, part) for part in totals.parts]

    def total(self, figure: Figure, verbs: frozenset[str] | None = None) -> float:
        """Return the total of a figure, of some verbs or of all."""
        return self._total(self._strata, figure, verbs, self._totals.sample)

    def ratio(self, figure: Figure, other: Figure) -> float | None:
        """Return the ratio of two totals, or None if the second is 0."""
        return _divide(self.total(figure), self.total(other))

    def error(self, figure: Figure) -> float:
        """Return the half width of the interval of 95 % around a total."""
        share = self._totals.sample * (PARTS - 1) / PARTS
        return self._spread([self._total(each, figure, None, share) for each in self._without])

    def error_of_ratio(self, figure: Figure, other: Figure) -> float:
        """Return the half width of the interval of 95 % around the ratio of two totals."""
        share = self._totals.sample * (PARTS - 1) / PARTS
        ratios = []
        for each in self._without:
            totals = [self._total(each, part, None, share) for part in (figure, other)]
            if (ratio := _divide(*totals)) is not None:
                ratios.append(ratio)
        return min(1.0, self._spread(ratios))

    def recorded_hit_rate(self) -> float | None:
        """Return the hit rate of the recorded cache."""
        counts = {stratum: self._count(stratum, sums) for stratum, sums in self._strata.items()}
        for stratum in self._totals.others.keys() - counts.keys():
            counts[stratum] = self._totals.others[stratum]
        reads = {stratum: count for stratum, count in counts.items() if stratum[0] in READS}
        return _divide(sum(count for (_, hit), count in reads.items() if hit), sum(reads.values()))

    def load(self, load: Load, figure: Figure) -> Load:
        """Return the load of all keys from that of the sample, whose operations are the figure."""
        if not self._is_counted:
            return load.times(1 / self._totals.sample)
        found = load.times(1)
        means = {stratum: figure(sums) / sums.keys for stratum, sums in self._strata.items()}
        usual = _divide(sum(map(figure, self._strata.values())), self._sampled_keys()) or 1.0
        for second, counts in self._totals.others_by_second.items():
            found.add(second, sum(count * means.get(stratum, usual) for stratum, count in counts.items()))
        return found

    def factor(self, figure: Figure) -> float:
        """Return the number by which a figure of the sample is multiplied."""
        return _divide(self.total(figure), sum(map(figure, self._strata.values()))) or 1 / self._totals.sample

    @property
    def calls(self) -> float:
        """The number of calls."""
        return self._totals.calls if self._is_counted else self._totals.calls / self._totals.sample

    def _sampled_keys(self) -> int:
        return sum(sums.keys for sums in self._strata.values())

    def _count(self, stratum: Stratum, sums: Sums) -> float:
        if self._is_counted:
            return sums.keys + self._totals.others.get(stratum, 0)
        return sums.keys / self._totals.sample

    def _total(self, strata: _Strata, figure: Figure, verbs: frozenset[str] | None, sample: float) -> float:
        """Return the total of a figure by the means of the strata of a sample of this share."""
        total = 0.0
        for stratum, all_sums in self._strata.items():
            if verbs is not None and stratum[0] not in verbs:
                continue
            sums = strata.get(stratum, all_sums)
            if self._is_counted:
                total += figure(sums) * self._count(stratum, all_sums) / sums.keys
            else:
                total += figure(sums) / sample
        usual = _divide(sum(map(figure, strata.values())), sum(sums.keys for sums in strata.values())) or 0.0
        for stratum, count in self._totals.others.items():
            if stratum not in self._strata and (verbs is None or stratum[0] in verbs):
                total += usual * count
        return total

    def _spread(self, estimates: list[float]) -> float:
        if len(estimates) < 2:
            return 0.0
        mean = sum(estimates) / len(estimates)
        squares = sum((each - mean) ** 2 for each in estimates)
        variance = squares * (len(estimates) - 1) / len(estimates)
        return _T95 * sqrt((1 - self._totals.sample) * variance)


def _subtract(strata: _Strata, part: _Strata) -> dict[Stratum, Sums]:
    """Return the sums of the strata without a part of them. A stratum that is all in the part is left out."""
    found = {}
    for stratum, sums in strata.items():
        of_part = part.get(stratum)
        if of_part is None:
            found[stratum] = sums
        elif of_part.keys < sums.keys:
            rest = found[stratum] = Sums()
            for name in ("keys", "reads", "hits", "operations"):
                setattr(rest, name, getattr(sums, name) - getattr(of_part, name))
    return found


def _divide(one: float, other: float) -> float | None:
    return one / other if other else None
