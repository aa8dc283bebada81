"""The monitoring page's own charts, drawn like the others: shapes with classes, the style sheet knows the colours."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from markupsafe import Markup

from csql_ml.monitoring.realised import Bin
from csql_ml.reports.chart import axis_top

WIDTH, HEIGHT = 360, 220
LEFT, RIGHT, TOP, BOTTOM = 40, 12, 12, 34
Written = Callable[[float], str]


def distance_bar(distance: float, chance: float, top: float, level: str, title: str) -> Markup:
    """A bar from 0 to the distance, and a mark at what chance alone stays below."""
    width, mark = (100 * min(v / top, 1.0) if top > 0 else 0.0 for v in (distance, chance))
    return Markup(
        '<svg class="bar" role="img"><title>{}</title><rect class="{}" width="{}%" y="3" height="8"/>'
        '<rect class="chance" x="{}%" width="2" height="14"/></svg>'
    ).format(title, level, _short(max(width, 0.4)), _short(min(mark, 99.4)))


def tenths_chart(
    shares: Sequence[float], reference: Sequence[float], labels: Sequence[str], title: str, written: Written
) -> Markup:
    """Two bars for each part of the scale: the reference's share of accounts and the run's."""
    top = axis_top([*shares, *reference])
    step = (WIDTH - LEFT - RIGHT) / len(shares)
    body = [_frame(top, written)]
    for i, (run, before) in enumerate(zip(shares, reference, strict=True)):
        for offset, value, kind in ((0.12, before, "before"), (0.5, run, "now")):
            x, y = LEFT + step * (i + offset), _y(value, top)
            body.append(
                Markup('<rect class="{}" x="{}" y="{}" width="{}" height="{}"/>').format(
                    kind, _short(x), _short(y), _short(step * 0.36), _short(HEIGHT - BOTTOM - y)
                )
            )
    body += [_below(LEFT + step * (i + 0.5), label) for i, label in enumerate(labels) if label]
    return _picture(title, body)


def calibration_chart(bins: Sequence[Bin], written: Written, title: str) -> Markup:
    """Foretold against realised rates with their intervals; on the diagonal they agree."""
    top = axis_top([b.foretold for b in bins] + [b.realised.high or 0.0 for b in bins])

    def x(value: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * value / top

    body = [_frame(top, written)]
    body.append(
        Markup('<path class="limit" d="M{} {}L{} {}"/>').format(
            LEFT, HEIGHT - BOTTOM, _short(x(top)), _short(_y(top, top))
        )
    )
    for b in bins:
        low, high, value = (v or 0.0 for v in (b.realised.low, b.realised.high, b.realised.value))
        body.append(
            Markup('<path class="interval" d="M{0} {1}V{2}"/><circle cx="{0}" cy="{3}" r="4"/>').format(
                _short(x(b.foretold)), _short(_y(low, top)), _short(_y(high, top)), _short(_y(value, top))
            )
        )
    body += [_below(x(v), written(v)) for v in (top / 2, top)]
    return _picture(title, body)


def _picture(title: str, body: Sequence[Markup]) -> Markup:
    return Markup('<svg class="chart" viewBox="0 0 {} {}" role="img"><title>{}</title>{}</svg>').format(
        WIDTH, HEIGHT, title, Markup("").join(body)
    )


def _frame(top: float, written: Written) -> Markup:
    lines = []
    for value in (0.0, top / 2, top):
        y = _short(_y(value, top))
        lines.append(
            Markup('<path class="grid" d="M{} {}H{}"/><text x="{}" y="{}" dy="4" text-anchor="end">{}</text>').format(
                LEFT, y, WIDTH - RIGHT, LEFT - 6, y, written(value)
            )
        )
    return Markup("").join(lines)


def _below(x: float, label: str) -> Markup:
    return Markup('<text x="{}" y="{}" text-anchor="middle">{}</text>').format(_short(x), HEIGHT - BOTTOM + 16, label)


def _y(value: float, top: float) -> float:
    return TOP + (HEIGHT - TOP - BOTTOM) * (1 - value / top)


def _short(number: float) -> str:
    return f"{number:.1f}".removesuffix(".0")
