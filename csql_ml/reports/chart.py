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
LEFT, RIGHT, TOP, BOTTOM = 46, 14, 20, 24

#: The same for a sparkline, without its margin.
SPARK_WIDTH, SPARK_HEIGHT = 64, 16
_FEWEST_SPARKS = 2

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
    drawn = (_grid(top, written), _limit(line, top), *_segments(points), _dots(points), _last(line, points, written))
    told = f"<title>{escape(line.title)}</title><desc>{escape(line.description)}</desc>"
    body = "".join(drawn) + _time_axis(line.labels)
    return Markup(f'<svg class="line" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">{told}{body}</svg>')


def axis_top(values: Sequence[float]) -> float:
    """The first round number at or above every value; 1 where nothing is to be seen."""
    highest = max(values, default=0.0)
    if highest < _VISIBLE:
        return 1.0
    power = 10.0 ** math.floor(math.log10(highest))
    return next(step * power for step in (*_STEPS, 20.0) if step * power >= highest * (1 - 1e-12))


def bar(start: float, end: float, low: float, high: float) -> Markup:
    """A horizontal bar from ``start`` to ``end`` on a scale from ``low`` to ``high``.

    It is at least a sliver wide, so that a small part stays visible. It only repeats the number beside it, so that a
    screen reader passes over it: of the drawings only bars have the role ``none``, which is also what styles them.
    """
    left, right = sorted((_share(start, low, high), _share(end, low, high)))
    width = max(right - left, 0.6)
    place = _short(min(left, 100 - width))
    x = "" if place == "0" else f" x={place}%"
    return Markup(f'<svg role=none><rect{x} width="{_short(width)}%"/></svg>')


def sparkline(values: Sequence[float | None], title: str) -> Markup | None:
    """A line without axes, from zero to the highest value; None where there are not two values to connect."""
    known = [v for v in values if v is not None]
    top = max(known, default=0.0)
    if len(known) < _FEWEST_SPARKS or top < _VISIBLE:
        return None
    step = SPARK_WIDTH / (len(values) - 1)
    path, pen = "", "M"
    for i, value in enumerate(values):
        if value is None:
            pen = "M"
            continue
        path += f"{pen}{round(i * step)} {round(SPARK_HEIGHT * (1 - value / top))}"
        pen = "L"
    box = f"-2 -2 {SPARK_WIDTH + 4} {SPARK_HEIGHT + 4}"
    return Markup(
        f'<svg class="spark" viewBox="{box}" role="img"><title>{escape(title)}</title><path d="{path}"/></svg>'
    )


def scale(position: float, marks: Sequence[float], title: str) -> Markup:
    """A scale from 0 to 1 with a dot at ``position`` and a tick at every mark."""
    at = _short(100 * min(max(position, 0.0), 1.0))
    ticks = "".join(f'<rect class="tick" x="{_short(100 * m)}%" y="3" width="2" height="8"/>' for m in marks)
    return Markup(
        f'<svg class="scale" role="img"><title>{escape(title)}</title>'
        f'<rect class="track" y="5" width="100%" height="4" rx="2"/>'
        f'<rect class="fill" y="5" width="{at}%" height="4" rx="2"/>{ticks}<circle cx="{at}%" cy="7" r="6"/></svg>'
    )


def _share(value: float, low: float, high: float) -> float:
    return 100 * (value - low) / (high - low) if high > low else 0.0


def _x(index: int, count: int) -> float:
    width = WIDTH - LEFT - RIGHT
    return LEFT + width * (index / (count - 1) if count > 1 else 1.0)


def _y(value: float, top: float) -> float:
    return TOP + (HEIGHT - TOP - BOTTOM) * (1 - value / top)


def _place(number: float) -> str:
    """A place in the picture: its units are finer than what an eye tells apart."""
    return str(round(number))


def _short(number: float) -> str:
    """At most one decimal; SVG needs a point whatever the language."""
    # Adding zero turns -0.0 into 0.0.
    return f"{round(number, 1) + 0.0:.1f}".removesuffix(".0")


def _grid(top: float, written: Callable[[float], str]) -> str:
    lines, texts = "", ""
    for value in (0.0, top / 2, top):
        y = _short(_y(value, top))
        lines += f"M{LEFT} {y}H{WIDTH - RIGHT}"
        texts += f'<text x="{LEFT - 6}" y="{y}" dy="4">{escape(written(value))}</text>'
    return f'<path class="grid" d="{lines}"/>{texts}'


def _limit(line: Line, top: float) -> str:
    if line.limit is None:
        return ""
    y = _y(line.limit, top)
    drawn = f'<path class="limit" d="M{LEFT} {_short(y)}H{WIDTH - RIGHT}"/>'
    return f'{drawn}<text class="limit" x="{LEFT + 4}" y="{_short(y - 5)}">{escape(line.limit_label)}</text>'


def _segments(points: Sequence[tuple[float, float] | None]) -> list[str]:
    """One line with the area under it for every run of buckets without a gap."""
    runs: list[list[tuple[float, float]]] = [[]]
    for point in points:
        if point is None:
            runs.append([])
        else:
            runs[-1].append(point)
    return [_run(run) for run in runs if len(run) > 1]


def _run(run: Sequence[tuple[float, float]]) -> str:
    path = "L".join(f"{_place(x)} {_place(y)}" for x, y in run)
    floor = _place(HEIGHT - BOTTOM)
    area = f"M{_place(run[0][0])} {floor}L{path}V{floor}Z"
    return f'<path class="area" d="{area}"/><path class="stroke" d="M{path}"/>'


def _dots(points: Sequence[tuple[float, float] | None]) -> str:
    """A dot where no line leads to: its neighbours are gaps."""
    around = [None, *points, None]
    alone = [p for before, p, after in zip(around, points, around[2:], strict=False) if p and not before and not after]
    return "".join(f'<circle cx="{_place(x)}" cy="{_place(y)}" r="2.5"/>' for x, y in alone)


def _last(line: Line, points: Sequence[tuple[float, float] | None], written: Callable[[float], str]) -> str:
    """The newest bucket's value, written above its dot."""
    if not points or points[-1] is None or line.values[-1] is None:
        return ""
    x, y = points[-1]
    text = f'<text class="last" x="{WIDTH - 4}" y="{_place(max(y - 9, 11))}">{escape(written(line.values[-1]))}</text>'
    return f'<circle class="last" cx="{_place(x)}" cy="{_place(y)}" r="4"/>{text}'


def _time_axis(labels: Sequence[str]) -> str:
    if not labels:
        return ""
    y = HEIGHT - 7
    first = f'<text class="first" x="{LEFT}" y="{y}">{escape(labels[0])}</text>'
    last = f'<text x="{WIDTH - 4}" y="{y}">{escape(labels[-1])}</text>'
    return first + last if len(labels) > 1 else last
