"""Plots of inline SVG. Their colours are CSS variables of the page, so that they follow light and dark.

Each text is HTML beside the SVG: a reader can resize it, and a checker can measure its contrast.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from math import log10

from .text import duration

_WIDTH, _HEIGHT = 1000, 260


def load_plot(series: Sequence[tuple[int, float, float]], limit: float, seconds: float) -> str:
    """Return the plot of operations a second: the mean and the maximum over time, and the limit as a line."""
    busiest = max(maximum for _, _, maximum in series)
    top = _round_up(max(limit, busiest))
    span = max(1.0, seconds)
    step = max(1, series[1][0] - series[0][0]) if len(series) > 1 else 1

    def x(second: float) -> float:
        return _WIDTH * min(1.0, second / span)

    def y(value: float) -> float:
        return _HEIGHT * (1 - value / top)

    maxima: list[str] = []
    means: list[str] = []
    for start, mean, maximum in series:
        for points, value in ((maxima, maximum), (means, mean)):
            points.append(f"{x(start):.1f},{y(value):.1f}")
            points.append(f"{x(start + step):.1f},{y(value):.1f}")
    maxima = [f"0,{_HEIGHT}", *maxima, f"{maxima[-1].partition(',')[0]},{_HEIGHT}"]
    description = (
        f"Operations a second over {duration(span)}: {busiest:,.0f} in the busiest second, and the limit is "
        f"{limit:,g}."
    )
    grid = "".join(_horizontal("grid", y(top * share)) for share in (0, 0.25, 0.5, 0.75, 1))
    scale = "".join(f"<span>{top * share:,.4g}</span>" for share in (1, 0.75, 0.5, 0.25, 0))
    return (
        f'<div class="plot"><div class="scale" aria-hidden="true">{scale}</div>'
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" preserveAspectRatio="none" role="img" '
        f'aria-label="{escape(description)}">{grid}<polygon class="max" points="{" ".join(maxima)}"/>'
        f'<polyline class="mean" points="{" ".join(means)}"/>{_horizontal("limit", y(limit))}</svg>'
        f'<div class="times" aria-hidden="true"><span>0</span><span>{duration(span / 2)}</span>'
        f"<span>{duration(span)}</span></div></div>"
    )


def bar_plot(bars: Sequence[tuple[str, float, str]]) -> str:
    """Return horizontal bars as a list: each a label, a number, and the text of the number."""
    top = max((number for _, number, _ in bars), default=0) or 1
    rows = []
    for label, number, text in bars:
        width = max(2.0, _WIDTH * number / top)
        rows.append(
            f'<li><span>{escape(label)}</span><svg viewBox="0 0 {_WIDTH} 10" preserveAspectRatio="none" '
            f'aria-hidden="true"><rect class="bar" width="{width:.0f}" height="10"/></svg>'
            f"<span>{escape(text)}</span></li>"
        )
    return f'<ul class="bars">{"".join(rows)}</ul>'


def _horizontal(name: str, height: float) -> str:
    return f'<line class="{name}" x1="0" x2="{_WIDTH}" y1="{height:.1f}" y2="{height:.1f}"/>'


def _round_up(value: float) -> float:
    """Return the next number whose quarters are short: 1, 2, 4, 6, 8 or 10 times a power of 10."""
    power = 10 ** int(log10(value)) if value >= 1 else 1
    return next(step * power for step in (1, 2, 4, 6, 8, 10, 20) if step * power >= value)
