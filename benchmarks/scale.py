"""What features and scores cost on Spark, per event and per account, and what follows for a cluster.

python benchmarks/scale.py --folder FOLDER [--scale 1.0] [--write docs/scale.md]

Four simulated companies, each in a Spark application of its own on this machine (local[2]): a small one, one with four
times the events, that one again with a fifth of all events in one account, and one with ten times the accounts and four
times the events. A model trained on the small one scores them all. CPU seconds are user + system of the application's
processes (driver, Java, Python workers), so they include what Spark spends on planning; costs per event and per account
are fitted to the three even companies, which leaves the planning in the fixed part.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import duckdb
import numpy as np
import yaml
from scipy.optimize import nnls

from benchmarks.page import write

ROOT = Path(__file__).resolve().parents[1]
_TICK = os.sysconf("SC_CLK_TCK")
_MARKS = "<!-- scale -->", "<!-- /scale -->"
#: Steps as the toolkit's progress names them, and what they are called here.
STEPS = {
    "reading": "read and check",
    "rolling": "roll up",
    "metrics": "metrics and scores",
    "ranking": "rank and finish",
    "writing": "write (driver)",
}
#: What is predicted: accounts, events, and the hours it may take.
ACCOUNTS, EVENTS, HOURS = 1_000_000, 100_000_000_000, 4.0
#: Share of a cluster's cores that does work, on average over a job.
BUSY = 0.6
SKEWED_SHARE = 0.2


@dataclass(frozen=True)
class Case:
    """One company."""

    name: str
    accounts: int
    events: int
    skewed: bool = False


def cases(scale: float) -> list[Case]:
    """The four companies at a scale; 1.0 are 600,000 to 2,400,000 events, and a fourth more where they pile up."""
    accounts, events = round(300 * scale), round(600_000 * scale)
    return [
        Case("small", accounts, events),
        Case("4 x events", accounts, 4 * events),
        Case("4 x events, piled up", accounts, 4 * events, skewed=True),
        Case("10 x accounts, 4 x events", 10 * accounts, 4 * events),
    ]


# --- one company ------------------------------------------------------------------------------------------------------


def make(case: Case, folder: Path) -> Path:
    """Simulate a company unless it is there already; returns its configuration."""
    from csql_ml.simulate import simulate, write_config

    place = folder / f"{case.accounts}-{case.events}{'-skewed' if case.skewed else ''}"
    path = place / "config.yaml"
    if not path.is_file():
        simulate(place / "data", accounts=case.accounts, events=case.events, quarters=8, seed=7)
        if case.skewed:
            _pile_up(place / "data")
        write_config(path, folder="data", models_folder="models")
        settings = yaml.safe_load(path.read_text(encoding="utf-8"))
        settings |= {"engine": "spark", "activity_folder": "activity", "tracking": {"enabled": False}}
        path.write_text(yaml.safe_dump(settings, sort_keys=False), encoding="utf-8")
    return path


def _pile_up(data: Path) -> None:
    """Repeat the events of the busiest account, seconds apart, until they are a fifth of all."""
    events = duckdb.sql(f"SELECT * FROM read_parquet('{data}/events/*.parquet')")
    busiest, own, total = duckdb.sql(
        "SELECT account_id, count(*) AS n, (SELECT count(*) FROM events) FROM events "
        "GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 1"
    ).fetchall()[0]
    times = round(SKEWED_SHARE * (total - own) / (1 - SKEWED_SHARE) / own)
    new = {"event_id": "event_id || '-' || k", "occurred_at": "occurred_at + k * INTERVAL 1 SECOND"}
    columns = ", ".join(f"{new.get(c, c)} AS {c}" for c in events.columns)
    duckdb.sql(
        f"COPY (SELECT {columns} FROM events, range(1, {times}) AS copies(k) WHERE account_id = '{busiest}') "
        f"TO '{data}/events/copies.parquet' (FORMAT parquet)"
    )


def train_once(config_path: Path, bundle: Path) -> None:
    """A trained model, whether or not it would be promoted, from one company on DuckDB."""
    from csql_ml import config as configuration
    from csql_ml.company import open_company
    from csql_ml.model import bundle as bundles
    from csql_ml.model.training import train
    from csql_ml.pipeline import training_data

    config = configuration.load(config_path).model_copy(update={"engine": "duckdb"})
    config = config.model_copy(update={"model": config.model.model_copy(update={"bootstrap": 20})})
    with open_company(config) as company:
        data = training_data(company, company.today)
    trained = train(data, config)
    bundles.save(next(c for c in (trained.champion, trained.challenger) if c and c.kind == "stack"), bundle)


def measure(config_path: Path, bundle: Path, out: Path) -> dict[str, Any]:
    """Score one company on Spark; the result of a process of its own."""
    from pyspark.sql import SparkSession

    from csql_ml import config as configuration
    from csql_ml.company import open_company
    from csql_ml.model import bundle as bundles
    from csql_ml.simulate import END
    from csql_ml.spark_scoring import score_on_spark

    os.environ["PYSPARK_PYTHON"] = sys.executable
    logs = out / "logs"
    logs.mkdir(parents=True)
    builder = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false")
    settings = {
        "spark.driver.memory": "2g",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.eventLog.enabled": "true",
        "spark.eventLog.dir": f"file://{logs}",
        "spark.eventLog.compress": "false",
        "spark.sql.shuffle.partitions": "8",
        "spark.ui.showConsoleProgress": "false",
    }
    for key, value in settings.items():
        builder = builder.config(key, value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    config, clock = configuration.load(config_path), Clock(session)
    with open_company(config, on_progress=clock) as company:
        rolled = int(company.inputs.con.session.table("csql_activity").count())
        champion = bundles.load(bundle)
        manifest = score_on_spark(company, END, out / "run", champion, lambda drawn: champion, clock)
        clock("done", 0, 0)
    session.stop()
    return {"cpu": clock.cpu, "scored": manifest["rows"]["scores.parquet"], "rolled": rolled, "steps": _of_log(logs)}


class Clock:
    """A progress callback that notes the CPU seconds of each step, and names Spark's jobs after it."""

    def __init__(self, session: Any) -> None:
        self._context, self._step, self._since = session.sparkContext, "", tree_cpu(os.getpid())
        self.cpu: dict[str, float] = {}

    def __call__(self, step: str, done: int, of: int) -> None:
        now = tree_cpu(os.getpid())
        if self._step:
            self.cpu[self._step] = self.cpu.get(self._step, 0.0) + now - self._since
        self._step, self._since = STEPS.get(step.split()[0], ""), now
        self._context.setJobDescription(self._step)


def tree_cpu(pid: int) -> float:
    """CPU seconds of a process and all below it, also of those that have ended."""
    total, todo = 0.0, [pid]
    while todo:
        one = todo.pop()
        try:
            fields = Path(f"/proc/{one}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        except OSError:
            continue
        total += sum(map(int, fields[11:15])) / _TICK
        for children in Path(f"/proc/{one}/task").glob("*/children"):
            todo += map(int, children.read_text(encoding="utf-8").split())
    return total


def _of_log(logs: Path) -> dict[str, Any]:
    from spark_event_log import steps_of

    return {
        name: {
            "tasks": step.count,
            "shuffle": step.shuffle,
            "spill": step.spill,
            "spread_time": step.spread(0),
            "spread_rows": step.spread(2),
        }
        for name, step in steps_of(logs).items()
        if name
    }


def in_process_of_its_own(case: Case, folder: Path) -> dict[str, Any]:
    """Make and measure one company; a Python process can start one Spark application."""
    path, bundle = make(case, folder), folder / "bundle"
    if not bundle.is_dir():
        train_once(path, bundle)
    done = subprocess.run(
        [sys.executable, __file__, "--measure", str(path), str(bundle)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
    )
    if done.returncode:
        sys.exit(f"{case.name}: {done.stderr[-3000:]}")
    events = duckdb.sql(f"SELECT count(*) FROM read_parquet('{path.parent}/data/events/*.parquet')").fetchall()[0][0]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return {"case": asdict(case), "events": events, **found}


# --- what follows -----------------------------------------------------------------------------------------------------

#: What the cost of each step grows with.
GROWS_WITH = {
    "read and check": ("events", "scored"),  # the other eleven tables grow with the accounts
    "roll up": ("events",),
    "metrics and scores": ("rolled", "scored"),
    "rank and finish": ("scored",),
    "write (driver)": ("scored",),
}


def fitted(results: list[dict[str, Any]], what: str) -> dict[str, dict[str, float]]:
    """Per step, the fixed cost and the cost of each event, rollup row and account; never negative.

    Parameters
    ----------
    what
        ``cpu`` (seconds) or ``shuffle`` (bytes written).
    """
    costs = {}
    for step, sizes in GROWS_WITH.items():
        rows = np.array([[1.0, *(result[size] for size in sizes)] for result in results])
        values = [r["cpu"].get(step, 0.0) if what == "cpu" else r["steps"].get(step, {}).get(what, 0) for r in results]
        scale = rows.max(axis=0)
        found = nnls(rows / scale, np.array(values, dtype=float))[0] / scale
        costs[step] = dict(zip(("fixed", *sizes), found.tolist(), strict=True))
    return costs


def measured_table(results: list[dict[str, Any]]) -> list[str]:
    """One line per company and step."""
    lines = [
        (
            "| company | accounts scored | events | rollup rows | step | CPU s | tasks | shuffle MB | spill MB | "
            "longest task / median | most rows / median |"
        ),
        "|---|---:|---:|---:|---|---:|---:|---:|---:|---:|---:|",
    ]
    for r in results:
        for step, cpu in r["cpu"].items():
            log = r["steps"].get(step, {"tasks": 0, "shuffle": 0, "spill": 0, "spread_time": 1.0, "spread_rows": 1.0})
            lines.append(
                f"| {r['case']['name']} | {r['scored']:,} | {r['events']:,} | {r['rolled']:,} | {step} | {cpu:.1f} "
                f"| {log['tasks']} | {log['shuffle'] / 1e6:.2f} | {log['spill'] / 1e6:.2f} "
                f"| {log['spread_time']:.1f} | {log['spread_rows']:.1f} |"
            )
    return lines


def cost_table(cpu: dict[str, dict[str, float]], shuffle: dict[str, dict[str, float]]) -> list[str]:
    """Fitted costs: microseconds and bytes for each further event, rollup row and account."""
    lines = [
        (
            "| step | fixed CPU s | us an event | us a rollup row | ms an account | shuffle bytes an event "
            "| shuffle bytes a rollup row | shuffle kB an account |"
        ),
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for step, cost in cpu.items():
        moved = shuffle[step]
        cells = [
            f"{cost['fixed']:.1f}",
            *(f"{cost[k] * 1e6:.2f}" if k in cost else "" for k in ("events", "rolled")),
            f"{cost['scored'] * 1e3:.2f}" if "scored" in cost else "",
            *(f"{moved[k]:.2f}" if k in moved else "" for k in ("events", "rolled")),
            f"{moved['scored'] / 1e3:.2f}" if "scored" in moved else "",
        ]
        lines.append(f"| {step} | {' | '.join(cells)} |")
    return lines


def predicted(
    cpu: dict[str, dict[str, float]], shuffle: dict[str, dict[str, float]], rows_per_event: float
) -> list[str]:
    """The same costs at `ACCOUNTS` and `EVENTS`, and the cores that do it in `HOURS`."""
    sizes = {"events": EVENTS, "rolled": EVENTS * rows_per_event, "scored": ACCOUNTS}
    lines = [
        (
            f"{ACCOUNTS:,} accounts, {EVENTS:,} events, {rows_per_event:.3f} rollup rows an event as measured: "
            f"{sizes['rolled']:,.0f} rollup rows."
        ),
        "",
        "| step | CPU hours | shuffle GB |",
        "|---|---:|---:|",
    ]
    hours = {step: _at(cost, sizes) / 3600 for step, cost in cpu.items()}
    moved = {step: _at(cost, sizes) / 1e9 for step, cost in shuffle.items()}
    lines += [f"| {step} | {hours[step]:,.1f} | {moved[step]:,.1f} |" for step in cpu]
    on_driver = hours["write (driver)"]
    spread = sum(hours.values()) - on_driver
    cores = spread / (HOURS - on_driver) / BUSY if on_driver < HOURS else float("inf")
    daily = sizes["events"] / 730 * (cpu["read and check"]["events"] + cpu["roll up"]["events"]) / 3600
    return [
        *lines,
        "",
        (
            f"All but the driver's last step: {spread:,.0f} CPU hours. The driver alone writes for "
            f"{on_driver:.2f} hours. With {BUSY:.0%} of the cores' time at work, {HOURS:g} hours take "
            f"{spread:,.0f} / ({HOURS:g} - {on_driver:.2f}) / {BUSY:g} = {cores:,.0f} cores. One day of events "
            f"({sizes['events'] / 730 / 1e6:,.0f} million) costs {daily:,.1f} CPU hours to read, check and roll up."
        ),
    ]


def _at(cost: dict[str, float], sizes: dict[str, float]) -> float:
    return cost["fixed"] + sum(cost[name] * size for name, size in sizes.items() if name in cost)


def report(results: list[dict[str, Any]]) -> str:
    """Everything the document quotes."""
    even = [r for r in results if not r["case"]["skewed"]]
    cpu, shuffle = fitted(even, "cpu"), fitted(even, "shuffle")
    rows_per_event = sum(r["rolled"] for r in even) / sum(r["events"] for r in even)
    parts = [measured_table(results), cost_table(cpu, shuffle), predicted(cpu, shuffle, rows_per_event)]
    return "\n\n".join("\n".join(part) for part in parts)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, help="where companies are kept between runs")
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--write", type=Path, help="a document with <!-- scale --> marks")
    parser.add_argument("--measure", type=Path, nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure is not None:
        import tempfile

        with tempfile.TemporaryDirectory() as out:
            print(json.dumps(measure(*given.measure, Path(out))))
        return
    results = [in_process_of_its_own(case, given.folder) for case in cases(given.scale)]
    text = report(results)
    print(text)
    if given.write is not None:
        write(given.write, _MARKS, text)


if __name__ == "__main__":
    main()
