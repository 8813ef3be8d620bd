"""Plots as the templates draw them: scales, marks, labels, and the table of the same values.

Positions are percentages of the plot's area, from its upper left corner, so that a plot has any
size and its text always the size of the page's.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

TONES = 8  # colours of series that mean nothing by themselves
LABELS = 5  # of the horizontal axis, at most
DURATIONS = (0.1, 1, 10, 60, 600, 3600, 6 * 3600, 86400, 7 * 86400, 30 * 86400, 365 * 86400)

Values = Sequence[float | None]


@dataclass(frozen=True, slots=True)
class Column:
    """One series. `tone`: its colour, as the style sheet names it."""

    name: str
    values: Values
    tone: str


@dataclass(frozen=True, slots=True)
class Mark:
    """A text on an axis."""

    text: str
    at: float  # per cent
    anchor: str = "middle"


@dataclass(frozen=True, slots=True)
class PlotBar:
    x: float
    y: float
    width: float
    height: float
    tone: str
    text: str


@dataclass(frozen=True, slots=True)
class Line:
    """`path`: of SVG, in a square of 100 units. `dots`: points without neighbours."""

    path: str
    dots: str
    tone: str


@dataclass(slots=True)
class Plot:
    """What a template needs. `head` and `rows` are the table of the same values."""

    name: str  # of its element
    title: str
    text: str  # what a person who does not see it should know
    legend: list[tuple[str, str]]  # name, tone
    head: list[str]
    rows: list[list[str]]
    bars: list[PlotBar] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    across: list[Mark] = field(default_factory=list)
    up: list[Mark] = field(default_factory=list)
    empty: bool = False


def bars(
    name: str, title: str, labels: Sequence[str], columns: Sequence[Column], what: str = "Time"
) -> Plot:
    """Columns on top of each other, of counts; `labels`: one for each place across."""
    used = [one for one in columns if any(one.values)]
    heights = [sum(one.values[n] or 0 for one in used) for n in range(len(labels))]
    top = nice_top(max(heights, default=0))
    plot = _plot(name, title, labels, used or list(columns[:1]), number, what)
    plot.empty = not used
    plot.up = [Mark(number(v), 100 - 100 * v / top) for v in (0, top / 2, top)]
    wide = 100 / max(1, len(labels))
    for place, label in enumerate(labels):
        below = 0.0
        for one in used:
            value = one.values[place] or 0
            if not value:
                continue
            high = 100 * value / top
            below += high
            text = f"{label}: {number(value)} {one.name}"
            plot.bars.append(
                PlotBar(place * wide + wide * 0.1, 100 - below, wide * 0.8, high, one.tone, text)
            )
    plot.text = _sums(used)
    return plot


def durations(
    name: str, title: str, labels: Sequence[str], columns: Sequence[Column], what: str = "Time"
) -> Plot:
    """Lines of seconds, on a logarithmic scale."""
    used = [one for one in columns if any(value is not None for value in one.values)]
    known = [value for one in used for value in one.values if value is not None]
    ticks = duration_ticks(known)
    low, high = math.log(ticks[0]), math.log(ticks[-1])

    def place(value: float) -> float:
        inside = min(max(value, ticks[0]), ticks[-1])
        return 100 - 100 * (math.log(inside) - low) / (high - low)

    plot = _plot(name, title, labels, used or list(columns[:1]), duration, what)
    plot.empty = not used
    plot.up = [Mark(duration(tick), place(tick)) for tick in ticks]
    plot.lines = [_line(one, place, len(labels)) for one in used]
    last = [(one.name, _newest(one.values)) for one in used]
    plot.text = "; ".join(f"{who}: {duration(value)} last" for who, value in last)
    return plot


def lines(
    name: str, title: str, labels: Sequence[str], columns: Sequence[Column], what: str = "Step"
) -> Plot:
    """Lines of any figure, on a linear scale that begins at 0 if all of them are positive."""
    used = [one for one in columns if any(value is not None for value in one.values)]
    known = [value for one in used for value in one.values if value is not None]
    low, high = min([0.0, *known]), max(known, default=1.0)
    if min(known, default=0.0) >= 0 and high <= 1 < 2 * high:  # a share
        high = 1.0
    if high <= low:
        high = low + 1

    def place(value: float) -> float:
        return 100 - 100 * (value - low) / (high - low)

    plot = _plot(name, title, labels, used or list(columns[:1]), figure, what)
    plot.empty = not used
    plot.up = [Mark(figure(v), place(v)) for v in (low, (low + high) / 2, high)]
    plot.lines = [_line(one, place, len(labels)) for one in used]
    ends = [(one.name, _first(one.values), _newest(one.values)) for one in used]
    plot.text = "; ".join(f"{who}: {figure(a)} to {figure(b)}" for who, a, b in ends)
    return plot


def nice_top(highest: float) -> float:
    """The end of a scale of counts that begins at 0: its half is a whole number."""
    if highest <= 2:
        return 2
    unit = 10.0 ** math.floor(math.log10(highest))
    for step in (1, 2, 4, 6, 8, 10):
        if step * unit >= highest and (step * unit / 2).is_integer():
            return step * unit
    return 10 * unit


def duration_ticks(known: Sequence[float]) -> list[float]:
    """The steps of a scale of seconds that holds all of these, two at least."""
    low, high = (min(known), max(known)) if known else (1.0, 60.0)
    first = max((n for n, tick in enumerate(DURATIONS) if tick <= low), default=0)
    last = min((n for n, tick in enumerate(DURATIONS) if tick >= high), default=len(DURATIONS) - 1)
    if last <= first:
        last = min(first + 1, len(DURATIONS) - 1)
        first = last - 1
    return list(DURATIONS[first : last + 1])


def number(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}"


def figure(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"


def duration(seconds: float | None) -> str:
    """`0.4 s`, `12 s`, `3.5 min`, `2 h`, `4 d`."""
    if seconds is None:
        return ""
    for unit, name in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= unit:
            return f"{seconds / unit:.3g} {name}"
    return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"


def hours(moments: Sequence[datetime], *, by_day: bool) -> list[str]:
    """How the horizontal axis and the table call them."""
    return [f"{one:%Y-%m-%d}" if by_day else f"{one:%m-%d %H:00}" for one in moments]


def tone_of(place: int) -> str:
    return f"t{place % TONES}"


def _plot(
    name: str,
    title: str,
    labels: Sequence[str],
    columns: Sequence[Column],
    written: Callable[[float | None], str],
    what: str,
) -> Plot:
    rows = [
        [label, *(written(one.values[place]) for one in columns)]
        for place, label in enumerate(labels)
    ]
    legend = [(one.name, one.tone) for one in columns]
    plot = Plot(name, title, "", legend, [what, *(one.name for one in columns)], rows)
    plot.across = _across(labels)
    return plot


def _across(labels: Sequence[str]) -> list[Mark]:
    """The first, the last, and some between; each in the middle of its place."""
    count = len(labels)
    if not count:
        return []
    step = max(1, math.ceil((count - 1) / (LABELS - 1)))
    shown = list(range(0, count, step))
    anchors = {0: "start", count - 1: "end"}
    wide = 100 / count
    return [
        Mark(
            labels[n], {0: 0.0, count - 1: 100.0}.get(n, (n + 0.5) * wide), anchors.get(n, "middle")
        )
        for n in shown
    ]


def _line(column: Column, place: Callable[[float], float], count: int) -> Line:
    """A gap where nothing was measured; a point without neighbours is a dot."""
    wide = 100 / max(1, count)
    path, dots, drawn = [], [], False
    for n, value in enumerate(column.values):
        if value is None:
            drawn = False
            continue
        x, y = f"{(n + 0.5) * wide:.2f}", f"{place(value):.2f}"
        after = column.values[n + 1] if n + 1 < len(column.values) else None
        if not drawn and after is None:
            dots.append(f"M{x} {y}h0")
        path.append(f"{'L' if drawn else 'M'}{x} {y}")
        drawn = True
    return Line("".join(path), "".join(dots), column.tone)


def _sums(columns: Sequence[Column]) -> str:
    sums = [(one.name, sum(value or 0 for value in one.values)) for one in columns]
    return ", ".join(f"{number(total)} {name}" for name, total in sums)


def _newest(values: Values) -> float | None:
    return next((value for value in reversed(values) if value is not None), None)


def _first(values: Values) -> float | None:
    return next((value for value in values if value is not None), None)
