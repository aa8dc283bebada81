"""Handing over: what the client adds to the time a CRM takes, and unchanged leads re-checked a second.

    python benchmarks/delivery.py [--leads 2000] [--crm-ms 100] [--batches 100 200] [--repeat 5]
                                  [--write docs/benchmarks.md]

A run of so many leads is pushed to a CRM in memory that takes a fixed time for each request (one for preflight, one for
each batch that is looked up or sent), then pushed again. The first push says what the client adds to the CRM's time,
the second must not write a single record. Measured is the whole push: reading the run, writing the texts, comparing,
the outbox on the disk. Of several pushes into a new outbox and CRM each, the median is shown, and the least and the
most of what the client adds. With --write the table replaces the part of the page between the markers.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.page import write
from csql_ml.handoff.backoff import system_clock
from csql_ml.handoff.fields import Kind
from csql_ml.handoff.push import push
from csql_ml.handoff.record import Record
from csql_ml.handoff.sink import Finding, Remote, Result
from tests.handoff.scripted_sink import ScriptedCrm, World
from tests.handoff.small_run import config, lead, write_run

MARKS = "<!-- delivery -->", "<!-- /delivery -->"


class SlowCrm(ScriptedCrm):
    """A CRM that takes its time for every request, and counts it."""

    def __init__(self, seconds: float, batch_size: int) -> None:
        super().__init__(World(), batch_size=batch_size)
        self._seconds = seconds
        self._places: dict[str, str] = {}
        self.spent = 0.0
        self.written = 0

    def preflight(self, kinds: Sequence[Kind]) -> list[Finding]:
        self._take_time()
        return []

    def lookup(self, kind: Kind, keys: Sequence[str]) -> dict[str, Remote]:
        self._take_time()
        return {key: Remote(self._places[key], {}) for key in keys if key in self._places}

    def submit(self, kind: Kind, records: Sequence[Record], receipt: str) -> list[Result]:
        self._take_time()
        self.written += len(records)
        for record in records:
            self._places.setdefault(record.key, f"R{len(self._places)}")
        return [Result(r.key, "acknowledged", self._places[r.key]) for r in records]

    def _take_time(self) -> None:
        begun = time.perf_counter()
        time.sleep(self._seconds)
        self.spent += time.perf_counter() - begun


@dataclass(frozen=True)
class Measured:
    """One push: seconds on the wall, of the CPU, and those the CRM took."""

    wall: float
    cpu: float
    crm: float
    written: int

    @property
    def added(self) -> float:
        """What the client adds, as a share of the CRM's time."""
        return (self.wall - self.crm) / self.crm


def measure(home: Path, run: Path, crm: SlowCrm) -> Measured:
    """Push a run."""
    spent, written, wall, cpu = crm.spent, crm.written, time.perf_counter(), time.process_time()
    push(config(home, capacity=1_000_000), run, "scripted", sink=crm, clock=system_clock())
    return Measured(time.perf_counter() - wall, time.process_time() - cpu, crm.spent - spent, crm.written - written)


def measured_twice(folder: Path, leads: int, seconds: float, batch: int) -> tuple[Measured, Measured]:
    """A push of new leads, and the same again, into an outbox and a CRM of their own."""
    with tempfile.TemporaryDirectory(dir=folder) as home:
        run = write_run(Path(home) / "run", [lead(f"A{n:06d}") for n in range(leads)])
        crm = SlowCrm(seconds, batch)
        first = measure(Path(home), run, crm)
        again = measure(Path(home), run, crm)
    if (first.written, again.written) != (leads, 0):
        raise AssertionError(f"{first.written} and {again.written} leads were written, not {leads} and 0")
    return first, again


def rows(leads: int, milliseconds: float, batch: int, repeat: int) -> list[str]:
    """The measurements with one size of batches as rows of a table."""
    with tempfile.TemporaryDirectory(prefix="csql-delivery-") as folder:
        measured_twice(Path(folder), batch, 0.0, batch)  # reads modules and calendars, which is done once a process
        pairs = [measured_twice(Path(folder), leads, milliseconds / 1000, batch) for _ in range(repeat)]
    firsts, agains = [first for first, _ in pairs], [again for _, again in pairs]
    added = sorted(first.added for first in firsts)
    shares = f"{median(added):.0%} ({added[0]:.0%} to {added[-1]:.0%})"
    return [
        _row("new", batch, leads, firsts, shares),
        _row("unchanged", batch, leads, agains, "-"),
    ]


def _row(name: str, batch: int, leads: int, pushes: Sequence[Measured], added: str) -> str:
    wall, cpu, crm = (median(getattr(p, what) for p in pushes) for what in ("wall", "cpu", "crm"))
    cells = (f"{leads:,} {name}", batch, f"{wall:.2f}", f"{cpu:.2f}", f"{crm:.2f}", f"{leads / wall:,.0f}", added)
    return f"| {' | '.join(map(str, cells))} |"


def table(leads: int, milliseconds: float, batches: Sequence[int], repeat: int) -> str:
    """The measurement as a Markdown table."""
    head = [
        "| leads | in batches of | wall s | CPU s | CRM s | leads a second | client adds to the CRM's time |",
        "|---|---|---|---|---|---|---|",
    ]
    return "\n".join([*head, *(row for batch in batches for row in rows(leads, milliseconds, batch, repeat))])


def main() -> None:
    """Measure, print, and write where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--leads", type=int, default=2000)
    parser.add_argument("--crm-ms", type=float, default=100.0, help="what the CRM takes for a request")
    parser.add_argument("--batches", type=int, nargs="+", default=[100, 200], help="leads of a request")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--write", type=Path)
    given = parser.parse_args()
    found = table(given.leads, given.crm_ms, given.batches, given.repeat)
    print(found)
    if given.write:
        write(given.write, MARKS, found)


if __name__ == "__main__":
    main()
