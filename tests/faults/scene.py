"""A folder that is the same before every fault, and what is in it afterwards."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.faults.system_calls import End, Plan
from tests.tally import Tally

Run = Callable[[Plan], End]
Look = Callable[[], object]


class Scene:
    """A folder that faults happen in.

    Parameters
    ----------
    place
        The folder; what it holds now is what it holds before every fault.
    """

    def __init__(self, place: Path) -> None:
        self.place = place
        self._base = place.with_name(f"{place.name}.base")
        self.keep()

    def keep(self) -> None:
        """From now on the folder starts as it is now."""
        shutil.rmtree(self._base, ignore_errors=True)
        shutil.copytree(self.place, self._base, symlinks=True)

    def restore(self) -> None:
        shutil.rmtree(self.place)
        shutil.copytree(self._base, self.place, symlinks=True)  # with its times, by which events count as unchanged


def tree(folder: Path, *, but: tuple[str, ...] = ()) -> dict[str, str]:
    """SHA-256 of every file below a folder, hidden ones too, but those whose names end like that."""
    files = [p for p in sorted(folder.rglob("*")) if not p.name.endswith(but or ("\0",))]
    return {
        str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() if p.is_file() else "folder"
        for p in files
    }


def killed_at_every_step(scene: Scene, run: Run, intact: Look, done: Look, tally: Tally, every: int = 1) -> int:
    """Kill ``run`` at each of its steps; returns how many there are.

    Parameters
    ----------
    run
        The job with a plan.
    intact
        Looks at what a kill left: nothing half, what was there before or what comes after.
    done
        Looks at what the next start left; its answer must be that of an undisturbed run.
    every
        Not each step but each one of so many; 0: of writes to one file in a row only the first.
    """
    steps, expected = _undisturbed(scene, run, done)
    for step in _chosen(steps, every):
        with _counted(tally):
            scene.restore()
            end = run(Plan(watched=[str(scene.place)], kill_at=step))
            where = f"step {step}, {end.steps[-1]}"
            assert end.killed, f"{where}: {end}"
            intact()
            again = run(Plan())
            assert again.code == 0, f"after {where}: {again.said}"
            assert done() == expected, f"after {where}"
    return len(steps)


def refused_from_every_step(
    scene: Scene, run: Run, intact: Look, done: Look, tally: Tally, error: int, says: str, every: int = 1
) -> int:
    """As `killed_at_every_step`, but from a step on whatever makes or fills a file is refused with an error number."""
    steps, expected = _undisturbed(scene, run, done)
    for step in _chosen(steps, every):
        with _counted(tally):
            scene.restore()
            end = run(Plan(watched=[str(scene.place)], refuse_from=step, error=error))
            where = f"step {step}, {steps[step - 1]}: {end}, {end.said}"
            assert end.code in (0, 1, 2), where
            assert "Traceback" not in end.said, where
            assert "unexpected" not in end.said, where
            if end.code == 0:  # whatever is left to do is clearing up
                assert done() == expected, where
            else:
                assert says in end.said, where
                intact()
            assert run(Plan()).code == 0
            assert done() == expected, where
    return len(steps)


def _undisturbed(scene: Scene, run: Run, done: Look) -> tuple[Sequence[str], object]:
    """The steps of a job that nothing happens to, and what it leaves."""
    scene.restore()
    end = run(Plan(watched=[str(scene.place)]))
    assert end.code == 0, end.said
    return end.steps, done()


def _chosen(steps: Sequence[str], every: int) -> list[int]:
    if every:
        return list(range(1, len(steps) + 1, every))
    return [i + 1 for i, step in enumerate(steps) if i == 0 or step != steps[i - 1]]


@contextmanager
def _counted(tally: Tally) -> Iterator[None]:
    tally.begin()
    yield
    tally.survived()
