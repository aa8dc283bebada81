"""The data dictionary, generated from the metric definitions: ``python -m csql_ml.metrics.dictionary [-c CFG]``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from csql_ml.config import Config, load
from csql_ml.errors import CsqlError
from csql_ml.metrics import families, metrics_of, registry
from csql_ml.metrics.compiler import measures_of
from csql_ml.metrics.definition import Metric, Ramp, features_of
from csql_ml.metrics.soundness import columns_of

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
_SIGNS = {1: "+", -1: "-", 0: "0"}


#: Name of the section of metrics that are not built in.
OWN = "own"
_OWN_DOC = "Metrics of your own, from packages, metric files and the configuration."


def dictionary(config: Config | None = None) -> str:
    """The whole page as Markdown.

    Parameters
    ----------
    config
        With it, the company's own metrics stand at the end, and thresholds, ramps and exclusions are those configured.
    """
    sections = [_HEAD]
    for family, found in entries(config).items():
        doc = _OWN_DOC
        if family != OWN:
            doc = (sys.modules[f"csql_ml.metrics.{family}"].__doc__ or "").strip().splitlines()[0]
        sections.append(f"## {family}\n\n{doc}\n\n" + _markdown(found))
    return "\n".join(sections)


def entries(config: Config | None = None) -> dict[str, list[dict[str, str]]]:
    """By family, one entry per metric: heading and text, in the order of the page's columns.

    Raises
    ------
    ConfigError
        A definition of the company's own cannot be read or is not sound.
    """
    given = config or Config()
    by_family = dict(families())
    own = tuple(m for m in metrics_of(given).values() if m.name not in registry()) if config else ()
    if own:
        by_family[OWN] = own
    return {family: [_entry(m, given) for m in metrics] for family, metrics in by_family.items()}


def _configured(metric: Metric, config: Config) -> Metric:
    """The definition with what ``metrics:`` of the configuration says about it."""
    settings = config.metrics.get(metric.name)
    if settings is None:
        return metric
    if settings.exclude:
        return replace(metric, in_model=False, shown=False, ramp=None, gate=None)
    ramp = metric.ramp
    if ramp is not None:
        zero_at = ramp.zero_at if settings.zero_at is None else settings.zero_at
        full_at = ramp.full_at if settings.full_at is None else settings.full_at
        ramp = Ramp(ramp.part, zero_at, full_at, ramp.weight if settings.weight is None else settings.weight)
    threshold = metric.threshold if settings.threshold is None else settings.threshold
    return replace(metric, threshold=threshold, ramp=ramp)


def _entry(defined: Metric, config: Config) -> dict[str, str]:
    metric = _configured(defined, config)
    also = f" and `{metric.also}` at its threshold" if metric.also else ""
    ramp = metric.ramp
    sources = {"events" if m.source == "activity" else m.source for m, _ in measures_of(metric, config)}
    return {
        "metric": f"`{metric.name}`",
        "what it measures": f"{metric.label}: {metric.description}",
        "part": metric.part,
        "dir.": _SIGNS[metric.direction],
        "unit": metric.unit,
        "columns": ", ".join(f"`{c}`" for c in columns_of(defined) if c != metric.name),
        "threshold": f"{metric.threshold:g}{also}" if metric.threshold is not None else "",
        "gate": (metric.gate or "").replace("_", " "),
        "score": f"{ramp.part} {ramp.zero_at:g} to {ramp.full_at:g}, weight {ramp.weight:g}" if ramp else "",
        "model": "yes" if features_of(metric) else "no",
        "shown": "yes" if metric.shown else "no",
        "from": ", ".join(sorted(sources)),
    }


def _markdown(found: Iterable[Mapping[str, str]]) -> str:
    rows = list(found)
    lines = ["| " + " | ".join(rows[0]) + " |", "|" + "---|" * len(rows[0])]
    cells = ([cell.replace("|", "\\|") for cell in row.values()] for row in rows)
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in cells)]) + "\n"


def main(arguments: list[str] | None = None) -> int:
    """Print the dictionary, write it, or check that a file is current."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-c", "--config", type=Path, metavar="CFG", help="with the metrics of this company's own")
    parser.add_argument("--write", type=Path, metavar="FILE")
    parser.add_argument("--check", type=Path, metavar="FILE")
    given = parser.parse_args(arguments)
    try:
        text = dictionary(load(given.config) if given.config is not None else None)
    except CsqlError as error:
        print(f"csql: {error}", file=sys.stderr)
        return error.exit_code
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
