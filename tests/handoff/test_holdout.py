"""Leads of accounts that an experiment holds out stay at home while it runs."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from csql_ml import printing_push
from csql_ml.errors import ConfigError
from csql_ml.handoff.push import history
from csql_ml.outcomes.plan_file import Plan
from tests.handoff.push_desk import Desk, actions
from tests.handoff.small_run import lead
from tests.handoff.test_printing_push import text

START, END = date(2026, 7, 1), date(2026, 10, 1)


@pytest.fixture
def experiment(desk: Desk) -> Callable[..., Path]:
    """Write the plan that the desk's configuration names; ``held``: accounts that are not worked."""
    desk.options["holdout"] = Path("plan.json")

    def write(*held: str, worked: tuple[str, ...] = ("A2",)) -> Path:
        units = tuple({"account_id": a, "unit": a, "stratum": "s", "worked": a in worked} for a in (*held, *worked))
        days = {"start": START, "end": END, "complete_from": date(2026, 12, 1), "planned_as_of": date(2026, 6, 30)}
        shares = {"holdout_share": 0.5, "confidence": 0.95, "power": 0.8}
        plan = Plan("autumn", "account", units=units, smallest={}, sentences=(), **days, **shares)
        plan.write(desk.home / "plan.json")
        return desk.home / "plan.json"

    return write


def test_held_out_leads_are_counted_and_not_sent(desk: Desk, experiment: Callable[..., Path]) -> None:
    experiment("A1")
    leads = [lead("A1"), lead("A2"), lead("A3")]
    looked = desk.dry_run(*leads)
    assert actions(looked) == {"create": 2, "held_out": 1}
    assert looked.plan is not None
    assert looked.plan.notes == ("experiment autumn holds out 1 leads of this run until 2026-10-01",)
    assert desk.push(*leads).counts == {"create": 2}
    assert {fields["account_id"] for _, fields in desk.crm.stored.values()} == {"A2", "A3"}
    (past,) = history(desk.config)
    assert past["planned"]["lead"]["held_out"] == 1


@pytest.mark.parametrize(
    ("as_of", "held"), [("2026-06-30", 0), ("2026-07-01", 1), ("2026-09-30", 1), ("2026-10-01", 0)]
)
def test_the_run_s_date_decides_whether_the_experiment_runs(
    desk: Desk, experiment: Callable[..., Path], as_of: str, held: int
) -> None:
    experiment("A1")
    assert actions(desk.dry_run(lead("A1", as_of=as_of), as_of=as_of)).get("held_out", 0) == held


def test_a_lead_from_before_the_experiment_is_neither_changed_nor_withdrawn(
    desk: Desk, experiment: Callable[..., Path]
) -> None:
    experiment("A1")
    desk.push(lead("A1", as_of="2026-06-24"), as_of="2026-06-24")
    before = dict(desk.crm.stored)
    pushed = desk.push(lead("A1", propensity=0.9), as_of="2026-07-08")
    assert actions(pushed) == {"held_out": 1}
    assert pushed.plan is not None
    assert pushed.plan.notes[0].endswith("1 of them were handed over before and stay as they are")
    assert desk.crm.stored == before


def test_after_the_experiment_its_leads_are_handed_over(desk: Desk, experiment: Callable[..., Path]) -> None:
    experiment("A1")
    desk.push(lead("A1"))
    assert desk.push(lead("A1", as_of="2026-10-01"), as_of="2026-10-01").counts == {"create": 1}


def test_held_out_leads_take_no_place_of_a_portfolio(desk: Desk, experiment: Callable[..., Path]) -> None:
    desk.options["routing"] = {"open_leads_per_portfolio": 1}
    experiment("A1")
    assert actions(desk.dry_run(lead("A1"), lead("A2"), lead("A3"))) == {"create": 1, "waiting": 1, "held_out": 1}


def test_a_changed_plan_is_refused_before_anything_is_sent(desk: Desk, experiment: Callable[..., Path]) -> None:
    path = experiment("A1")
    plan = json.loads(path.read_text())
    plan["units"][0]["worked"] = True
    path.write_text(json.dumps(plan))
    with pytest.raises(ConfigError, match=r"delivery\.holdout: .*was changed after it was written"):
        desk.push(lead("A1"))
    assert desk.crm.writes == 0


def test_a_missing_plan_is_named(desk: Desk, experiment: Callable[..., Path]) -> None:
    with pytest.raises(ConfigError, match=r"delivery\.holdout: there is no file .*plan\.json"):
        desk.dry_run(lead("A1"))


def test_the_dry_run_says_who_is_held_out(desk: Desk, experiment: Callable[..., Path]) -> None:
    experiment("A1")
    shown = text(list(printing_push.pushed(desk.dry_run(lead("A1"), lead("A2"))).text))
    assert "held out Account A1 A1 (autumn)" in shown
    desk.push(lead("A1"), lead("A2"))
    assert "1 create, 1 held out" in text(list(printing_push.history(history(desk.config)).text))
