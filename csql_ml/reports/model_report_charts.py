"""The model report's drawings: inline SVG without colours, each with a title, a description and a table beside it.

A line has a class and a dash of its own, so that it is told apart without colour, too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil, floor, log10

from markupsafe import Markup

from csql_ml.reports.chart import axis_top

#: Drawing area in SVG units, and the margins around the plot.
WIDTH, HEIGHT = 360, 236
LEFT, RIGHT, TOP, BOTTOM = 46, 14, 12, 42
#: The same for a row of the swarm.
SWARM_WIDTH, SWARM_HEIGHT = 400, 34
_STACKED = 14  # points of a swarm above each other at most

Write = Callable[[float], str]
Points = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Series:
    """One line, or the points of one kind.

    ``intervals`` has low and high of each point; ``dots`` draws the points, ``line`` connects them.
    """

    kind: str
    points: Points
    intervals: Sequence[tuple[float | None, float | None]] = ()
    line: bool = True
    dots: bool = False


@dataclass(frozen=True)
class Plot:
    """Two axes with series; ``marks`` are places on the axes with what is written there."""

    title: str
    description: str
    series: Sequence[Series]
    x: tuple[float, float]
    y: tuple[float, float]
    x_marks: Sequence[tuple[float, str]]
    y_marks: Sequence[tuple[float, str]]
    x_name: str = ""
    diagonal: bool = False
    level: float | None = None


@dataclass(frozen=True)
class Mark:
    """A row of a forest: a value with its interval, and the words beside it."""

    name: str
    value: float
    low: float
    high: float
    told: str
    kind: str = ""


@dataclass(frozen=True)
class Bar:
    """A bar in parts, from the left: kind and size of each."""

    name: str
    parts: Sequence[tuple[str, float]]
    told: str = ""


def plot(of: Plot) -> Markup:
    """Lines, points and whiskers on two axes."""

    def place(point: tuple[float, float]) -> tuple[str, str]:
        return _short(_along(point[0], of.x, LEFT, WIDTH - RIGHT)), _short(_along(point[1], of.y, HEIGHT - BOTTOM, TOP))

    body = [_axes(of)]
    if of.diagonal:
        (x0, y0), (x1, y1) = place((of.x[0], of.y[0])), place((of.x[1], of.y[1]))
        body.append(Markup('<path class="limit" d="M{} {}L{} {}"/>').format(x0, y0, x1, y1))
    if of.level is not None:
        body.append(Markup('<path class="limit" d="M{} {}H{}"/>').format(LEFT, place((0, of.level))[1], WIDTH - RIGHT))
    body += [_drawn(series, place) for series in of.series]
    return _picture(of.title, of.description, HEIGHT, body)


def _drawn(series: Series, place: Callable[[tuple[float, float]], tuple[str, str]]) -> Markup:
    places = [place(p) for p in series.points]
    parts = []
    for (x, _), (low, high) in zip(series.points, series.intervals, strict=False):
        if low is None or high is None:
            continue
        at, bottom, top = place((x, low))[0], place((x, low))[1], place((x, high))[1]
        parts.append(Markup('<path class="whisker" d="M{} {}V{}"/>').format(at, bottom, top))
    if series.line and len(places) > 1:
        parts.append(Markup('<path class="stroke" d="M{}"/>').format("L".join(f"{x} {y}" for x, y in places)))
    if series.dots and len(places) > 40:  # many: a path is shorter than circles
        parts.append(Markup('<path class="cloud" d="{}"/>').format("".join(f"M{x} {y}h0" for x, y in places)))
    elif series.dots:
        parts += [Markup('<circle class="dot" cx="{}" cy="{}" r="3.5"/>').format(x, y) for x, y in places]
    return Markup('<g class="{}">{}</g>').format(series.kind, Markup("").join(parts))


def _axes(of: Plot) -> Markup:
    floor_, parts = HEIGHT - BOTTOM, []
    for value, label in of.y_marks:
        y = _short(_along(value, of.y, floor_, TOP))
        parts.append(
            Markup('<path class="grid" d="M{} {}H{}"/><text x="{}" y="{}" dy="4" text-anchor="end">{}</text>').format(
                LEFT, y, WIDTH - RIGHT, LEFT - 6, y, label
            )
        )
    for i, (value, label) in enumerate(of.x_marks):
        anchor = "start" if i == 0 else "end" if i == len(of.x_marks) - 1 else "middle"
        x = _short(_along(value, of.x, LEFT, WIDTH - RIGHT))
        parts.append(Markup('<text x="{}" y="{}" text-anchor="{}">{}</text>').format(x, floor_ + 16, anchor, label))
    parts.append(
        Markup('<text class="axis" x="{}" y="{}" text-anchor="middle">{}</text>').format(
            (LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8, of.x_name
        )
    )
    return Markup("").join(parts)


def forest(
    marks: Sequence[Mark], title: str, description: str, write: Write, *, zero: bool = False, top: float | None = None
) -> Markup:
    """Values with their intervals below each other, each with its words; ``zero`` draws a line at 0 and centres it."""
    ends = [v for m in marks for v in (m.low, m.high, m.value)]
    if zero:
        reach = axis_top([abs(v) for v in ends])
        low, high = -reach, reach
    else:
        low, high = 0.0, top or axis_top(ends)
    row, body = 46, []
    height = row * len(marks) + 26
    places = [
        (v, _along(v, (low, high), 10, WIDTH - 10)) for v in ((low, 0.0, high) if zero else (low, high / 2, high))
    ]
    for i, (value, x) in enumerate(places):
        anchor = ("start", "middle", "end")[i]
        kind = "limit" if zero and i == 1 else "grid"
        body.append(
            Markup('<path class="{}" d="M{} 6V{}"/><text x="{}" y="{}" text-anchor="{}">{}</text>').format(
                kind, _short(x), height - 22, _short(x), height - 7, anchor, write(value)
            )
        )
    for i, mark in enumerate(marks):
        y = row * i + 34
        at, left, right = (_short(_along(v, (low, high), 10, WIDTH - 10)) for v in (mark.value, mark.low, mark.high))
        body.append(
            Markup(
                '<g class="{0}"><text class="name" x="10" y="{1}">{2}</text>'
                '<text class="told" x="{3}" y="{1}" text-anchor="end">{4}</text>'
                '<path class="whisker" d="M{5} {6}H{7}M{5} {8}V{9}M{7} {8}V{9}"/>'
                '<circle class="dot" cx="{10}" cy="{6}" r="5"/></g>'
            ).format(mark.kind, y - 14, mark.name, WIDTH - 10, mark.told, left, y, right, y - 4, y + 4, at)
        )
    return _picture(title, description, height, body)


def stacked(bars: Sequence[Bar], title: str, description: str) -> Markup:
    """Bars in parts below each other, all on one scale; the name above each, the words at its right end."""
    longest = max((sum(size for _, size in b.parts) for b in bars), default=0.0) or 1.0
    row, body = 40, []
    for i, one in enumerate(bars):
        y, x = row * i + 4, 0.0
        body.append(Markup('<text class="name" x="0" y="{}">{}</text>').format(y + 10, one.name))
        body.append(
            Markup('<text class="told" x="{}" y="{}" text-anchor="end">{}</text>').format(WIDTH, y + 10, one.told)
        )
        for kind, size in one.parts:
            width = WIDTH * size / longest
            if width > 0:
                body.append(
                    Markup('<rect class="{}" x="{}" y="{}" width="{}" height="14"/>').format(
                        kind, _short(x), y + 16, _short(max(width - 1, 0.6))
                    )
                )
            x += width
    return _picture(title, description, row * len(bars), body)


def share_bar(share: float) -> Markup:
    """A bar from 0 to ``share`` of its place; it repeats the number beside it, so a screen reader passes over it."""
    width = _short(max(100 * share, 0.6))
    return Markup('<svg class="share" aria-hidden="true"><rect width="{}%" height="12"/></svg>').format(width)


def swarm(
    points: Sequence[float], levels: Sequence[float | None], low: float, high: float, title: str, description: str
) -> Markup:
    """Every account's points on one line; equal ones are put above each other.

    A hollow ring is a low value, a full dot a high one, a small dot what has no level.
    """
    kinds: dict[str, list[str]] = {"low": [], "middle": [], "high": [], "none": []}
    counts: dict[int, int] = {}
    order = sorted(range(len(points)), key=lambda i: (points[i], i))
    for i in order:
        x = round(_along(points[i], (low, high), 6, SWARM_WIDTH - 6) / 3)
        number = counts[x] = counts.get(x, 0) + 1
        side = (number // 2) * (1 if number % 2 else -1)
        y = SWARM_HEIGHT / 2 + (side % _STACKED if side > 0 else -(-side % _STACKED)) * 2.1
        kinds[_level(levels[i])].append(f"M{x * 3} {_short(y)}h0")
    zero = _short(_along(0.0, (low, high), 6, SWARM_WIDTH - 6))
    drawn = Markup("").join(_ring(kind, "".join(path)) for kind, path in kinds.items() if path)
    return Markup(
        '<svg class="swarm" viewBox="0 0 {} {}" role="img"><title>{}</title><desc>{}</desc>'
        '<path class="limit" d="M{} 0V{}"/>{}</svg>'
    ).format(SWARM_WIDTH, SWARM_HEIGHT, title, description, zero, SWARM_HEIGHT, drawn)


def _level(level: float | None) -> str:
    if level is None:
        return "none"
    return "low" if level < 1 / 3 else "high" if level > 2 / 3 else "middle"


def _ring(kind: str, path: str) -> Markup:
    """Dots of one kind; those of low values get a hole."""
    hole = Markup('<path class="hole" d="{}"/>').format(path) if kind == "low" else Markup("")
    return Markup('<path class="s-{}" d="{}"/>{}').format(kind, path, hole)


def ticks(low: float, high: float, least: int = 3) -> list[float]:
    """Round numbers from ``low`` to ``high``, at least about ``least`` where they differ."""
    if high <= low:
        return [low]
    power = 10.0 ** floor(log10((high - low) / least))
    step = max(s * power for s in (1.0, 2.0, 5.0) if s == 1.0 or (high - low) / (s * power) >= least)
    first, last = ceil(low / step - 1e-9), floor(high / step + 1e-9)
    return [k * step for k in range(first, last + 1)]


def _along(value: float, ends: tuple[float, float], start: float, stop: float) -> float:
    low, high = ends
    share = (min(max(value, low), high) - low) / (high - low) if high > low else 0.5
    return start + (stop - start) * share


def _picture(title: str, description: str, height: float, body: Sequence[Markup]) -> Markup:
    return Markup('<svg class="chart" viewBox="0 0 {} {}" role="img"><title>{}</title><desc>{}</desc>{}</svg>').format(
        WIDTH, _short(height), title, description, Markup("").join(body)
    )


def _short(number: float) -> str:
    return f"{number:.1f}".removesuffix(".0")
