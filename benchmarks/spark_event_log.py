"""What Spark's event log says of each step of a job: tasks, shuffle, spill and how evenly the work was spread."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

_DESCRIPTION = "spark.job.description"


@dataclass
class Step:
    """All tasks of the jobs that bear one description.

    Attributes
    ----------
    tasks
        Per stage, the milliseconds, shuffle bytes read and records read of each task.
    shuffle, spill
        Bytes written to shuffle files, and spilled to disk.
    """

    tasks: dict[int, list[tuple[int, int, int]]] = field(default_factory=lambda: defaultdict(list))
    shuffle: int = 0
    shuffle_read: int = 0
    spill: int = 0

    @property
    def count(self) -> int:
        """Number of tasks."""
        return sum(map(len, self.tasks.values()))

    def spread(self, what: int) -> float:
        """Most over median of the stage in which the most was done by several tasks; 1 is perfectly even.

        Parameters
        ----------
        what
            0: milliseconds, 1: shuffle bytes read, 2: records read.
        """
        stages = [[task[what] for task in tasks] for tasks in self.tasks.values() if len(tasks) > 1]
        heaviest = max(stages, key=sum, default=[1])
        return max(heaviest) / max(median(heaviest), 1)


def steps_of(folder: Path) -> dict[str, Step]:
    """Steps by job description, from the event logs below a folder (one application)."""
    steps: dict[str, Step] = defaultdict(Step)
    description: dict[int, str] = {}
    for line in _lines(folder):
        event: dict[str, Any] = json.loads(line)
        if event["Event"] == "SparkListenerJobStart":
            said = str(event.get("Properties", {}).get(_DESCRIPTION, ""))
            description |= {stage["Stage ID"]: said for stage in event["Stage Infos"]}
        elif event["Event"] == "SparkListenerTaskEnd" and event.get("Task Metrics"):
            _add(steps[description.get(event["Stage ID"], "")], event["Stage ID"], event["Task Metrics"])
    return dict(steps)


def _lines(folder: Path) -> list[str]:
    """Spark writes one file, or rolls over several of one folder."""
    files = sorted(p for p in folder.rglob("*") if p.is_file() and not p.name.startswith((".", "appstatus")))
    return [line for file in files for line in file.read_text(encoding="utf-8").splitlines()]


def _add(step: Step, stage: int, metrics: dict[str, Any]) -> None:
    read, written = metrics["Shuffle Read Metrics"], metrics["Shuffle Write Metrics"]
    read_bytes = read["Remote Bytes Read"] + read["Local Bytes Read"]
    records = read["Total Records Read"] + metrics.get("Input Metrics", {}).get("Records Read", 0)
    step.tasks[stage].append((metrics["Executor Run Time"], read_bytes, records))
    step.shuffle += written["Shuffle Bytes Written"]
    step.shuffle_read += read_bytes
    step.spill += metrics["Disk Bytes Spilled"]
