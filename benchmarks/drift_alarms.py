"""How often drift raises an alarm: on two samples of one distribution, and when one of them is shifted.

    python benchmarks/drift_alarms.py [--seeds 400] [--sizes 60 600 6000] [--shift 0.3] [--write FILE]

The population is a simulated company's snapshot: all metrics and scores of its accounts, with their ties, tails and
holes. Reference and run are drawn from it with replacement: two samples of one distribution. For power one metric of
the run, each in its turn over the seeds, is moved up by ``--shift`` standard deviations, or the propensity is; counts
and flags move by whole steps, in as many accounts as move the mean so far. Everything is judged by the code of ``csql
monitor`` with the default settings. Any alarm is a false one where nothing was moved; a shift counts as caught only if
the alarm names the column that was moved. With --write, the table replaces the part of the page between the markers of
this benchmark.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import numpy.typing as npt

from benchmarks.page import write
from csql_ml import config as configuration
from csql_ml import pipeline
from csql_ml.config.monitoring import Monitoring
from csql_ml.monitoring.drift import Drift, judged, test, tested
from csql_ml.monitoring.run_values import SCORES, RunValues, read_values
from csql_ml.outcomes.figures import rate
from csql_ml.simulate import END, simulate, write_config

_MARKS = "<!-- drift -->", "<!-- /drift -->"
_HEAD = ("accounts, both", "seeds", "moved", "runs with an alarm", "95 % interval", "goal")
_SETTINGS = Monitoring()
Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


def population(accounts: int, folder: Path) -> RunValues:
    """The run of the rules on the last snapshot of a simulated company."""
    simulate(folder / "data", accounts=accounts, events=accounts * 400, quarters=4, seed=11)
    path = write_config(folder / "config.yaml", folder="data", models_folder="models")
    pipeline.score(configuration.load(path), END, folder / "run")
    return read_values(folder / "run", _SETTINGS.most_accounts, 0)


def drawn(of: RunValues, places: Integers) -> RunValues:
    """Some accounts of a run."""
    return replace(
        of,
        accounts=len(places),
        scores=of.scores.iloc[places].reset_index(drop=True),
        numbers={m: v[places] for m, v in of.numbers.items()},
        texts={m: v[places] for m, v in of.texts.items()},
    )


def moved(values: Floats, everyone: Floats, shift: float, rng: np.random.Generator) -> Floats:
    """Values shifted by so many standard deviations of the population; counts and flags move by whole steps."""
    by = shift * float(np.nanstd(everyone))
    if np.nanmax(np.abs(everyone - np.round(everyone))) > 0:
        return values + by
    whole = np.floor(by)
    room = values < np.nanmax(everyone) if _two_valued(everyone) else ~np.isnan(values)
    return values + whole + (room & (rng.random(len(values)) < (by - whole) / max(room.mean(), 1e-9)))


def _two_valued(values: Floats) -> bool:
    return len(np.unique(values[~np.isnan(values)])) == 2


def movable(of: RunValues, shift: float) -> list[str]:
    """Metrics that take part in alarms, vary, and can move so far (a flag that nearly all have cannot)."""
    names = []
    for name in (m for m in of.metrics if m not in _SETTINGS.calendar and not of.is_text(m)):
        values = of.numbers[name]
        deviation = np.nanstd(values) if np.isfinite(values).any() else 0.0
        full = _two_valued(values) and np.nanmean(values < np.nanmax(values)) < shift * deviation
        if deviation > 0 and not full:
            names.append(name)
    return names


def alarms(found: Sequence[Drift], instead: Drift | None, settings: Monitoring) -> set[str]:
    """Names of what `csql monitor` would raise an alarm for, with one result put in the place of its column's."""
    drifts = [instead if instead is not None and d.name == instead.name else d for d in found]
    return {d.name for d in judged(drifts, settings) if d.level == "alarm"}


def rows(of: RunValues, size: int, seeds: int, shift: float) -> Iterator[str]:
    """The table's rows of one size: nothing moved, a metric, the score."""
    names, seen = movable(of, shift), {"nothing": 0, "one metric": 0, "the score": 0}
    everyone = {**of.numbers, **{s: of.scores[s].to_numpy(dtype=np.float64) for s in SCORES}}
    for seed in range(seeds):
        rng, settings = np.random.default_rng([seed, size]), Monitoring(seed=seed)
        before, now = (drawn(of, rng.integers(0, len(of.scores), size)) for _ in range(2))
        reference, name = before.as_reference(), names[seed % len(names)]
        found = tested(reference, now, settings)
        seen["nothing"] += bool(alarms(found, None, settings))
        for what, kind, column in (("one metric", "metric", name), ("the score", "score", "propensity")):
            spread = (reference.scores if kind == "score" else reference.metrics)[column]
            values = now.scores[column].to_numpy(dtype=np.float64) if kind == "score" else now.numbers[column]
            shifted = spread.again(moved(values, everyone[column], shift, rng))
            seen[what] += column in alarms(found, test(kind, column, spread, shifted, settings), settings)
    for what, count in seen.items():
        found = rate(count, 0, seeds, 0.95)
        goal = "at most 5 %" if what == "nothing" else "caught" if size == 600 else ""
        label = what if what == "nothing" else f"{what}, {shift:g} sd"
        cells = (f"{size:,}", str(seeds), label, f"{found.value:.1%}", f"{found.low:.1%} to {found.high:.1%}", goal)
        yield "| " + " | ".join(cells) + " |"


def lines(of: RunValues, sizes: list[int], seeds: int, shift: float) -> Iterator[str]:
    """The table, row by row as Markdown."""
    yield "| " + " | ".join(_HEAD) + " |"
    yield "|---:|---:|---|---:|---:|---|"
    for size in sizes:
        yield from rows(of, size, seeds, shift)
    yield ""
    metrics = len(movable(of, shift))
    yield f"{metrics} metrics and {len(SCORES)} scores of {len(of.scores):,} simulated accounts; default settings."


def main() -> None:
    """Print the table, and write it where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--accounts", type=int, default=1500, help="accounts of the population")
    parser.add_argument("--sizes", type=int, nargs="*", default=[60, 600, 6000])
    parser.add_argument("--seeds", type=int, default=400)
    parser.add_argument("--shift", type=float, default=0.3, help="standard deviations")
    parser.add_argument("--write", type=Path, metavar="FILE")
    given = parser.parse_args()
    started = time.perf_counter()
    table = []
    with tempfile.TemporaryDirectory() as folder:
        of = population(given.accounts, Path(folder))
        for line in lines(of, given.sizes, given.seeds, given.shift):
            print(line, flush=True)
            table.append(line)
    print(f"{time.perf_counter() - started:.0f} s")
    if given.write is not None:
        write(given.write, _MARKS, "\n".join(table))


if __name__ == "__main__":
    main()
