"""Hand-drawn inline SVG. No colours here: every shape has a class, the style sheet knows light, dark and print.

Widths are percentages where a chart has no text, so that bars stretch without distortion; a line chart keeps its
proportions. Every chart has a title and a description; the numbers stand in a table beside it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

#: Drawing area of a line chart, in SVG units: whole picture, and the margins around the plot.
WIDTH, HEIGHT = 360, 168
LEFT, RIGHT, TOP, BOTTOM = 34, 14, 20, 24

#: Counts below this are no counts.
_VISIBLE = 1e-9
_STEPS = (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0)


@dataclass(frozen=True)
class Line:
    """What a line chart shows: one value per bucket, oldest first; None is a gap, not a zero.

    ``limit`` draws a dashed line, for example at the licensed seats.
    """

    values: Sequence[float | None]
    labels: Sequence[str]
    title: str
    description: str
    limit: float | None = None
    limit_label: str = ""


def line_chart(line: Line, written: Callable[[float], str]) -> Markup:
    """A line over time with its last value written out.

    Parameters
    ----------
    line
        What is shown.
    written
        Formats a number for the axis and the last point.
    """
    top = axis_top([v for v in (*line.values, line.limit) if v is not None])
    points = [None if v is None else (_x(i, len(line.values)), _y(v, top)) for i, v in enumerate(line.values)]
    body = [_grid(top, written), _limit(line, top), *_segments(points), _dots(points), _last(line, points, written)]
    body.append(_time_axis(line.labels))
    return Markup('<svg class="line" viewBox="0 0 {} {}" role="img"><title>{}</title><desc>{}</desc>{}</svg>').format(
        WIDTH, HEIGHT, line.title, line.description, Markup("").join(body)
    )


def axis_top(values: Sequence[float]) -> float:
    """The first round number at or above every value; 1 where nothing is to be seen."""
    highest = max(values, default=0.0)
    if highest < _VISIBLE:
        return 1.0
    power = 10.0 ** math.floor(math.log10(highest))
    return next(step * power for step in (*_STEPS, 20.0) if step * power >= highest * (1 - 1e-12))


def bar(start: float, end: float, low: float, high: float, kind: str, title: str) -> Markup:
    """A horizontal bar from ``start`` to ``end`` on a scale from ``low`` to ``high``.

    ``kind`` is the class that colours it; it is at least a sliver wide, so that a small part stays visible.
    """
    left, right = sorted((_share(start, low, high), _share(end, low, high)))
    width = max(right - left, 0.6)
    return Markup(
        '<svg class="bar" role="img"><title>{}</title><rect class="{}" x="{}%" width="{}%" height="14"/></svg>'
    ).format(title, kind, _short(min(left, 100 - width)), _short(width))


def scale(position: float, marks: Sequence[float], title: str) -> Markup:
    """A scale from 0 to 1 with a dot at ``position`` and a tick at every mark."""
    at = _short(100 * min(max(position, 0.0), 1.0))
    ticks = Markup("").join(
        Markup('<rect class="tick" x="{}%" y="3" width="2" height="8"/>').format(_short(100 * m)) for m in marks
    )
    return Markup(
        '<svg class="scale" role="img"><title>{}</title><rect class="track" y="5" width="100%" height="4" rx="2"/>'
        '<rect class="fill" y="5" width="{}%" height="4" rx="2"/>{}<circle cx="{}%" cy="7" r="6"/></svg>'
    ).format(title, at, ticks, at)


def _share(value: float, low: float, high: float) -> float:
    return 100 * (value - low) / (high - low) if high > low else 0.0


def _x(index: int, count: int) -> float:
    width = WIDTH - LEFT - RIGHT
    return LEFT + width * (index / (count - 1) if count > 1 else 1.0)


def _y(value: float, top: float) -> float:
    return TOP + (HEIGHT - TOP - BOTTOM) * (1 - value / top)


def _short(number: float) -> str:
    """At most one decimal; SVG needs a point whatever the language."""
    return f"{number:.1f}".removesuffix(".0")


def _grid(top: float, written: Callable[[float], str]) -> Markup:
    lines = []
    for value in (0.0, top / 2, top):
        y = _short(_y(value, top))
        lines.append(
            Markup('<path class="grid" d="M{} {}H{}"/><text x="{}" y="{}" dy="4" text-anchor="end">{}</text>').format(
                LEFT, y, WIDTH - RIGHT, LEFT - 6, y, written(value)
            )
        )
    return Markup("").join(lines)


def _limit(line: Line, top: float) -> Markup:
    if line.limit is None:
        return Markup("")
    y = _y(line.limit, top)
    return Markup('<path class="limit" d="M{} {}H{}"/><text class="limit" x="{}" y="{}">{}</text>').format(
        LEFT, _short(y), WIDTH - RIGHT, LEFT + 4, _short(y - 5), line.limit_label
    )


def _segments(points: Sequence[tuple[float, float] | None]) -> list[Markup]:
    """One line with the area under it for every run of buckets without a gap."""
    runs: list[list[tuple[float, float]]] = [[]]
    for point in points:
        if point is None:
            runs.append([])
        else:
            runs[-1].append(point)
    return [_run(run) for run in runs if len(run) > 1]


def _run(run: Sequence[tuple[float, float]]) -> Markup:
    path = "L".join(f"{_short(x)} {_short(y)}" for x, y in run)
    floor = _short(HEIGHT - BOTTOM)
    area = f"M{_short(run[0][0])} {floor}L{path}V{floor}Z"
    return Markup('<path class="area" d="{}"/><path class="stroke" d="M{}"/>').format(area, path)


def _dots(points: Sequence[tuple[float, float] | None]) -> Markup:
    return Markup("").join(
        Markup('<circle cx="{}" cy="{}" r="2.5"/>').format(_short(p[0]), _short(p[1])) for p in points if p
    )


def _last(line: Line, points: Sequence[tuple[float, float] | None], written: Callable[[float], str]) -> Markup:
    """The newest bucket's value, written above its dot."""
    if not points or points[-1] is None or line.values[-1] is None:
        return Markup("")
    x, y = points[-1]
    return Markup('<circle class="last" cx="{}" cy="{}" r="4"/><text class="last" x="{}" y="{}">{}</text>').format(
        _short(x), _short(y), WIDTH - 4, _short(max(y - 9, 11)), written(line.values[-1])
    )


def _time_axis(labels: Sequence[str]) -> Markup:
    if not labels:
        return Markup("")
    y = HEIGHT - 7
    first = Markup('<text x="{}" y="{}">{}</text>').format(LEFT, y, escape(labels[0]))
    last = Markup('<text x="{}" y="{}" text-anchor="end">{}</text>').format(WIDTH - 4, y, escape(labels[-1]))
    return first + last if len(labels) > 1 else last
