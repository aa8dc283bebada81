"""Taking an account out of a rollup that is kept on disk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from csql_ml.activity import manifest as manifests
from csql_ml.activity.folder import Folder
from csql_ml.activity.manifest import DayState, File, Manifest, MonthState, PartState

if TYPE_CHECKING:
    import pyarrow as pa

    from csql_ml.activity.source import Day

_DIGESTS = 1 << 64


@dataclass(frozen=True)
class ForgottenActivity:
    """Rows of the rollup and its summaries that named the account, and how many days they stood on."""

    rows: int = 0
    days: int = 0


def forget_activity(path: Path, account_id: str, dry_run: bool = False) -> ForgottenActivity:
    """Write every file of a rollup that names an account anew without it.

    The days concerned are marked as changed: the next command reads them from the source again. So the rollup never
    disagrees with its source, and an account that the source still has comes back, whole.

    Raises
    ------
    OutputError
        The folder cannot be written, or another run is writing it.
    """
    if not (path / manifests.NAME).is_file():
        return ForgottenActivity()
    folder = Folder(path)
    with folder.locked():
        forgetting = _Forgetting(folder, account_id, dry_run)
        old = manifests.read(path)
        days = {day: forgetting.day(day, state) for day, state in old.days.items()}
        months = {month: forgetting.month(month, state) for month, state in old.months.items()}
        if forgetting.rows and not dry_run:
            new = replace(old, days=days, months=months, parts=_to_be_read_again(old, forgetting.days))
            manifests.write(path, new)
            folder.remove_stale(new.files())
        return ForgottenActivity(forgetting.rows, len(forgetting.days))


class _Forgetting:
    def __init__(self, folder: Folder, account_id: str, dry_run: bool) -> None:
        self._folder, self._account_id, self._dry_run = folder, account_id, dry_run
        self.rows = 0
        self.days: set[Day] = set()

    def day(self, day: Day, state: DayState) -> DayState:
        """A day without the account. Examples of its findings may be keys of the account's rows, so they go too."""
        if state.rollup is None or state.accounts is None or day is None:
            return state
        below = f"day={day.isoformat()}"
        rollup = self._without(below, "rollup", state.rollup)
        if rollup is None:
            return state
        self.days.add(day)
        accounts = self._without(below, "accounts", state.accounts) or state.accounts
        findings = tuple(replace(finding, examples=()) for finding in state.findings)
        return DayState(rollup, accounts, state.keys, findings)

    def month(self, month: str, state: MonthState) -> MonthState:
        """A month without the account."""
        below = f"month={month}-01"
        accounts = self._without(below, "accounts", state.accounts) or state.accounts
        users = None if state.users is None else self._without(below, "users", state.users) or state.users
        return MonthState(accounts, users)

    def _without(self, below: str, name: str, file: File) -> File | None:
        """The new file; None where the old one does not name the account."""
        import pyarrow.compute as pc
        import pyarrow.parquet as pq

        path = self._folder.path / file.path
        named = pc.equal(pq.read_table(path, columns=["account_id"], partitioning=None)["account_id"], self._account_id)
        rows = pc.sum(named).as_py() or 0
        if not rows:
            return None
        self.rows += rows
        if self._dry_run:
            return file
        table: pa.Table = pq.read_table(path, partitioning=None)
        return self._folder.write_table(below, name, table.filter(pc.invert(named)))


def _to_be_read_again(old: Manifest, days: set[Day]) -> Mapping[str, PartState]:
    """The parts as if these days had other rows, and as if the files that hold them had never been looked at."""
    found = {}
    for name, part in old.parts.items():
        if not days & part.days.keys():
            found[name] = part
            continue
        changed = {day: (rows, (digest + (day in days)) % _DIGESTS) for day, (rows, digest) in part.days.items()}
        found[name] = PartState(None if part.stamp is None else "", part.columns, changed)
    return found
