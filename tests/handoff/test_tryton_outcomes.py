from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from csql_ml.config.tryton import Stages, Tryton
from csql_ml.contract.tables import TABLES
from csql_ml.errors import DeliveryError
from csql_ml.handoff.tryton.outcomes import Outcomes

DAY_1 = datetime(2026, 7, 1, 8, 0, tzinfo=UTC)


def at(day: int) -> datetime:
    return DAY_1 + timedelta(days=day - 1)


def opportunity(path: str, **values: Any) -> dict[str, Any]:
    """What the module says of an opportunity that was in these states, from day 1 on, one a day."""
    states = [[state, at(day)] for day, state in enumerate(path.split(), start=1)]
    found = {
        "id": 4,
        "changed_at": states[-1][1],
        "created_at": DAY_1,
        "state": states[-1][0],
        "states": states,
        "account_id": "A1",
        "executive": "P7",
        "source": "CSQL",
        "type": "expansion",
        "amount": 500.0,
        "problem": None,
        "key": "k1",
        "status": "open",
        "lead_type": "upsell",
        "csm_id": "CSM-1",
        "owner": "AE-1",
        "accepted_at": None,
        "reason": "no budget",
    }
    return {**found, **values}


def rows(one: dict[str, Any], **settings: Any) -> dict[str, dict[str, Any]]:
    found, _ = Outcomes(Tryton(**settings), lambda since, after, limit: [one]).since("")
    return {change.table: dict(change.row) for change in found}


STAGES = ("accepted_at", "rejected_at", "opportunity_at", "closed_at", "won")


@pytest.mark.parametrize(
    ("path", "button", "expected"),
    [
        # accepted, rejected, opportunity, closed (as days), won
        ("lead", None, (None, None, None, None, None)),
        ("lead", 1, (1, None, None, None, None)),
        ("lead opportunity", None, (2, None, 2, None, None)),
        ("lead opportunity", 1, (1, None, 2, None, None)),
        ("lead opportunity converted", None, (2, None, 2, None, None)),
        ("lead opportunity converted won", None, (2, None, 2, 4, True)),
        ("lead opportunity lost", None, (2, None, 2, 3, False)),
        ("lead opportunity cancelled", None, (2, None, 2, 3, False)),
        ("lead lost", None, (None, 2, None, None, None)),
        ("lead cancelled", None, (None, 2, None, None, None)),
        ("lead lost", 1, (1, None, None, 2, False)),
        # Taken back, lost and taken up again, reopened.
        ("lead opportunity lead", None, (None, None, None, None, None)),
        ("lead opportunity lead lost", None, (None, 4, None, None, None)),
        ("lead lost lead opportunity", None, (4, None, 4, None, None)),
        ("lead opportunity converted lost converted won", None, (2, None, 2, 6, True)),
        ("opportunity", None, (1, None, 1, None, None)),
    ],
)
def test_stages(path: str, button: int | None, expected: tuple[int | bool | None, ...]) -> None:
    found = rows(opportunity(path, accepted_at=None if button is None else at(button)))["csqls"]
    days = [None if day is None else at(day).isoformat().replace("+00:00", "Z") for day in expected[:4]]
    assert [found[name] for name in STAGES] == [*days, expected[4]]
    assert (found["rejection_reason"] is None) == (expected[1] is None)
    assert found["arr"] == (500.0 if expected[4] else None)


def test_rows_have_the_columns_of_the_contract() -> None:
    found = rows(opportunity("lead opportunity"))
    for table, row in found.items():
        assert set(row) == set(TABLES[table].column_names)
        assert row["recorded_at"] == "2026-07-02T08:00:00Z"
    assert found["opportunities"]["opportunity_id"] == "tryton:4"
    assert found["opportunities"]["created_at"] == "2026-07-02T08:00:00Z"


def test_the_words_for_stages_are_the_configurations() -> None:
    stages = Stages(won=("converted", "won"), lost=("lost",))
    assert rows(opportunity("lead opportunity converted"), stages=stages)["csqls"]["won"] is True
    assert rows(opportunity("lead cancelled"), stages=stages)["csqls"]["rejected_at"] is None


@pytest.mark.parametrize(
    ("path", "values", "tables"),
    [
        ("lead cancelled", {}, {"csqls"}),
        ("lead cancelled", {"status": "withdrawn"}, set()),
        ("lead opportunity", {"status": "withdrawn"}, {"csqls", "opportunities"}),
        ("lead opportunity", {"account_id": None}, set()),
        ("lead opportunity", {"key": None}, {"opportunities"}),
        ("lead lost", {"key": None}, set()),
    ],
)
def test_what_is_left_out(path: str, values: dict[str, Any], tables: set[str]) -> None:
    assert set(rows(opportunity(path, **values))) == tables


def test_executives_and_types_are_translated() -> None:
    assert rows(opportunity("lead"), executives={"maria": "P7"})["csqls"]["ae_id"] == "maria"
    assert rows(opportunity("lead", executive=None))["csqls"]["ae_id"] == "AE-1"
    foreign = opportunity("opportunity", key=None, type=None, amount=None)
    found = rows(foreign, other_opportunities="new")["opportunities"]
    assert (found["type"], found["arr"]) == ("new", 0.0)


def test_an_amount_without_a_rate_stops_the_pull() -> None:
    one = opportunity("lead", problem="Tryton has no rate from USD to EUR for 2026-07-01", amount=None)
    with pytest.raises(DeliveryError, match=r"opportunity 4 .* no rate from USD to EUR"):
        rows(one)


# ---------------------------------------------------------------- the cursor


class Crm:
    """Opportunities with their times of change, read as the module reads them."""

    def __init__(self, *changed: float) -> None:
        self.all = [
            opportunity("lead", id=n, changed_at=DAY_1 + timedelta(seconds=s)) for n, s in enumerate(changed, 1)
        ]
        self.asked: list[tuple[datetime | None, int]] = []

    def changes(self, since: datetime | None, after: int, limit: int) -> list[dict[str, Any]]:
        self.asked.append((since, after))
        later = [
            one
            for one in self.all
            if since is None or one["changed_at"] > since or (one["changed_at"] == since and one["id"] > after)
        ]
        return sorted(later, key=lambda one: (one["changed_at"], one["id"]))[:limit]

    def pull(self, cursor: str) -> tuple[list[int], str]:
        found, following = Outcomes(Tryton(overlap=60), self.changes).since(cursor)
        return [int(c.remote_id) for c in found], following


def test_pages_lose_nothing_of_equal_times(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("csql_ml.handoff.tryton.outcomes._PAGE", 2)
    crm = Crm(5, 5, 5, 5, 1, 9)
    assert crm.pull("")[0] == [5, 1, 2, 3, 4, 6]


def test_the_cursor_overlaps_and_never_goes_back() -> None:
    crm = Crm(0, 100, 1000)
    found, cursor = crm.pull("")
    assert found == [1, 2, 3]
    assert json.loads(cursor) == {"since": "2026-07-01T08:15:40Z"}
    crm.all.append(opportunity("lead", id=9, changed_at=DAY_1 + timedelta(seconds=950)))
    assert crm.pull(cursor) == ([9, 3], cursor), "what was committed late is seen, and the cursor stays"
    assert Crm().pull(cursor) == ([], cursor)
    assert Crm().pull("") == ([], "")


@pytest.mark.parametrize("cursor", ["x", "{}", '{"since": "yesterday"}', '{"since": 5}', "[]"])
def test_a_foreign_cursor_is_refused(cursor: str) -> None:
    with pytest.raises(DeliveryError, match="none of the tryton sink's"):
        Crm().pull(cursor)
