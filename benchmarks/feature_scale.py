"""The toolkit alone at growing sizes: cost per event, as ratios to reading and hashing the same events.

    python benchmarks/feature_scale.py [--events 6000000 60000000 500000000] [--memory 4GB] [--resume] [--write FILE]

Every step is a child process of its own: the unit, the full build (checks and rollup), then, from the rollup, one
as-of date, 8 quarterly and 24 monthly ones, and one day appended and scored (by the rules). Printed are the CPU seconds
of the whole process (interpreter, imports and opening the company among them), those of the step itself, both as ratios
to the unit, and the peak memory of the process tree. ``--memory`` is the configuration's data.memory_limit, which
bounds DuckDB and not the whole process. With --resume, steps measured by an interrupted run are kept.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.features import as_of_dates
from benchmarks.measured_process import Limits, run
from benchmarks.page import write
from benchmarks.workplace import DEFAULT_FOLDER, HERE, Results, Workplace, make_company, measure_unit

MARKS = "<!-- feature-scale -->", "<!-- /feature-scale -->"
SIZES = (6_000_000, 60_000_000, 500_000_000)
#: Step -> what it is called, the part of the process that is the step itself, and at most how many units.
STEPS: dict[str, tuple[str, str, float | None]] = {
    "build": ("full build: checks and rollup", "open", 4.5),
    "one": ("one as-of date from the rollup", "snapshots", 0.5),
    "quarterly": ("8 quarterly snapshots", "snapshots", 3.0),
    "monthly": ("24 monthly snapshots", "snapshots", 9.0),
    "append": ("one day appended, then scored", "score", None),
}
_GOAL_MEMORY, _GOAL_APPEND, _GOAL_GROWTH = 1_000.0, 0.2, 1.3


class Scale:
    """The steps of one size."""

    def __init__(self, place: Workplace, events: int, memory: str) -> None:
        self._place, self._events, self._memory = place, events, memory
        self._company = place.company(events)
        self._later = place.folder / f"company-{events}-later"

    def measure(self, step: str) -> dict[str, Any]:
        """One step, measured."""
        steps: dict[str, Callable[[], dict[str, Any]]] = {
            "build": self._build,
            "one": lambda: self._snapshots(1),
            "quarterly": lambda: self._snapshots(8),
            "monthly": lambda: self._snapshots(24),
            "append": self._append,
        }
        return steps[step]()

    def _build(self) -> dict[str, Any]:
        shutil.rmtree(self._company / "activity", ignore_errors=True)
        line = self._run("open", self._company)
        files = [f for f in (self._company / "activity").rglob("*") if f.is_file()]
        return {**line, "store": sum(f.stat().st_size for f in files) / 1e6}

    def _snapshots(self, count: int) -> dict[str, Any]:
        return self._run("snapshots", self._company, *(d.isoformat() for d in as_of_dates(count)))

    def _append(self) -> dict[str, Any]:
        """Build without the last day, then measure the batch run of the day after it, which has to add that day."""
        self._lay_out("before")
        built = self._run("open", self._later)
        if built["stopped"]:
            return built
        self._lay_out("after")
        out = self._place.folder / "run"
        shutil.rmtree(out, ignore_errors=True)
        line = self._run("score", self._later, as_of_dates(1)[0].isoformat(), str(out))
        return {**line, "before": built["cpu"]}

    def _lay_out(self, what: str) -> None:
        script = str(HERE / "one_day_later.py")
        subprocess.run([sys.executable, script, what, str(self._company), str(self._later)], check=True)

    def _run(self, what: str, company: Path, *rest: str) -> dict[str, Any]:
        marks = self._place.folder / "step.json"
        marks.unlink(missing_ok=True)
        script = str(HERE / "toolkit_step.py")
        command = [sys.executable, script, what, str(company / "config.yaml"), str(marks), *rest]
        measured = run(command, self._place.limits)
        parts = json.loads(marks.read_text(encoding="utf-8")) if marks.is_file() else {}
        return {**measured.as_json(), "parts": parts, "memory_limit": self._memory}


def measure_all(place: Workplace, results: Results, sizes: list[int], steps: list[str], memory: str) -> None:
    """Measure what is not measured yet, smallest size first."""
    for events in sizes:
        print(f"{events:,} events: simulating, unless that is done", flush=True)
        make_company(place, events, memory)
        unit = results.find(step="unit", events=events)
        unit = unit or results.add({"step": "unit", "events": events, **measure_unit(place, events)})
        print(f"{events:,} events: the unit: {unit['unit']:.2f} CPU s", flush=True)
        scale = Scale(place, events, memory)
        for number, step in enumerate(steps, 1):
            line = results.find(step=step, events=events)
            line = line or results.add({"step": step, "events": events, **scale.measure(step)})
            print(f"{events:,} events [{number}/{len(steps)}] {_in_words(line, unit)}", flush=True)


def _in_words(line: dict[str, Any], unit: dict[str, Any]) -> str:
    label, part, _ = STEPS[line["step"]]
    if line["stopped"]:
        return f"{label}: {line['stopped']}"
    own = line["parts"][part]
    ratios = f"{own / unit['unit']:.2f} units ({line['cpu'] / unit['unit']:.2f} with all)"
    return f"{label}: {line['cpu']:.1f} CPU s, the step itself {own:.1f}: {ratios}; {line['peak']:,.0f} MB"


# ---------------------------------------------------------------- the page


def tables(results: Results) -> Iterator[str]:
    """Both tables as Markdown: all steps, then the cost per event."""
    yield "| events | step | CPU s of the process | of these the step | units, process | units, step | goal | peak MB |"
    yield "|---:|---|---:|---:|---:|---:|---:|---:|"
    order = ["unit", *STEPS]
    for line in sorted(results.lines, key=lambda one: (one["events"], order.index(one["step"]))):
        yield _unit_row(line) if line["step"] == "unit" else _row(line, results)
    yield ""
    yield from per_event(results)


def _unit_row(line: dict[str, Any]) -> str:
    return f"| {line['rows']:,} | the unit: reading and hashing | {line['unit']:.2f} | | 1 | 1 | | |"


def _row(line: dict[str, Any], results: Results) -> str:
    unit = results.find(step="unit", events=line["events"]) or {}
    label, part, goal = STEPS[line["step"]]
    head = f"| {unit['rows']:,} | {label}"
    if line["stopped"]:
        return f"{head} | did not finish: {line['stopped']} | | | | | {line['peak']:,.0f} |"
    own, cpu = line["parts"][part], line["cpu"]
    if goal is None:
        build = results.find(step="build", events=line["events"])
        goal = _GOAL_APPEND * build["cpu"] / unit["unit"] if build and not build["stopped"] else None
    wanted = "" if goal is None else f"{goal:.1f}"
    ratios = f"{cpu / unit['unit']:.2f} | {own / unit['unit']:.2f}"
    return f"{head} | {cpu:.1f} | {own:.1f} | {ratios} | {wanted} | {line['peak']:,.0f} |"


def per_event(results: Results) -> Iterator[str]:
    """Microseconds of CPU per event and step at each size, and how many times the least the most is."""
    sizes = sorted({line["events"] for line in results.lines})
    rows = {e: (results.find(step="unit", events=e) or {}).get("rows", e) for e in sizes}
    heads = " | ".join(f"{rows[e]:,} events" for e in sizes)
    yield f"| CPU microseconds per event | {heads} | most / least (goal {_GOAL_GROWTH}) |"
    yield "|---|" + "---:|" * (len(sizes) + 1)
    for step, (label, part, _) in STEPS.items():
        lines = [results.find(step=step, events=e) for e in sizes]
        costs = [_cost(line, part, rows[e]) for line, e in zip(lines, sizes, strict=True)]
        known = [c for c in costs if c is not None]
        growth = f"{max(known) / min(known):.2f}" if len(known) > 1 else ""
        yield f"| {label}, the step itself | {' | '.join('' if c is None else f'{c:.2f}' for c in costs)} | {growth} |"


def _cost(line: dict[str, Any] | None, part: str, rows: int) -> float | None:
    return None if line is None or line["stopped"] else float(line["parts"][part] / rows * 1e6)


def notes(results: Results, memory: str) -> str:
    """What the figures were measured with, and the memory against its goal."""
    peaks = [line["peak"] for line in results.lines if line["step"] != "unit"]
    stored = sorted((line["events"], line["store"]) for line in results.lines if line.get("store"))
    stores = [f"{store:,.0f} MB at {events:,} events" for events, store in stored]
    return (
        f"data.memory_limit is {memory}; the process held at most {max(peaks):,.0f} MB (goal {_GOAL_MEMORY:,.0f}). "
        f"The stored rollup: {', '.join(stores) or 'none'}. Python {sys.version.split()[0]}."
    )


def main() -> None:
    """Measure, print the tables, and write them where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, nargs="+", default=list(SIZES))
    parser.add_argument("--steps", nargs="+", choices=STEPS, default=list(STEPS))
    parser.add_argument("--work", type=Path, default=DEFAULT_FOLDER)
    parser.add_argument("--memory", default="4GB", help="data.memory_limit of the configuration")
    parser.add_argument("--cpu-limit", type=float, default=7200.0, help="CPU seconds of one step")
    parser.add_argument("--memory-limit", type=float, default=16_000.0, help="MB at which a step is ended")
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--write", type=Path, metavar="FILE")
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    place = Workplace(given.work.resolve(), Limits(given.cpu_limit, given.memory_limit))
    results = Results(given.work / "feature_scale.jsonl", given.resume)
    measure_all(place, results, sorted(given.events), given.steps, given.memory)
    text = "\n".join([*tables(results), "", notes(results, given.memory)])
    print(text)
    if given.write is not None:
        write(given.write, MARKS, text)


if __name__ == "__main__":
    main()
