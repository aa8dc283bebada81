"""The dashboard's drawings: inline SVG without colours, each with a title, a description and a table beside it.

A `strip` has no text and is stretched to its cell, so its places are percentages. `trend` and `cycle` keep their
proportions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from csql_ml.reports.chart import axis_top

#: Drawing area in SVG units, and the margins around the plot.
WIDTH, HEIGHT = 360, 184
LEFT, RIGHT, TOP, BOTTOM = 46, 12, 12, 34
_PLOT = WIDTH - LEFT - RIGHT
_FLOOR = HEIGHT - BOTTOM
#: A mark is at least so wide, in percent, so that a small part stays visible.
_SLIVER = 0.8

Write = Callable[[float], str]


@dataclass(frozen=True)
class Point:
    """A figure with its interval; None where there is none.

    ``most``: where it ends if everything that is open turns out well; ``told`` is what the point says when asked.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    most: float | None = None
    told: str = ""

    @property
    def open(self) -> bool:
        """Whether open leads can still move it."""
        return self.most is not None and self.value is not None and self.most > self.value


@dataclass(frozen=True)
class Series:
    """Figures over quarters, oldest first.

    ``goal``: the benchmark; ``bars``: columns from zero instead of points.
    """

    points: Sequence[Point]
    labels: Sequence[tuple[str, str]]
    title: str
    description: str
    goal: float | None = None
    top: float | None = None
    bars: bool = False


@dataclass(frozen=True)
class Curve:
    """Share closed by day: ``(day, share, low, high)`` from day 0 on; ``marks`` are the days on the axis."""

    steps: Sequence[tuple[float, float, float, float]]
    marks: Sequence[float]
    title: str
    description: str
    goal: float
    goal_label: str
    median: float | None = None
    median_label: str = ""

    @property
    def last_day(self) -> float:
        """The day at the right end."""
        return self.marks[-1]


def strip(point: Point, goal: float | None, title: str, *, expected: float | None = None) -> Markup:
    """A figure between 0 and 1 on a line: its interval, what open leads may add, and a tick at the benchmark."""
    parts = [Markup('<rect class="track" y="7" width="100%" height="2"/>')]
    if point.low is not None and point.high is not None:
        parts.append(_span("range", point.low, point.high, 4, 8))
    if point.value is not None and point.open:
        parts.append(_span("more", point.value, point.most or 0.0, 4, 8))
    if goal is not None:
        parts.append(Markup('<rect class="goal" x="{}%" y="0" width="2" height="16"/>').format(_short(100 * goal)))
    if expected is not None:
        at = _short(100 * expected)
        parts.append(Markup('<circle class="expected" cx="{}%" cy="8" r="4"/>').format(at))
    if point.value is not None:
        at = _short(min(max(100 * point.value, 1.5), 98.5))
        parts.append(Markup('<circle class="dot" cx="{}%" cy="8" r="4"/>').format(at))
    return Markup('<svg class="strip" role="img"><title>{}</title>{}</svg>').format(title, Markup("").join(parts))


def funnel_bar(
    reached: float, most: float, low: float | None, high: float | None, goal: float | None, title: str
) -> Markup:
    """One stage of the funnel as a broad bar; what open leads may add is hatched, the interval a whisker."""
    parts = [Markup('<rect class="track" width="100%" height="34" rx="4"/>'), _span("full", 0.0, reached, 0, 34)]
    if most > reached:
        parts.append(_span("more", reached, most, 0, 34))
    if low is not None and high is not None:
        ends = _short(100 * low), _short(100 * high)
        for kind in ("halo", "whisker"):
            parts.append(Markup('<line class="{}" x1="{}%" x2="{}%" y1="17" y2="17"/>').format(kind, *ends))
            parts += [Markup('<line class="{}" x1="{}%" x2="{}%" y1="11" y2="23"/>').format(kind, x, x) for x in ends]
    if goal is not None:
        parts.append(Markup('<rect class="goal" x="{}%" width="2" height="34"/>').format(_short(100 * goal)))
    return Markup('<svg class="funnelbar" role="img"><title>{}</title>{}</svg>').format(title, Markup("").join(parts))


def share_bar(share: float, title: str) -> Markup:
    """A plain bar from 0 to ``share``."""
    return Markup('<svg class="sharebar" role="img"><title>{}</title>{}</svg>').format(
        title, Markup('<rect class="track" width="100%" height="8" rx="4"/>') + _span("full", 0.0, share, 0, 8)
    )


def trend(series: Series, written: Write) -> Markup:
    """Points with error bars, or columns, over the quarters; a dashed line at the benchmark."""
    drawn = (v for p in series.points for v in (p.value, None if series.bars else p.high))
    top = series.top or axis_top([v for v in (*drawn, series.goal) if v is not None])
    body = [_grid(top, written), _goal_line(series, top)]
    xs = [_middle(i, len(series.points)) for i in range(len(series.points))]
    if not series.bars:
        body.append(_path(xs, series.points, top))
    body += [_mark(x, p, top, len(xs), bars=series.bars) for x, p in zip(xs, series.points, strict=True)]
    body.append(_quarters(xs, series.labels))
    return _drawing("trend", series.title, series.description, body)


def cycle(curve: Curve, written: Write, days: Write) -> Markup:
    """The rising curve of leads closed, with its interval, the median and the benchmark's days."""

    def x(day: float) -> float:
        return LEFT + _PLOT * min(day / curve.last_day, 1.0)

    def y(share: float) -> float:
        return _y(share, 1.0)

    shown = [s for s in curve.steps if s[0] <= curve.last_day]
    upper = _stairs([(x(d), y(high)) for d, _, _, high in shown], x(curve.last_day))
    lower = _stairs([(x(d), y(low)) for d, _, low, _ in shown], x(curve.last_day))
    line = _stairs([(x(d), y(share)) for d, share, _, _ in shown], x(curve.last_day))
    body = [
        _grid(1.0, written),
        Markup('<path class="range" d="M{}L{}Z"/>').format(_joined(upper), _joined(lower[::-1])),
    ]
    body.append(_days_axis(curve, x, days))
    goal = _short(x(curve.goal))
    body.append(Markup('<path class="goal" d="M{} {}V{}"/>').format(goal, TOP, _FLOOR))
    after = x(curve.goal) < WIDTH - RIGHT - 100
    body.append(
        Markup('<text class="goal" x="{}" y="{}"{}>{}</text>').format(
            _short(x(curve.goal) + (5 if after else -5)),
            _FLOOR - 8,
            Markup("") if after else Markup(' text-anchor="end"'),
            curve.goal_label,
        )
    )
    body.append(Markup('<path class="stroke" d="M{}"/>').format(_joined(line)))
    if curve.median is not None and curve.median <= curve.last_day:
        body.append(
            Markup('<circle class="dot" cx="{}" cy="{}" r="4"><title>{}</title></circle>').format(
                _short(x(curve.median)), _short(y(0.5)), curve.median_label
            )
        )
    return _drawing("cycle", curve.title, curve.description, body)


def _drawing(kind: str, title: str, description: str, body: Sequence[Markup]) -> Markup:
    return Markup('<svg class="{}" viewBox="0 0 {} {}" role="img"><title>{}</title><desc>{}</desc>{}</svg>').format(
        kind, WIDTH, HEIGHT, title, description, Markup("").join(body)
    )


def _span(kind: str, start: float, end: float, y: int, height: int) -> Markup:
    left = min(max(100 * start, 0.0), 100.0)
    width = max(min(100 * end, 100.0) - left, _SLIVER)
    return Markup('<rect class="{}" x="{}%" y="{}" width="{}%" height="{}" rx="{}"/>').format(
        kind, _short(min(left, 100 - width)), y, _short(width), height, 4 if height > 8 else 3
    )


def _middle(index: int, count: int) -> float:
    return LEFT + _PLOT * (index + 0.5) / max(count, 1)


def _y(value: float, top: float) -> float:
    return TOP + (_FLOOR - TOP) * (1 - min(value / top, 1.0))


def _short(number: float) -> str:
    """At most one decimal; SVG needs a point whatever the language."""
    return f"{number:.1f}".removesuffix(".0")


def _grid(top: float, written: Write) -> Markup:
    return Markup("").join(
        Markup('<path class="grid" d="M{} {}H{}"/><text x="{}" y="{}" dy="3.5" text-anchor="end">{}</text>').format(
            LEFT, _short(_y(v, top)), WIDTH - RIGHT, LEFT - 6, _short(_y(v, top)), written(v)
        )
        for v in (0.0, top / 2, top)
    )


def _goal_line(series: Series, top: float) -> Markup:
    if series.goal is None:
        return Markup("")
    return Markup('<path class="goal" d="M{} {}H{}"/>').format(LEFT, _short(_y(series.goal, top)), WIDTH - RIGHT)


def _path(xs: Sequence[float], points: Sequence[Point], top: float) -> Markup:
    """A line through the points; a quarter without a figure is a gap."""
    runs: list[list[tuple[float, float]]] = [[]]
    for x, p in zip(xs, points, strict=True):
        if p.value is None:
            runs.append([])
        else:
            runs[-1].append((x, _y(p.value, top)))
    return Markup("").join(
        Markup('<path class="stroke" d="M{}"/>').format(_joined(run)) for run in runs if len(run) > 1
    )


def _mark(x: float, point: Point, top: float, count: int, *, bars: bool) -> Markup:
    if point.value is None:
        return Markup("")
    parts = [Markup("<title>{}</title>").format(point.told)]
    at, y = _short(x), _y(point.value, top)
    if bars:
        width = min(_PLOT / count * 0.62, 46)
        parts.append(
            Markup('<rect class="{}" x="{}" y="{}" width="{}" height="{}" rx="2"/>').format(
                "full open" if point.open else "full",
                _short(x - width / 2),
                _short(min(y, _FLOOR - 0.8)),
                _short(width),
                _short(max(_FLOOR - y, 0.8)),
            )
        )
    elif point.low is not None and point.high is not None:
        ends = _short(_y(point.low, top)), _short(_y(point.high, top))
        parts.append(Markup('<path class="whisker" d="M{0} {1}V{2}"/>').format(at, *ends))
    if not bars:
        kind = "dot open" if point.open else "dot"
        parts.append(Markup('<circle class="{}" cx="{}" cy="{}" r="4"/>').format(kind, at, _short(y)))
    return Markup("<g>{}</g>").format(Markup("").join(parts))


def _quarters(xs: Sequence[float], labels: Sequence[tuple[str, str]]) -> Markup:
    """Quarters below the axis, and the year below the first of it."""
    parts, year = [], ""
    sparse = 2 if len(xs) > 9 else 1
    for i, (x, (quarter, of_year)) in enumerate(zip(xs, labels, strict=True)):
        if i % sparse == 0:
            parts.append(
                Markup('<text x="{}" y="{}" text-anchor="middle">{}</text>').format(_short(x), _FLOOR + 15, quarter)
            )
        if of_year != year:
            year = of_year
            parts.append(
                Markup('<text class="year" x="{}" y="{}" text-anchor="middle">{}</text>').format(
                    _short(x), _FLOOR + 29, of_year
                )
            )
    return Markup("").join(parts)


def _days_axis(curve: Curve, x: Callable[[float], float], days: Write) -> Markup:
    return Markup("").join(
        Markup('<text x="{}" y="{}" text-anchor="middle">{}</text>').format(_short(x(d)), _FLOOR + 15, days(d))
        for d in curve.marks
    )


def _stairs(points: Sequence[tuple[float, float]], end: float) -> list[tuple[float, float]]:
    """A curve that keeps its height until the next step."""
    found: list[tuple[float, float]] = []
    for x, y in points:
        if found:
            found.append((x, found[-1][1]))
        found.append((x, y))
    return [*found, (end, found[-1][1])] if found else found


def _joined(points: Sequence[tuple[float, float]]) -> str:
    return "L".join(f"{_short(x)} {_short(y)}" for x, y in points)
