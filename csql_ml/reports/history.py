"""Earlier runs of the same company: where each account stood, run by run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from csql_ml.errors import OutputError, UsageError
from csql_ml.reports.run_folder import Run, open_run

SCORES = "scores.parquet"
#: In the order of `Past`.
_COLUMNS = ("account_id", "propensity", "baseline_score", "status", "rank", "csm_id")


@dataclass(frozen=True)
class Past:
    """How an account stood in an earlier run; ``csm_id`` is who had it then."""

    as_of: date
    model_version: str
    labels_seen: bool
    propensity: float | None
    baseline_score: float | None
    status: str | None
    rank: int | None
    csm_id: str | None


class EarlierRun:
    """The scores of one earlier run, held as columns: some tens of bytes an account.

    Parameters
    ----------
    run
        The run, opened and checked.

    Raises
    ------
    OutputError
        The scores are missing or not those of a run.
    """

    def __init__(self, run: Run) -> None:
        self.run = run
        path = run.folder / SCORES
        try:
            scores = pq.read_table(path, columns=list(_COLUMNS))
        except (OSError, pa.ArrowException) as error:
            raise OutputError(f"{path} cannot be read as the scores of a run: {error}; score again") from error
        missing = [name for name in _COLUMNS if name not in scores.column_names]
        if missing:
            raise OutputError(f"{path} has no {', '.join(missing)}; score again")
        # In one piece each: looking up a row in many pieces is a search of its own.
        ids, *self._columns = (scores.column(name).combine_chunks() for name in _COLUMNS)
        self._rows = {key: row for row, key in enumerate(ids.to_pylist())}

    def of(self, account_id: str) -> Past | None:
        """Where the account stood; None where it was not in the run."""
        row = self._rows.get(account_id)
        if row is None:
            return None
        found = (column[row].as_py() for column in self._columns)
        return Past(self.run.as_of, self.run.model_version, self.run.labels_seen, *found)


class History:
    """All earlier runs given to a report, oldest first."""

    def __init__(self, runs: Sequence[EarlierRun] = ()) -> None:
        self._runs = sorted(runs, key=lambda earlier: earlier.run.as_of)

    def __bool__(self) -> bool:
        return bool(self._runs)

    @property
    def newest(self) -> Run:
        """The latest run; there must be one."""
        return self._runs[-1].run

    def of(self, account_id: str) -> list[Past]:
        """Where the account stood, oldest run first; runs it was not in are left out."""
        found = (earlier.of(account_id) for earlier in self._runs)
        return [past for past in found if past is not None]


def open_history(run: Run, folders: Sequence[Path]) -> History:
    """Open earlier runs of the company whose run is reported.

    Raises
    ------
    UsageError
        A run is not earlier than the one reported, is of another company, or two are of one day.
    OutputError
        A folder is no run, or was changed after the run.
    """
    opened = [open_run(folder) for folder in folders]
    for earlier in opened:
        if earlier.as_of >= run.as_of:
            raise UsageError(
                f"--earlier {earlier.folder} is the run as of {earlier.as_of.isoformat()}, which is not before "
                f"{run.as_of.isoformat()}; name earlier runs only"
            )
        if earlier.company != run.company:
            raise UsageError(f"--earlier {earlier.folder} is a run of another company than {run.folder}")
    days = [earlier.as_of for earlier in opened]
    twice = sorted({day for day in days if days.count(day) > 1})
    if twice:
        raise UsageError(f"--earlier names two runs as of {twice[0].isoformat()}; name one of them")
    return History([EarlierRun(earlier) for earlier in opened])


def newest(run: Path, folders: Sequence[Path]) -> Path | None:
    """The folder of the latest of these earlier runs, checked as `open_history` does; None where there are none."""
    if not folders:
        return None
    return open_history(open_run(run), folders).newest.folder
