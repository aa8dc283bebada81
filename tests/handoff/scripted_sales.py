"""What sales does with leads in the scripted CRM, and how the CRM tells of it: overlapping, repeated, or not at all."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, Literal

from csql_ml.handoff.sink import OutcomeChange, TransientError

BLANK: dict[str, dict[str, Any]] = {
    "csqls": {"type": "upsell", "source": "CSQL"},
    "opportunities": {"type": "expansion", "arr": 5000.0, "source": "CSQL"},
}
KEYS = {"csqls": "csql_id", "opportunities": "opportunity_id"}


class Sales:
    """Records as sales left them.

    Parameters
    ----------
    overlap
        How far before the newest change it begins to tell again.
    script
        The fate of each question, in order: "fine", "unavailable", "twice" (every row two times, newest first).
    """

    def __init__(self, overlap: timedelta = timedelta(minutes=5), script: Iterable[str] = ()) -> None:
        self.overlap = overlap
        self.script = list(script)
        self.asked: list[str] = []
        self.records: dict[tuple[str, str], dict[str, Any]] = {}
        self.keys: dict[tuple[str, str], str | None] = {}

    def note(
        self,
        table: Literal["csqls", "opportunities"],
        remote_id: str,
        at: str,
        *,
        key: str | None = None,
        account_id: str = "A1",
        **values: Any,
    ) -> None:
        """Make a record, or change one, at a time."""
        place = table, remote_id
        if place not in self.records:
            number = key or f"scripted:{remote_id}"
            self.records[place] = {
                **BLANK[table],
                KEYS[table]: number,
                "account_id": account_id,
                "created_at": at,
            }
            self.keys[place] = key
        self.records[place] |= {**values, "recorded_at": at}

    def forget(self, table: str, remote_id: str) -> None:
        """Tell nothing of a record any more, as of a lead that was withdrawn."""
        del self.records[table, remote_id]

    def outcomes(self, cursor: str) -> tuple[list[OutcomeChange], str]:
        """What changed since the cursor."""
        self.asked.append(cursor)
        fate = self.script.pop(0) if self.script else "fine"
        if fate == "unavailable":
            raise TransientError("503", retry_after=1.0, uncertain=False)
        found = [
            OutcomeChange(table, remote_id, self.keys[table, remote_id], dict(row))  # type: ignore[arg-type]
            for (table, remote_id), row in self.records.items()
            if row["recorded_at"] >= cursor
        ]
        newest = max((str(c.row["recorded_at"]) for c in found), default=cursor)
        if fate == "twice":
            found = sorted(found * 2, key=lambda c: str(c.row["recorded_at"]), reverse=True)
        return found, self._before(newest)

    def _before(self, newest: str) -> str:
        if not newest:
            return ""
        return (datetime.fromisoformat(newest) - self.overlap).isoformat().replace("+00:00", "Z")
