"""Planning and reading an experiment: who is drawn, what the file promises, what the sentences say."""

# ruff: noqa: E501 - a table is read along its lines

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ttest_ind

from csql_ml import printing_outcomes
from csql_ml.config import Config
from csql_ml.errors import ContractError, NotMatureError, OutputError, UsageError
from csql_ml.outcomes.assignment import held_out, strata
from csql_ml.outcomes.effects import ARR, NRR, RATE, effects, fitted, unit_sums
from csql_ml.outcomes.experiment_accounts import account_outcomes
from csql_ml.outcomes.facts import Facts, typed
from csql_ml.outcomes.plan_file import Plan, read_plan
from csql_ml.outcomes.planning import planned
from csql_ml.outcomes.uplift import uplift
from csql_ml.run_files import json_text
from tests.outcomes.funnel_tables import facts

CONFIG = Config()
START, END = date(2026, 4, 1), date(2026, 7, 1)
COMPLETE = date(2026, 9, 14)


def company(
    as_of: date, accounts: int = 120, sold: dict[str, float] | None = None, leads: tuple[str, ...] = ()
) -> Facts:
    """Accounts of 1,000 each and more, by four CSMs in turn; ``sold``: expansion ARR of May, by account."""
    names = [f"a{i:03d}" for i in range(accounts)]
    days = (as_of - date(2026, 5, 15)).days
    happened = sold if sold is not None and days >= 1 else {}
    before = (as_of - date(2026, 2, 15)).days
    known = dict.fromkeys(names[:: max(1, accounts // 12)], 300.0) if days < 1 or sold is None else {}
    rows = [(n, arr, days) for n, arr in happened.items()] + [(n, arr, before) for n, arr in known.items()]
    opportunities = pd.DataFrame(
        [(f"o{i}", n, "expansion", d + 20, arr, d, True, "CSQL") for i, (n, arr, d) in enumerate(rows)],
        columns=["opportunity_id", "account_id", "type", "created_days_ago", "arr", "closed_days_ago", "won", "source"],
    )
    csqls = pd.DataFrame(
        [(f"l{n}", n, "upsell", days) for n in leads], columns=["csql_id", "account_id", "type", "created_days_ago"]
    )
    return Facts(
        as_of=as_of,
        accounts=typed(pd.DataFrame({"account_id": names, "csm_id": [f"c{i % 4}" for i in range(accounts)]})),
        contracts=typed(pd.DataFrame({"account_id": names, "arr": [1000.0 + 10 * i for i in range(accounts)], "start_days_ago": 900.0, "end_days_ago": np.nan})),
        csqls=typed(csqls),
        opportunities=typed(opportunities),
        has_source=True,
    )  # fmt: skip


def a_plan(name: str = "poc", **more: Any) -> Plan:
    return planned(company(START), CONFIG, name, (START, END), **more)


def arm(plan: Plan, worked: bool) -> list[str]:
    return [u["account_id"] for u in plan.units if u["worked"] is worked]


# who


def test_the_draw_depends_on_the_name_and_on_nothing_else() -> None:
    first, again, other = a_plan(), a_plan(), a_plan("another")
    assert first == again
    assert arm(first, True) != arm(other, True)
    both = len(set(arm(first, True)) & set(arm(other, True)))
    assert 20 <= both <= 40, "two experiments share a quarter of the accounts, by chance"


@given(st.integers(4, 90), st.sampled_from([0.2, 1 / 3, 0.5, 0.75]), st.text(max_size=5))
def test_shares_are_met_in_all_and_in_every_stratum(count: int, share: float, name: str) -> None:
    units = pd.DataFrame({"unit": [f"u{i}" for i in range(count)]})
    units["stratum"] = strata(pd.Series(np.arange(count, dtype=float)))
    held = held_out(units, name, share)
    assert abs(held.sum() - count * share) < 1
    for _, rows in units.groupby("stratum"):
        assert abs(held[rows.index].sum() - len(rows) * share) < 2


def test_a_new_account_does_not_move_who_comes_before_it() -> None:
    """The lot of a unit is its own: order within a stratum stays when others join."""
    few = pd.DataFrame({"unit": ["a", "b", "c", "d"], "stratum": 0})
    assert held_out(few.iloc[::-1], "x", 0.5).sort_index().tolist() == held_out(few, "x", 0.5).tolist()


def test_whole_portfolios_are_drawn_by_csm() -> None:
    plan = a_plan(unit="csm")
    owners = {u["unit"]: {v["worked"] for v in plan.units if v["unit"] == u["unit"]} for u in plan.units}
    assert sorted(len(arms) for arms in owners.values()) == [1, 1, 1, 1]
    assert len(arm(plan, True)) == 60


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"csms": ["nobody"]}, "no CSM 'nobody' is known"),
        ({"accounts": ["a001", "zz"]}, "no account 'zz' is known"),
        ({"accounts": ["a001", "a002", "a003"]}, "3 accounts with 1 held out are too few"),
        ({"unit": "csm", "csms": ["c1", "c2", "c3"]}, "3 CSMs with 1 held out are too few"),
        ({"holdout_share": 1.0}, "expected a share between 0 and 1"),
    ],
)
def test_what_cannot_be_planned_is_refused(more: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        a_plan(**more)


# what could be seen


def test_the_plan_says_what_could_be_seen() -> None:
    """With 10 % before the start and 60 accounts an arm, a test of proportions sees 10 against 30.3 % 8 times in 10."""
    plan = a_plan()
    assert plan.smallest["base_rate"] == pytest.approx(0.1)
    assert plan.smallest["rate"] == pytest.approx(0.203, abs=0.001)
    assert plan.sentences[0].startswith("With 120 accounts, 60 worked and 60 held out")
    assert "you can see only a difference of 20.3" in plan.sentences[0]
    assert f"complete from {COMPLETE.isoformat()}" in plan.sentences[-1]


def test_more_accounts_see_less() -> None:
    smallest = [planned(company(START, n), CONFIG, "poc", (START, END)).smallest["rate"] for n in (60, 240, 960)]
    assert smallest == sorted(smallest, reverse=True)
    assert smallest[2] < smallest[0] / 3


# the file


def test_a_plan_is_read_as_it_was_written(tmp_path: Path) -> None:
    plan, path = a_plan(), tmp_path / "plan.json"
    plan.write(path)
    plan.write(path)
    assert read_plan(path) == plan


def test_a_plan_is_never_written_over(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    a_plan().write(path)
    with pytest.raises(OutputError, match="never written over"):
        a_plan("another").write(path)


def test_a_changed_plan_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    a_plan().write(path)
    content = json.loads(path.read_text(encoding="utf-8"))
    content["units"][0]["worked"] = not content["units"][0]["worked"]
    path.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(UsageError, match="changed after it was written"):
        read_plan(path)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 2, "fingerprint": "x"}', "unit: account"])
def test_what_is_no_plan_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "plan.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match="not a plan"):
        read_plan(path)


# reading


def test_nobody_reads_before_outcomes_are_complete() -> None:
    with pytest.raises(NotMatureError, match="complete from 2026-09-14"):
        uplift(company(date(2026, 9, 13)), a_plan(), CONFIG)
    assert uplift(company(COMPLETE), a_plan(), CONFIG).as_of == COMPLETE


def test_an_effect_is_seen_and_told() -> None:
    """Thirty of sixty worked accounts bought 500 each, three of those held out: half against a twentieth."""
    plan = a_plan()
    sold = dict.fromkeys(arm(plan, True)[::2] + arm(plan, False)[::20], 500.0)
    result = uplift(company(COMPLETE, sold=sold, leads=tuple(arm(plan, True)[:40])), plan, CONFIG)
    by = {e.outcome: e for e in result.effects}
    assert (by[RATE].worked, by[RATE].held_out, by[RATE].difference) == (0.5, 0.05, pytest.approx(0.45))
    # Newcombe's hybrid of the Wilson intervals 37.74 to 62.27 % and 1.71 to 13.70 %, combined by hand.
    assert (by[RATE].low, by[RATE].high) == (pytest.approx(0.2996, abs=1e-4), pytest.approx(0.5770, abs=1e-4))
    assert by[ARR].difference == pytest.approx(225.0, rel=0.15)
    assert (by[NRR].worked, by[NRR].difference) == (1.0, pytest.approx(0.0)), "no contract changed"
    assert result.verdict == "helps"
    assert result.sentences[0].startswith("Working the leads helps: 50.0% of the worked accounts expanded and 5.0%")
    assert "60 accounts were to be worked, and 40 of them had a lead; 60 were held out, and none" in result.sentences[3]


def test_no_effect_reads_as_cannot_tell() -> None:
    plan = a_plan()
    sold = dict.fromkeys(arm(plan, True)[::10] + arm(plan, False)[::12], 500.0)
    result = uplift(company(COMPLETE, sold=sold, leads=(arm(plan, False)[0],)), plan, CONFIG)
    assert result.verdict == "cannot tell"
    assert result.sentences[0].startswith("Cannot tell whether working the leads helps")
    assert "the plan said that only 20.3 points or more could be seen" in result.sentences[0]
    assert "1 of them had one all the same" in result.sentences[3]
    assert result.sentences[4].startswith("Accounts count in the arm they were drawn for")


def test_nobody_bought_anything() -> None:
    result = uplift(company(COMPLETE, sold={}), a_plan(), CONFIG)
    money = result.effects[1]
    assert (result.effects[0].difference, money.difference, result.verdict) == (0.0, None, "cannot tell")
    assert result.sentences[1] == "ARR: cannot tell, too few accounts expanded."
    json_text(printing_outcomes.read(result).data)


def test_without_opportunities_nobody_knows_what_the_held_out_bought() -> None:
    with pytest.raises(ContractError, match="opportunities is not mapped"):
        uplift(replace(company(COMPLETE), opportunities=None), a_plan(), CONFIG)


def test_outcomes_of_accounts_are_those_of_the_window() -> None:
    """Won within the window: o1. o2 was won on the day after it, o3 was lost, o4 is a renewal."""
    known = facts(
        date(2026, 7, 10),
        opportunities="""
        opportunity_id | account_id | type      | created_at | arr | closed_at  | won   | source
        o1             | a1         | expansion | 2026-03-01 | 700 | 2026-06-30 | true  | sales
        o2             | a2         | expansion | 2026-03-01 | 700 | 2026-07-01 | true  | sales
        o3             | a3         | expansion | 2026-03-01 | 700 | 2026-06-30 | false | sales
        o4             | a4         | renewal   | 2026-03-01 | 700 | 2026-06-30 | true  | sales
        """,
    )
    found = account_outcomes(known, pd.Series(["a1", "a2", "a3", "a4"]), START, END)
    assert found["expanded"].tolist() == [1.0, 0.0, 0.0, 0.0]
    assert found["arr"].tolist() == [700.0, 0.0, 0.0, 0.0]
    assert found["start_arr"].tolist() == [10000.0, 5000.0, 5000.0, 0.0]
    assert found["end_arr"].tolist() == [12000.0, 0.0, 5000.0, 4000.0]


def two_arms(seed: int = 1, units: int = 40) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    start = np.exp(rng.normal(8.0, 1.0, units))
    expanded = (rng.random(units) < 0.4).astype(float)
    return pd.DataFrame(
        {
            "unit": [f"u{i}" for i in range(units)],
            "worked": np.arange(units) % 2 == 0,
            "expanded": expanded,
            "arr": expanded * start * rng.uniform(0.1, 0.4, units),
            "start_arr": start,
            "end_arr": start * rng.uniform(0.8, 1.2, units),
        }
    )


def test_retention_is_a_ratio_of_sums() -> None:
    accounts = two_arms()
    effect = effects(accounts, "account", 0.95)[2]
    worked = accounts[accounts["worked"]]
    assert effect.worked == pytest.approx(worked["end_arr"].sum() / worked["start_arr"].sum())
    assert effect.difference == pytest.approx((effect.worked or 0) - (effect.held_out or 0))


def test_with_accounts_of_one_size_the_variance_is_welchs() -> None:
    accounts = two_arms().assign(start_arr=1.0)
    fit = fitted(unit_sums(accounts, NRR), NRR)
    arms = [accounts.loc[accounts["worked"] == w, "end_arr"] for w in (True, False)]
    assert float(fit.tvalues[1]) == pytest.approx(float(ttest_ind(*arms, equal_var=False).statistic))


def test_a_portfolio_is_one_observation() -> None:
    """Ten copies of every account in its portfolio say no more than one."""
    accounts = two_arms()
    many = pd.concat([accounts] * 10, ignore_index=True)
    once, copied = (effects(frame, "csm", 0.95)[0] for frame in (accounts, many))
    assert (copied.low, copied.high) == (pytest.approx(once.low), pytest.approx(once.high))


def test_the_two_part_model_finds_what_was_put_in() -> None:
    """4,000 accounts: 20 % against 10 % expand, by 30 % of an ARR whose mean is known."""
    rng = np.random.default_rng(3)
    worked, start = np.arange(4000) % 2 == 0, np.exp(rng.normal(8.0, 1.0, 4000))
    expanded = (rng.random(4000) < np.where(worked, 0.2, 0.1)).astype(float)
    noise = np.exp(rng.normal(0.0, 0.3, 4000) - 0.045)
    accounts = two_arms(units=4000).assign(
        worked=worked, start_arr=start, expanded=expanded, arr=expanded * 0.3 * start * noise
    )
    effect = effects(accounts, "account", 0.95)[1]
    truth = 0.1 * 0.3 * start.mean()
    assert effect.low is not None
    assert effect.high is not None
    assert effect.low < truth < effect.high
    assert effect.difference == pytest.approx(truth, rel=0.2)
