"""What sales made of leads: opportunities that changed since a cursor, as rows of ``csqls`` and ``opportunities``."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from csql_ml.config.tryton import Tryton
from csql_ml.errors import DeliveryError
from csql_ml.handoff.fields import WITHDRAWN
from csql_ml.handoff.sink import OutcomeChange
from csql_ml.handoff.tryton.mapping import executive_of
from csql_ml.handoff.tryton.values import utc_text

_PAGE = 500
_EXPANSION = "expansion"

#: ``(since, after id, limit)`` -> opportunities changed then or later, by time of change and id.
Changes = Callable[[datetime | None, int, int], list[dict[str, Any]]]


class Outcomes:
    """Reads changes page by page; a cursor lies some minutes before the newest change, see ``overlap``."""

    def __init__(self, settings: Tryton, changes: Changes) -> None:
        self._settings = settings
        self._changes = changes

    def since(self, cursor: str) -> tuple[list[OutcomeChange], str]:
        """Rows that changed since the cursor ("" at first), and the next cursor.

        Raises
        ------
        DeliveryError
            The cursor is not one of this sink, or an amount cannot be converted.
        """
        begin = _begin(cursor)
        since, after, newest = begin, 0, begin
        found: list[OutcomeChange] = []
        while True:
            page = self._changes(since, after, _PAGE)
            for one in page:
                found += self._rows(one)
            if page:
                since, after = page[-1]["changed_at"], page[-1]["id"]
                newest = since
            if len(page) < _PAGE:
                break
        if newest is None:
            return found, cursor
        # A transaction's changes bear the time of its beginning and are seen when it ends.
        back = newest - timedelta(seconds=self._settings.overlap)
        # What was overlapped once need not move the cursor back.
        following = back if begin is None else max(back, begin)
        return found, json.dumps({"since": utc_text(following)})

    def _rows(self, one: Mapping[str, Any]) -> Iterable[OutcomeChange]:
        if one["account_id"] is None:
            return
        if one["problem"]:
            raise DeliveryError(
                f"opportunity {one['id']} has no amount in the company's currency: {one['problem']}; add it"
            )
        stages = _Stages(one, self._settings)
        remote_id = str(one["id"])
        if one["key"] and not (one["status"] == WITHDRAWN and stages.accepted_at is None):
            yield OutcomeChange("csqls", remote_id, one["key"], self._csql(one, stages))
        if stages.opportunity_at is not None:
            yield OutcomeChange("opportunities", remote_id, one["key"], self._opportunity(one, stages))

    def _csql(self, one: Mapping[str, Any], stages: _Stages) -> dict[str, Any]:
        return {
            "csql_id": one["key"],
            "account_id": one["account_id"],
            "type": one["lead_type"],
            "created_at": utc_text(one["created_at"]),
            "csm_id": one["csm_id"],
            "ae_id": self._executive(one),
            "accepted_at": utc_text(stages.accepted_at),
            "rejected_at": utc_text(stages.rejected_at),
            "rejection_reason": one["reason"] if stages.rejected_at else None,
            "opportunity_at": utc_text(stages.opportunity_at),
            "closed_at": utc_text(stages.closed_at),
            "won": stages.won,
            "arr": None if not stages.won else _amount(one),
            "source": one["source"],
            "recorded_at": utc_text(one["changed_at"]),
        }

    def _executive(self, one: Mapping[str, Any]) -> str | None:
        """Who works on it now; the one it was handed to where Tryton names nobody."""
        return executive_of(one["executive"], self._settings) or one["owner"]

    def _opportunity(self, one: Mapping[str, Any], stages: _Stages) -> dict[str, Any]:
        kind = _EXPANSION if one["key"] else one["type"] or self._settings.other_opportunities
        return {
            "opportunity_id": f"tryton:{one['id']}",
            "account_id": one["account_id"],
            "type": kind,
            "created_at": utc_text(stages.opportunity_at),
            "arr": _amount(one) or 0.0,
            "closed_at": utc_text(stages.closed_at),
            "won": stages.won,
            "source": one["source"],
            "recorded_at": utc_text(one["changed_at"]),
        }


def _amount(one: Mapping[str, Any]) -> float | None:
    """ARR at stake or won; the contract knows none below zero."""
    return None if one["amount"] is None else max(float(one["amount"]), 0.0)


class _Stages:
    """When an opportunity reached which stage, from the states it went through and the configuration's words.

    What came before it was last a lead does not count: it was not accepted after all, or was taken up anew.
    """

    def __init__(self, one: Mapping[str, Any], settings: Tryton) -> None:
        words, states = settings.stages, one["states"] or [[one["state"], one["changed_at"]]]
        last_lead = max((number for number, (name, _) in enumerate(states) if name == "lead"), default=0)
        path, ended_at = states[last_lead:], states[-1][1]
        self.opportunity_at = _first(path, words.opportunity)
        reached = (_first(path, words.accepted), one["accepted_at"], self.opportunity_at)
        self.accepted_at: datetime | None = min((at for at in reached if at is not None), default=None)
        lost = one["state"] in words.lost
        self.rejected_at = ended_at if lost and self.accepted_at is None else None
        self.won = True if one["state"] in words.won else False if lost and self.accepted_at is not None else None
        self.closed_at = None if self.won is None else ended_at


def _first(path: Sequence[Sequence[Any]], states: Sequence[str]) -> datetime | None:
    """When it first was in one of these states."""
    return next((at for name, at in path if name in states), None)


def _begin(cursor: str) -> datetime | None:
    if not cursor:
        return None
    try:
        return datetime.fromisoformat(json.loads(cursor)["since"])
    except (ValueError, KeyError, TypeError) as error:
        raise DeliveryError("the cursor is none of the tryton sink's; pull from the beginning") from error
