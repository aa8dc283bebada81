"""Handing over: unchanged leads re-checked a second, and what the client adds to the time a CRM takes.

    python benchmarks/push.py [--leads 1000] [--crm-ms 400] [--batch 100] [--write docs/benchmarks.md]

A run of so many leads is pushed to a CRM in memory that takes a fixed time for each request, then pushed again. The
first push says what the client adds to the CRM's time; the second must not write a single record. Seconds are those on
the wall and of the CPU, of the whole push: reading the run, writing the texts, comparing, the outbox on the disk.
With --write the table replaces the part of the page between the markers of this benchmark.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from csql_ml.handoff.backoff import system_clock
from csql_ml.handoff.fields import Kind
from csql_ml.handoff.push import Pushed, push
from csql_ml.handoff.record import Record
from csql_ml.handoff.sink import Remote, Result
from tests.handoff.scripted_sink import ScriptedCrm, World
from tests.handoff.small_run import config, lead, write_run

MARKS = "<!-- push -->", "<!-- /push -->"


class SlowCrm(ScriptedCrm):
    """A CRM that takes its time for every request, and counts it."""

    def __init__(self, seconds: float, batch_size: int) -> None:
        super().__init__(World(), batch_size=batch_size)
        self._seconds = seconds
        self._places: dict[str, str] = {}
        self.spent = 0.0
        self.written = 0

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


def measure(home: Path, run: Path, crm: SlowCrm) -> tuple[Pushed, float, float, float]:
    """A push, its seconds on the wall and of the CPU, and those the CRM took."""
    spent, wall, cpu = crm.spent, time.perf_counter(), time.process_time()
    result = push(config(home, capacity=1_000_000), run, "scripted", sink=crm, clock=system_clock())
    return result, time.perf_counter() - wall, time.process_time() - cpu, crm.spent - spent


def table(leads: int, milliseconds: float, batch: int) -> str:
    """The measurement as a Markdown table."""
    lines = [
        "| push | leads | written | wall s | CPU s | CRM s | leads a second | client adds |",
        "|---|---|---|---|---|---|---|---|",
    ]
    with tempfile.TemporaryDirectory(prefix="csql-push-") as folder:
        home = Path(folder)
        run = write_run(home / "run", [lead(f"A{n:06d}") for n in range(leads)])
        crm = SlowCrm(milliseconds / 1000, batch)
        for name in ("first", "again, unchanged"):
            before = crm.written
            _, wall, cpu, spent = measure(home, run, crm)
            adds = f"{(wall - spent) / spent:.0%}" if spent else "-"
            cells = (
                name,
                f"{leads:,}",
                f"{crm.written - before:,}",
                f"{wall:.2f}",
                f"{cpu:.2f}",
                f"{spent:.2f}",
                f"{leads / wall:,.0f}",
                adds,
            )
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Measure, print, and write where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--leads", type=int, default=1000)
    parser.add_argument("--crm-ms", type=float, default=400.0, help="what the CRM takes for a request")
    parser.add_argument("--batch", type=int, default=100, help="leads of a request")
    parser.add_argument("--write", type=Path)
    given = parser.parse_args()
    found = table(given.leads, given.crm_ms, given.batch)
    print(found)
    if given.write:
        page = given.write.read_text(encoding="utf-8")
        head, _, rest = page.partition(MARKS[0])
        _, _, tail = rest.partition(MARKS[1])
        given.write.write_text(f"{head}{MARKS[0]}\n{found}\n{MARKS[1]}{tail}", encoding="utf-8")


if __name__ == "__main__":
    main()
