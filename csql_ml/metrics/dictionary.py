"""The data dictionary, generated from the metric definitions: ``python -m csql_ml.metrics.dictionary``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path

from csql_ml.config import Config
from csql_ml.metrics import families
from csql_ml.metrics.compiler import measures_of, periods_of
from csql_ml.metrics.definition import Metric, features_of, has_step, reached_column

_HEAD = """# Metrics

Generated from the definitions in `csql_ml/metrics/` by `python -m csql_ml.metrics.dictionary --write docs/metrics.md`;
edit those. Thresholds, ramps and weights are starting values; `metrics:` in the configuration overrides them.

A metric's name is its column in the feature table. `_90d` and `_30d` are the same metric over that many days,
`_previous` is the period of the same length directly before, `_change` is now minus before, `_reached` says whether the
threshold is reached (1, 0 or missing). Every value is as of a date and uses only what was known before that date's
midnight. Where a source is absent the metric is missing, never zero.

Direction: + speaks for an expansion, - against, 0 claims none; the model is constrained to it. *Score* is the part of
the weighted score that the metric feeds, from no points to full points. *Model* says whether the model sees it;
*shown* whether a report may give it as a reason.
"""
_COLUMNS = (
    "metric",
    "what it measures",
    "part",
    "dir.",
    "unit",
    "columns",
    "threshold",
    "gate",
    "score",
    "model",
    "shown",
    "from",
)
_SIGNS = {1: "+", -1: "-", 0: "0"}


def dictionary() -> str:
    """The whole page as Markdown."""
    sections = [_HEAD]
    for family, metrics in families().items():
        doc = (sys.modules[f"csql_ml.metrics.{family}"].__doc__ or "").strip().splitlines()[0]
        sections.append(f"## {family}\n\n{doc}\n\n" + _markdown(_row(m) for m in metrics))
    return "\n".join(sections)


def _row(metric: Metric) -> tuple[str, ...]:
    columns = list(periods_of(metric))
    if metric.compare:
        columns.append(f"{metric.name}_change")
    if has_step(metric):
        columns.append(reached_column(metric))
    also = f" and `{metric.also}` at its threshold" if metric.also else ""
    ramp = metric.ramp
    sources = {"events" if m.source == "activity" else m.source for m, _ in measures_of(metric, Config())}
    return (
        f"`{metric.name}`",
        f"{metric.label}: {metric.description}",
        metric.part,
        _SIGNS[metric.direction],
        metric.unit,
        ", ".join(f"`{c}`" for c in columns if c != metric.name),
        f"{metric.threshold:g}{also}" if metric.threshold is not None else "",
        (metric.gate or "").replace("_", " "),
        f"{ramp.part} {ramp.zero_at:g} to {ramp.full_at:g}, weight {ramp.weight:g}" if ramp else "",
        "yes" if features_of(metric) else "no",
        "yes" if metric.shown else "no",
        ", ".join(sorted(sources)),
    )


def _markdown(rows: Iterable[tuple[str, ...]]) -> str:
    lines = ["| " + " | ".join(_COLUMNS) + " |", "|" + "---|" * len(_COLUMNS)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)]) + "\n"


def main(arguments: list[str] | None = None) -> int:
    """Print the dictionary, write it, or check that a file is current."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", type=Path, metavar="FILE")
    parser.add_argument("--check", type=Path, metavar="FILE")
    given = parser.parse_args(arguments)
    text = dictionary()
    if given.check is not None:
        current = given.check.is_file() and given.check.read_text(encoding="utf-8") == text
        if not current:
            print(f"{given.check} is not current; run python -m csql_ml.metrics.dictionary --write {given.check}")
        return 0 if current else 1
    if given.write is not None:
        given.write.write_text(text, encoding="utf-8")
    else:
        print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
