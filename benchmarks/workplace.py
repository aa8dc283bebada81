"""Where benchmarks of the feature engine work: simulated companies, the unit of all ratios, results that are kept."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.measured_process import Limits, run

HERE = Path(__file__).resolve().parent
DEFAULT_FOLDER = HERE.parent / "build" / "benchmarks"


@dataclass(frozen=True)
class Workplace:
    """A folder for everything a benchmark makes, the limits of its steps, and the interpreter that has the peers."""

    folder: Path
    limits: Limits
    peers_python: Path = Path(sys.executable)

    def company(self, events: int) -> Path:
        """Folder of the simulated company of that size."""
        return self.folder / f"company-{events}"


def make_company(place: Workplace, events: int, memory: str = "4GB") -> None:
    """Simulate the company of that size unless it is there.

    Parameters
    ----------
    memory
        ``data.memory_limit`` of its configuration.
    """
    command = [sys.executable, str(HERE / "simulated_company.py"), "--events", str(events), "--memory", memory]
    subprocess.run([*command, "--out", str(place.company(events))], check=True)


def measure_unit(place: Workplace, events: int) -> dict[str, Any]:
    """CPU seconds of reading and hashing the needed columns."""
    marks = place.folder / "unit.json"
    folder = place.company(events) / "tables" / "events"
    measured = run([sys.executable, str(HERE / "contenders" / "hashing.py"), str(folder), str(marks)], place.limits)
    if measured.stopped:
        raise SystemExit(f"reading and hashing {folder} {measured.stopped}")
    return dict(json.loads(marks.read_text(encoding="utf-8")))


class Results:
    """Lines of results, kept in a file so that an interrupted run can go on."""

    def __init__(self, file: Path, resume: bool) -> None:
        self._file = file
        if not resume:
            file.unlink(missing_ok=True)
        kept = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
        self.lines: list[dict[str, Any]] = [json.loads(line) for line in kept]

    def find(self, **keys: Any) -> dict[str, Any] | None:
        """The line with these values."""
        return next((line for line in self.lines if all(line.get(k) == v for k, v in keys.items())), None)

    def add(self, line: dict[str, Any]) -> dict[str, Any]:
        """Keep a line."""
        self.lines.append(line)
        with self._file.open("a", encoding="utf-8") as out:
            out.write(json.dumps(line) + "\n")
        return line
