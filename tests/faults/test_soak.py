"""Commands killed at random times, two hundred of them, one after another on the same folders."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from csql_ml.model import bundle as bundles
from csql_ml.model import promotions
from csql_ml.run_files import read_manifest
from csql_ml.simulate import END, simulate, write_config
from tests.faults.jobs import MODULES
from tests.faults.scene import tree
from tests.faults.system_calls import SUPPORTED, Jobs, Plan
from tests.faults.test_killed_commands import outbox_of
from tests.tally import Tally

pytestmark = [pytest.mark.soak, pytest.mark.skipif(not SUPPORTED, reason="forks and SIGKILL")]
KILLS = 200


@pytest.fixture(scope="module")
def jobs() -> Iterator[Jobs]:
    with Jobs("tests.faults.jobs", *MODULES, "mlflow.pyfunc") as found:
        yield found


@pytest.fixture
def company(tmp_path: Path) -> Path:
    simulate(tmp_path / "data", accounts=60, quarters=6, seed=3)
    return write_config(tmp_path / "config.yaml", folder="data", models_folder="models")


class Work:
    """The commands of a day on one company."""

    def __init__(self, jobs: Jobs, config: Path) -> None:
        self._jobs, self._home = jobs, config.parent
        c, run = ["-c", str(config)], str(config.parent / "run")
        self.commands = {
            "train": ["train", *c],
            "score": ["score", *c, "--as-of", END.isoformat(), "--out", run],
            "report": ["report", *c, "--run", run, "--out", str(config.parent / "site")],
            "push": ["push", *c, "--run", run, "--to", "files"],
        }

    def do(self, name: str, kill_after: float | None = None) -> int:
        end = self._jobs.run("command", Plan(kill_after=kill_after), arguments=self.commands[name])
        assert end.killed or end.code == 0, end.said
        return end.code

    def intact(self) -> None:
        """Whatever is there is whole."""
        if (self._home / "run").exists():
            read_manifest(self._home / "run")
        if (name := promotions.in_force(self._home / "models")) is not None:
            bundles.load(self._home / "models" / name)
        if (self._home / "outbox.sqlite").exists():
            outbox_of(self._home / "outbox.sqlite")

    def result(self) -> Any:
        """All of it, after an undisturbed day."""
        for name in self.commands:
            self.do(name)
        folders = {name: tree(self._home / name) for name in ("run", "site")}
        for box in self._home.rglob("outbox.sqlite"):
            folders["outbox"] = outbox_of(box)
        champion = promotions.in_force(self._home / "models")
        left = [p.name for p in self._home.rglob("*.part")]
        return {**folders, "champion": champion, "left": left}


def test_two_hundred_kills(jobs: Jobs, company: Path, tally: Tally) -> None:
    tally.of("fault", "`csql train`, `score`, `report` and `push` killed at random times, 200 times")
    work, moments, killed = Work(jobs, company), random.Random(6), Counter[str]()
    work.result()
    lasts = {}
    for name in work.commands:
        begun = time.monotonic()
        work.do(name)
        lasts[name] = time.monotonic() - begun
    expected = work.result()
    assert not expected["left"]
    while killed.total() < KILLS:
        name = moments.choice(list(work.commands))
        if work.do(name, moments.uniform(0.0, 1.1) * lasts[name]) < 0:
            killed[name] += 1
            tally.begin()
            work.intact()
            if killed.total() % 20 == 0:
                assert work.result() == expected, dict(killed)
            tally.survived()
    assert min(killed.values()) > 20, dict(killed)
