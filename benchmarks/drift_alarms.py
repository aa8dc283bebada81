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
import re
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from csql_ml import config as configuration
from csql_ml import pipeline
from csql_ml.config.monitoring import Monitoring
from csql_ml.model.distributions import Distributions
from csql_ml.monitoring.drift import Drift, compare
from csql_ml.monitoring.run_values import SCORES, RunValues, read_values
from csql_ml.outcomes.figures import rate
from csql_ml.simulate import END, simulate, write_config

_MARKS = "<!-- drift -->", "<!-- /drift -->"
_HEAD = ("accounts, both", "seeds", "moved", "runs with an alarm", "95 % interval", "goal")
_SETTINGS = Monitoring()
Integers = npt.NDArray[np.int64]


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


def moved(run: RunValues, population: RunValues, name: str, shift: float, rng: np.random.Generator) -> RunValues:
    """The run with one column shifted by so many standard deviations of the population.

    A flag or a small count moves by whole steps: as many accounts make one as shift the mean so far.
    """
    if name in SCORES:
        values = run.scores[name].to_numpy(dtype=np.float64)
        by = shift * float(population.scores[name].std(ddof=0))
        return replace(run, scores=run.scores.assign(**{name: values + by}))
    values, everyone = run.numbers[name], population.numbers[name]
    by = shift * float(np.nanstd(everyone))
    if np.nanmax(np.abs(everyone - np.round(everyone))) == 0:
        whole = np.floor(by)
        room = (
            values + whole < np.nanmax(everyone)
            if len(np.unique(everyone[~np.isnan(everyone)])) == 2
            else values == values
        )
        chance = (by - whole) / max(float(room.mean()), 1e-9)
        values = values + whole + (room & (rng.random(len(values)) < chance))
    else:
        values = values + by
    return replace(run, numbers={**run.numbers, name: values})


def movable(of: RunValues) -> list[str]:
    """Metrics that take part in alarms and vary."""
    names = [m for m in of.metrics if m not in _SETTINGS.calendar and not of.is_text(m)]
    return [m for m in names if np.nanstd(of.numbers[m]) > 0]


def alarms(reference: Distributions, run: RunValues, seed: int) -> list[Drift]:
    """What `csql monitor` would raise."""
    found = compare(reference, run, Monitoring(seed=seed))
    return [d for d in found if d.level == "alarm"]


def rows(of: RunValues, size: int, seeds: int, shift: float) -> Iterator[str]:
    """The table's rows of one size: nothing moved, a metric, the score."""
    names, seen = movable(of), {"nothing": 0, "one metric": 0, "the score": 0}
    for seed in range(seeds):
        rng = np.random.default_rng([seed, size])
        before, now = (drawn(of, rng.integers(0, len(of.scores), size)) for _ in range(2))
        reference, name = before.as_reference(), names[seed % len(names)]
        seen["nothing"] += bool(alarms(reference, now, seed))
        for what, column in (("one metric", name), ("the score", "propensity")):
            found = alarms(reference, moved(now, of, column, shift, rng), seed)
            seen[what] += column in {d.name for d in found}
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
    yield (
        f"{len(movable(of))} metrics that vary and {len(SCORES)} scores, of {len(of.scores):,} accounts; default settings."
    )


def write(page: Path, table: str) -> None:
    """Replace the table between the markers of the page."""
    start, end = _MARKS
    text = page.read_text(encoding="utf-8")
    place = re.compile(re.escape(start) + ".*?" + re.escape(end), re.DOTALL)
    if not place.search(text):
        raise SystemExit(f"{page} has no markers {start} ... {end}")
    page.write_text(place.sub(lambda _: f"{start}\n{table}\n{end}", text), encoding="utf-8")


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
        write(given.write, "\n".join(table))


if __name__ == "__main__":
    main()
