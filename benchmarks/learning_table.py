"""The tables of the learning curve, and whether its goals are met.

Intervals are Student's t over seeds at 90 %. Where a figure is a mean over worlds, the worlds are averaged within each
seed first; a world at a number of labels with only one kind of outcome in some seed is left out for that seed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import t as student

RULES, TOOLKIT, TRUTH, PLATT = "weighted score", "toolkit", "truth", "weighted score, Platt"
PARTS = (RULES, "sub-scores", "ridge", "small LightGBM bag")
CONTESTANTS = (RULES, PLATT, TOOLKIT, "sub-scores", "ridge", "small LightGBM bag", "LightGBM, defaults")
COVERAGE = 0.9
#: A run counts as worse than the rules from this much log loss on.
NOTICEABLE = 0.002
#: ROC-AUC that the toolkit may stand below its best part.
NEAR = 0.01
#: Calibration error allowed from so many labels on.
CALIBRATED, CALIBRATED_FROM = 0.03, 500
#: Stands for all worlds.
MEAN = "the mean"

Goal = tuple[str, bool, str]


def figures(records: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """One row per world, number of labels, seed and contestant; ``gain`` is log loss minus that of the rules."""
    rows = [
        {"world": r["world"], "labels": r["labels"], "seed": r["seed"], "model": name, **of}
        | {"gain": of["loss"] - r["models"][RULES]["loss"]}
        for r in records
        if RULES in r["models"]
        for name, of in r["models"].items()
    ]
    return pd.DataFrame(rows).sort_values(["labels", "world", "seed"], ignore_index=True)


def interval(values: npt.ArrayLike) -> tuple[float, float]:
    """Mean of the seeds and half the width of its interval; no width from a single seed."""
    found = np.asarray(values, dtype=np.float64)
    if len(found) < 2:
        return float(found.mean()), float("nan")
    half = student.ppf((1 + COVERAGE) / 2, len(found) - 1) * found.std(ddof=1) / np.sqrt(len(found))
    return float(found.mean()), float(half)


def goals(records: Sequence[Mapping[str, Any]]) -> list[Goal]:
    """What was asked for, whether it is met, and the figure that comes nearest to missing it."""
    rows = figures(records)
    mean = rows.groupby(["labels", "seed", "model"], as_index=False).mean(numeric_only=True).assign(world=MEAN)
    return [
        *(_never_worse(of, where) for of, where in ((mean, "on the mean of the worlds"), (rows, "in every world"))),
        *(_near_the_best(of, where) for of, where in ((mean, "on the mean of the worlds"), (rows, "in every world"))),
        _calibrated(rows),
    ]


def _never_worse(rows: pd.DataFrame, over: str) -> Goal:
    """No world and number of labels at which the log loss is proven worse than that of the rules."""
    found = []
    for (name, n), of in rows[rows["model"] == TOOLKIT].groupby(["world", "labels"]):
        mean, half = interval(of["gain"])
        found.append((mean - half, f"{_place(name, n)}: {mean * 1e4:+.0f} ± {half * 1e4:.0f}"))
    low, where = max(found)
    proven = [text for bound, text in found if bound > 0]
    shown = f"worse {'; '.join(proven)}" if proven else f"nearest: {where}"
    return f"never worse than the weighted score beyond noise {over} (log loss x 10,000)", not low > 0, shown


def _near_the_best(rows: pd.DataFrame, over: str) -> Goal:
    """No world and number of labels at which the toolkit ranks clearly worse than the part that is best there."""
    auc = rows.pivot_table(index=["world", "labels"], columns="model", values="auc")
    gap = auc[list(PARTS)].max(axis=1) - auc[TOOLKIT]
    (name, n), largest = gap.idxmax(), float(gap.max())
    missed = [f"{_place(w, at)} ({by:.3f})" for (w, at), by in gap.items() if by > NEAR]
    shown = f"largest gap {largest:.4f} {_place(name, n)}"
    shown += f"; missed {', '.join(missed)}" if missed else ""
    return f"within {NEAR} ROC-AUC of the best part at every n {over}", largest <= NEAR, shown


def _place(world: str, labels: int) -> str:
    return f"at {labels:,} labels" if world == MEAN else f"in world {world} at {labels:,} labels"


def _calibrated(rows: pd.DataFrame) -> Goal:
    ece = rows[(rows["model"] == TOOLKIT) & (rows["labels"] >= CALIBRATED_FROM)]
    what = f"calibration error at most {CALIBRATED} from {CALIBRATED_FROM} labels on, in every world"
    if ece.empty:
        return what, True, f"nothing ran with {CALIBRATED_FROM} labels or more"
    mean = ece.groupby(["world", "labels"])["ece"].mean()
    (name, n), largest = mean.idxmax(), float(mean.max())
    return what, largest <= CALIBRATED, f"largest {largest:.4f} {_place(name, n)}"


def page(records: Sequence[Mapping[str, Any]]) -> str:
    """All tables as Markdown, then the goals."""
    rows = figures(records)
    seeds = rows.groupby("labels")["seed"].nunique()
    parts = [
        "Log loss minus that of the toolkit's calibrated weighted score (the rules), times 10,000, mean of the worlds:",
        _table(rows, "gain", lambda values: _with_noise(values, 1e4)),
        f"Share of runs worse than the rules by more than {NOTICEABLE} log loss:",
        _table(rows.assign(worse=rows["gain"] > NOTICEABLE), "worse", _share, pooled=True),
        f"Share of the toolkit's runs worse than plain Platt scaling of the score by more than {NOTICEABLE} log loss:",
        _worse_than_platt(rows),
        "ROC-AUC:",
        _table(rows, "auc", lambda values: f"{values.mean():.3f}", also=(TRUTH,)),
        "Calibration error (ten bins of equal mass, against the true propensities):",
        _table(rows, "ece", lambda values: f"{values.mean():.3f}"),
        "The toolkit world by world: log loss minus the rules' times 10,000 (ROC-AUC):",
        _by_world(rows),
        "Weight of the weighted score in the stack, and CPU seconds of one fit:",
        _inside(records),
        "Seeds: " + ", ".join(f"{n:,} labels {count}" for n, count in seeds.items()) + ".",
        "\n".join(f"- {'met' if met else '**missed**'}: {what}; {shown}" for what, met, shown in goals(records)),
    ]
    return "\n\n".join(parts)


def _table(rows: pd.DataFrame, figure: str, cell: Any, also: Sequence[str] = (), pooled: bool = False) -> str:
    """A line per contestant, a column per number of labels; over worlds first, then over seeds unless pooled."""
    labels = sorted(rows["labels"].unique())
    lines = []
    for name in (*CONTESTANTS, *also):
        of = rows[rows["model"] == name]
        by_labels = {
            n: found[figure] if pooled else found.groupby("seed")[figure].mean() for n, found in of.groupby("labels")
        }
        lines.append([name, *(cell(by_labels[n].to_numpy(dtype=np.float64)) for n in labels)])
    return _markdown(["labels", *(f"{n:,}" for n in labels)], lines)


def _worse_than_platt(rows: pd.DataFrame) -> str:
    keys = ["world", "labels", "seed"]
    loss = rows.pivot_table(index=keys, columns="model", values="loss")
    worse = (loss[TOOLKIT] - loss[PLATT] > NOTICEABLE).groupby("labels").mean()
    return _markdown(["labels", *(f"{n:,}" for n in worse.index)], [[TOOLKIT, *(f"{w:.0%}" for w in worse)]])


def _by_world(rows: pd.DataFrame) -> str:
    labels = sorted(rows["labels"].unique())
    of = rows[rows["model"] == TOOLKIT]
    lines = []
    for name, found in of.groupby("world"):
        cells = {n: f"{_with_noise(at['gain'], 1e4)} ({at['auc'].mean():.3f})" for n, at in found.groupby("labels")}
        lines.append([f"world {name}", *(cells.get(n, "") for n in labels)])
    return _markdown(["labels", *(f"{n:,}" for n in labels)], lines)


def _inside(records: Sequence[Mapping[str, Any]]) -> str:
    fitted = pd.DataFrame(
        {"labels": r["labels"], "score": r["weights"]["score"], "cpu": r["models"][TOOLKIT]["cpu"]}
        for r in records
        if "weights" in r
    )
    mean = fitted.groupby("labels")[["score", "cpu"]].mean()
    lines = [["weight", *(f"{w:.2f}" for w in mean["score"])], ["CPU s", *(f"{s:.1f}" for s in mean["cpu"])]]
    return _markdown(["labels", *(f"{n:,}" for n in mean.index)], lines)


def _with_noise(values: npt.ArrayLike, scale: float) -> str:
    mean, half = interval(values)
    return f"{mean * scale:+.0f}" + ("" if np.isnan(half) else f" ± {half * scale:.0f}")


def _share(values: npt.NDArray[np.float64]) -> str:
    return f"{values.mean():.0%}"


def _markdown(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    rows = [head, ["---", *("---:" for _ in head[1:])], *lines]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)
