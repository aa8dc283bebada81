"""Metrics as of many dates: the toolkit against Polars, pandas and featuretools, all in one run, results compared.

    python benchmarks/features.py [--events 100000 ...] [--snapshots 8 24] [--write docs/benchmarks.md]

Per size a company is simulated (kept in --work), the unit is measured (reading and hashing the needed columns, see
`benchmarks/contenders/hashing.py`), and every contender computes the same aggregates as of the same dates in a child
process of its own: CPU seconds of the whole child, imports among them, and its peak memory. A contender that exceeds a
limit or fails does not try larger sizes. The toolkit checks all tables and computes all of its metrics; what the others
count is compared with it by `benchmarks/contenders/equality.py`, and a difference makes the command fail.

Polars and featuretools get an environment of their own (made in --work from benchmarks/requirements-peers.txt), because
featuretools does not work with the pandas that the toolkit needs. With --write, the table replaces the part of the page
between the markers of this benchmark. --resume keeps what an interrupted run has measured.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.measured_process import Limits, Measured, run
from benchmarks.page import write
from benchmarks.workplace import DEFAULT_FOLDER, HERE, Results, Workplace, make_company, measure_unit

MARKS = "<!-- features -->", "<!-- /features -->"
SIZES = (100_000, 600_000, 6_000_000, 60_000_000)
_MONTH, _PAIR = ((0, 30), (0, 90), (30, 60)), ((0, 30), (0, 90), (90, 180))
_TREND = tuple((30 * i, 30 * i + 30) for i in range(6))
#: What every contender computes: measure -> windows as (ends, begins) days before the as-of date.
AGGREGATES = {
    "active_users": (*_TREND, (0, 90)),
    "usage": (*_TREND, (0, 90), (90, 180)),
    "active_days": _MONTH,
    "user_days": _MONTH,
    "core_features": _MONTH,
    "core_events": _MONTH,
    "gated_clicks": _MONTH,
    "upgrade_attempts": _PAIR,
    "workflow_starts": _MONTH,
    "workflow_completions": _MONTH,
}


@dataclass(frozen=True)
class Contender:
    """Who computes: a script of ``contenders/``, in the project's environment or in the peers'."""

    name: str
    label: str
    script: str
    peers: bool = False
    cleaned: bool = False


CONTENDERS = (
    Contender("toolkit", "csql_ml: checks, rollup, all metrics", "toolkit.py"),
    Contender("polars", "Polars, lazy scan per snapshot", "polars_scan.py", peers=True),
    Contender("polars_cleaned", "Polars, given events without copies", "polars_scan.py", peers=True, cleaned=True),
    Contender("pandas", "pandas, masks and group-bys", "pandas_masks.py"),
    Contender("featuretools", "featuretools, cut-off times", "featuretools_cutoffs.py", peers=True),
)


def _interpreter(place: Workplace, contender: Contender) -> str:
    return str(place.peers_python) if contender.peers else sys.executable


def as_of_dates(snapshots: int) -> list[date]:
    """The newest quarter starts of the simulated time for up to 8, the newest month starts for more (24 at most)."""
    months = [date(2024 + (9 + i) // 12, (9 + i) % 12 + 1, 1) for i in range(1, 25)]
    quarters = [day for day in months if day.month % 3 == 1]
    return (quarters if snapshots <= len(quarters) else months)[-snapshots:]


# ---------------------------------------------------------------- steps


def peers_environment(work: Path) -> Path:
    """The peers' interpreter; the environment is made when there is none with these requirements."""
    requirements = HERE / "requirements-peers.txt"
    folder, stamp = work / "peers", hashlib.sha256(requirements.read_bytes()).hexdigest()
    python, marker = folder / "bin" / "python", folder / "requirements.sha256"
    if not marker.is_file() or marker.read_text() != stamp:
        print("making the environment of the peers", flush=True)
        venv.create(folder, clear=True, with_pip=True)
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes"]
        subprocess.run([*pip, "-r", str(requirements)], check=True)
        marker.write_text(stamp)
    return python


def make_cleaned(place: Workplace, events: int) -> Path:
    """Events without copies, for those who are spared that work."""
    raw, out = place.company(events) / "tables" / "events", place.company(events) / "cleaned"
    if len(list(out.glob("*.parquet"))) != len(list(raw.glob("*.parquet"))):
        subprocess.run([sys.executable, str(HERE / "contenders" / "without_copies.py"), str(raw), str(out)], check=True)
    return out


def write_job(place: Workplace, contender: Contender, events: int, snapshots: int) -> Path:
    """The job of one measured step as a file."""
    company, name = place.company(events), f"{contender.name}-{events}-{snapshots}"
    said = json.loads((company / "names.json").read_text(encoding="utf-8"))
    said |= {
        "events": str(make_cleaned(place, events) if contender.cleaned else company / "tables" / "events"),
        "cleaned": contender.cleaned,
        "dates": [d.isoformat() for d in as_of_dates(snapshots)],
        "aggregates": [[m, low, high] for m, windows in AGGREGATES.items() for low, high in windows],
        "out": str(place.folder / f"{name}.parquet"),
        "marks": str(place.folder / f"{name}.marks.json"),
        "config": str(company / "config.yaml"),
    }
    job = place.folder / f"{name}.json"
    job.write_text(json.dumps(said, indent=2), encoding="utf-8")
    return job


def compute(place: Workplace, contender: Contender, events: int, snapshots: int) -> dict[str, Any]:
    """One contender from scratch: what it took, and what it says about itself."""
    job = write_job(place, contender, events, snapshots)
    marks = job.with_suffix(".marks.json")
    marks.unlink(missing_ok=True)
    if contender.name == "toolkit":  # the rollup is part of what is measured
        shutil.rmtree(place.company(events) / "activity", ignore_errors=True)
    script = str(HERE / "contenders" / contender.script)
    measured: Measured = run([_interpreter(place, contender), script, str(job)], place.limits)
    parts = json.loads(marks.read_text(encoding="utf-8")) if marks.is_file() else {}
    about = {"contender": contender.name, "events": events, "snapshots": snapshots}
    return {**about, **measured.as_json(), "parts": parts}


def compare(place: Workplace, contender: Contender, events: int, snapshots: int, first_day: str) -> dict[str, Any]:
    """What differs between a contender's result and the toolkit's."""
    theirs, ours = (place.folder / f"{name}-{events}-{snapshots}.parquet" for name in (contender.name, "toolkit"))
    job, out = theirs.with_suffix(".json"), place.folder / "equality.json"
    script = str(HERE / "contenders" / "equality.py")
    subprocess.run([sys.executable, script, str(job), str(ours), str(theirs), first_day, str(out)], check=True)
    return dict(json.loads(out.read_text(encoding="utf-8")))


# ---------------------------------------------------------------- the run


def contest(
    place: Workplace, results: Results, sizes: list[int], snapshots: list[int], contenders: list[Contender]
) -> None:
    """Measure all that is not measured yet, smallest size first."""
    out: dict[tuple[str, int], str] = {}
    steps, step = len(sizes) * len(snapshots) * len(contenders), 0
    for events in sizes:
        make_company(place, events)
        unit = results.find(contender="unit", events=events) or results.add(
            {"contender": "unit", "events": events, **measure_unit(place, events)}
        )
        for count in snapshots:
            for contender in contenders:
                step += 1
                line = results.find(contender=contender.name, events=events, snapshots=count)
                if line is None and (contender.name, count) in out:
                    continue
                line = line or results.add(_measure(place, results, contender, events, count))
                if line["stopped"]:
                    out[contender.name, count] = line["stopped"]
                print(f"[{step}/{steps}] {_in_words(contender, line, unit)}", flush=True)


def _measure(place: Workplace, results: Results, contender: Contender, events: int, snapshots: int) -> dict[str, Any]:
    line = compute(place, contender, events, snapshots)
    if line["stopped"] or contender.name == "toolkit":
        return line
    toolkit = results.find(contender="toolkit", events=events, snapshots=snapshots)
    if toolkit is None or toolkit["stopped"]:
        return line
    return {**line, **compare(place, contender, events, snapshots, toolkit["parts"]["first_day"])}


def _in_words(contender: Contender, line: dict[str, Any], unit: dict[str, Any]) -> str:
    size = f"{line['events']:,} events, {line['snapshots']} snapshots"
    if line["stopped"]:
        return f"{contender.label}: {size}: {line['stopped']}"
    ratio = line["cpu"] / unit["unit"]
    said = f"{line['cpu']:.1f} CPU s, {ratio:.1f} units, {line['peak']:,.0f} MB"
    return f"{contender.label}: {size}: {said}; {_outcome(line)}"


def _outcome(line: dict[str, Any]) -> str:
    """What the comparison found."""
    if line["stopped"]:
        return str(line["stopped"])
    if "different" not in line:
        return "reference"
    if not line["different"]:
        return f"equal ({line['values']:,} values)"
    return "DIFFERENT: " + ", ".join(f"{name} ({rows})" for name, rows in line["different"].items())


def table(results: Results) -> Iterator[str]:
    """The page's table as Markdown."""
    yield "| events | snapshots | | CPU s | of these snapshots | units | times csql_ml | peak MB | result |"
    yield "|---:|---:|---|---:|---:|---:|---:|---:|---|"
    labels = {c.name: c.label for c in CONTENDERS}
    for line in results.lines:
        if line["contender"] == "unit":
            yield f"| {line['rows']:,} | | the unit: reading and hashing | {line['unit']:.2f} | | 1 | | | |"
            continue
        unit = results.find(contender="unit", events=line["events"]) or {}
        toolkit = results.find(contender="toolkit", events=line["events"], snapshots=line["snapshots"])
        yield _row(line, unit, toolkit, labels[line["contender"]])


def _row(line: dict[str, Any], unit: dict[str, Any], toolkit: dict[str, Any] | None, label: str) -> str:
    head = f"| {unit['rows']:,} | {line['snapshots']} | {label}"
    if line["stopped"]:
        return f"{head} | | | | | {line['peak']:,.0f} | did not finish: {line['stopped']} |"
    times = f"{line['cpu'] / toolkit['cpu']:.2f}" if toolkit and not toolkit["stopped"] else ""
    figures = f"{line['cpu']:.1f} | {line['parts']['snapshots']:.1f} | {line['cpu'] / unit['unit']:.1f} | {times}"
    return f"{head} | {figures} | {line['peak']:,.0f} | {_outcome(line)} |"


def versions(results: Results) -> str:
    """Who was measured in which version."""
    found = {line["contender"]: line.get("version") or line["parts"].get("version", "?") for line in results.lines}
    named = ", ".join(f"{name} {version}" for name, version in found.items() if not name.endswith("_cleaned"))
    return f"Versions: {named.replace('unit', 'DuckDB (unit)')}; Python {sys.version.split()[0]}."


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, nargs="+", default=list(SIZES))
    parser.add_argument("--snapshots", type=int, nargs="+", default=[8, 24])
    parser.add_argument("--contenders", nargs="+", default=[c.name for c in CONTENDERS])
    parser.add_argument("--work", type=Path, default=DEFAULT_FOLDER)
    parser.add_argument("--cpu-limit", type=float, default=1800.0, help="CPU seconds of one step")
    parser.add_argument("--memory-limit", type=float, default=16_000.0, help="MB of one step")
    parser.add_argument("--peers-python", type=Path, help="interpreter that has the peers; default: made in --work")
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--write", type=Path, metavar="FILE")
    return parser.parse_args()


def main() -> None:
    """Measure, print the table, and write it where asked."""
    given = _arguments()
    chosen = [c for c in CONTENDERS if c.name in {"toolkit", *given.contenders}]
    given.work.mkdir(parents=True, exist_ok=True)
    peers = given.peers_python
    if peers is None:
        peers = peers_environment(given.work) if any(c.peers for c in chosen) else Path(sys.executable)
    place = Workplace(given.work.resolve(), Limits(given.cpu_limit, given.memory_limit), peers)
    results = Results(given.work / "features.jsonl", given.resume)
    contest(place, results, sorted(given.events), sorted(given.snapshots), chosen)
    text = "\n".join([*table(results), "", versions(results)])
    print(text)
    if given.write is not None:
        write(given.write, MARKS, text)
    if any(line.get("different") for line in results.lines):
        raise SystemExit("some results differ: see the table")


if __name__ == "__main__":
    main()
