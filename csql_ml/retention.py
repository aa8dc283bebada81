"""Which runs are kept: every one for some days, then the first of each month, then none."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from csql_ml.errors import OutputError, UsageError
from csql_ml.run_files import MANIFEST

#: Every run of this many days before the newest one is kept.
DAYS = 90
#: Beyond that, the first run of each month, for this many months.
MONTHS = 24
_ASIDE = ".pruned."


@dataclass(frozen=True, order=True)
class KeptRun:
    """A run folder and its date."""

    as_of: date
    folder: Path


@dataclass(frozen=True)
class Pruned:
    """What was kept and removed, oldest first, and what stands there that is no run."""

    kept: tuple[KeptRun, ...]
    removed: tuple[KeptRun, ...]
    foreign: tuple[Path, ...]
    dry_run: bool


def prune(folder: Path, days: int = DAYS, months: int = MONTHS, dry_run: bool = False) -> Pruned:
    """Remove old runs from a folder of runs; anything that is not a run is left alone.

    The newest run's date counts as today, so that the same folder gives the same answer on any day.

    Raises
    ------
    UsageError
        ``folder`` is no folder, or a run itself.
    OutputError
        A run cannot be removed.
    """
    if not folder.is_dir() or (folder / MANIFEST).exists():
        raise UsageError(f"{folder} is not a folder of runs; --runs names the folder that has run folders in it")
    _finish(folder, dry_run)
    places = sorted(place for place in folder.iterdir() if not place.name.startswith("."))
    runs = sorted(KeptRun(day, place) for place in places if (day := _date_of(place)) is not None)
    kept = retained(runs, days, months)
    removed = tuple(run for run in runs if run not in kept)
    if not dry_run:
        for run in removed:
            _remove(run.folder)
    known = {run.folder for run in runs}
    foreign = tuple(place for place in places if place not in known)
    return Pruned(tuple(run for run in runs if run in kept), removed, foreign, dry_run)


def retained(runs: Iterable[KeptRun], days: int, months: int) -> set[KeptRun]:
    """The runs that the policy keeps.

    Parameters
    ----------
    days
        All runs whose date is less than this many days before the newest one's.
    months
        Of the newest one's month and the others before it, this many: the runs of the first date in each.
    """
    found = sorted(runs)
    if not found:
        return set()
    newest = found[-1].as_of
    recent = {run for run in found if run.as_of > newest - timedelta(days=max(days, 1))}
    first: dict[int, date] = {}
    for run in found:
        first.setdefault(_month(run.as_of), run.as_of)
    monthly = {
        run for run in found if _month(newest) - _month(run.as_of) < months and first[_month(run.as_of)] == run.as_of
    }
    return recent | monthly


def _month(day: date) -> int:
    return day.year * 12 + day.month


def _date_of(place: Path) -> date | None:
    """The date of a run; None for anything else. A link is no run: what it points at is somebody else's."""
    if place.is_symlink() or not place.is_dir():
        return None
    try:
        manifest = json.loads((place / MANIFEST).read_text(encoding="utf-8"))
        return date.fromisoformat(manifest["as_of"]) if "run_id" in manifest else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _remove(run: Path) -> None:
    """A run goes at one stroke; what is left of it when the process dies is removed the next time."""
    try:
        aside = Path(tempfile.mkdtemp(prefix=_ASIDE, dir=run.parent))
        run.rename(aside / run.name)
        shutil.rmtree(aside)
    except OSError as error:
        raise OutputError(f"run {run} cannot be removed: {error.strerror or error}") from error


def _finish(folder: Path, dry_run: bool) -> None:
    for place in () if dry_run else folder.glob(f"{_ASIDE}*"):
        shutil.rmtree(place, ignore_errors=True)
