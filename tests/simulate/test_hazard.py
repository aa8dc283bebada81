"""The truth is what the docs say, what was realised, and what can be read off the files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from csql_ml.company import open_company
from csql_ml.config import load
from csql_ml.simulate import write_config
from csql_ml.simulate.company import EARLY_REGION
from csql_ml.simulate.contracts import Books, Ledger
from csql_ml.simulate.dynamics import COMPLETE, LOGIN, START
from csql_ml.simulate.hazard import Signals, hazard, log_odds, propensity
from csql_ml.simulate.history import AsOf, History, unfold
from csql_ml.simulate.state import initial
from csql_ml.simulate.timeline import NEVER, Floats, Timeline
from tests.simulate.company_on_disk import Simulated

CALM: dict[str, Any] = {
    "saturation": 0.6,
    "growth": 0.0,
    "adoption": 0.5,
    "clicks": 0,
    "requested": False,
    "tried_upgrade": False,
    "promoter": False,
    "new_sponsor": False,
    "renewal_days": 200,
    "budget": False,
    "phase_two": False,
    "severe": False,
}


def odds(**changed: Any) -> float:
    """Log-odds of one account that is calm but for some signals."""
    return float(log_odds(Signals(**{name: np.array([v]) for name, v in (CALM | changed).items()}))[0])


signal_values = st.fixed_dictionaries(
    {
        "saturation": st.floats(0, 1),
        "growth": st.floats(-1, 3),
        "adoption": st.integers(0, 6).map(lambda k: k / 6),
        "clicks": st.integers(0, 30),
        "renewal_days": st.integers(0, 365),
        **{n: st.booleans() for n in ("requested", "tried_upgrade", "promoter", "new_sponsor", "budget", "phase_two")},
        "severe": st.booleans(),
    }
)


@given(signal_values, signal_values)
def test_more_of_a_good_sign_never_lowers_the_odds(one: dict[str, Any], other: dict[str, Any]) -> None:
    better = {name: max(one[name], other[name]) for name in one}
    better["renewal_days"] = min(one["renewal_days"], other["renewal_days"])
    better["severe"] = min(one["severe"], other["severe"])
    assert odds(**better) >= odds(**one) - 1e-12


@pytest.mark.parametrize(
    ("below", "at"),
    [
        ({"saturation": 0.799}, {"saturation": 0.8}),
        ({"growth": 0.249}, {"growth": 0.25}),
        ({"growth": -0.25}, {"growth": -0.249}),
        ({"adoption": 3 / 6, "clicks": 1}, {"adoption": 4 / 6, "clicks": 1}),
        ({"saturation": 0.9, "renewal_days": 121}, {"saturation": 0.9, "renewal_days": 120}),
    ],
)
def test_thresholds_are_where_the_guide_has_them(below: dict[str, Any], at: dict[str, Any]) -> None:
    assert odds(**at) - odds(**below) > 0.45


def test_signs_that_count_only_together() -> None:
    def gain(first: dict[str, Any], second: dict[str, Any]) -> float:
        return odds(**first, **second) - odds(**first) - odds(**second) + odds()

    assert gain({"adoption": 5 / 6}, {"clicks": 2}) > 0.5
    assert gain({"saturation": 0.9}, {"renewal_days": 60}) > 0.5
    assert odds(clicks=5) == odds()


@pytest.fixture(scope="module")
def large() -> History:
    return unfold(4000, 4000 * 6 * 250, 6, 3, lambda what, share: None)


def test_base_rate_and_the_best_possible_auc(large: History) -> None:
    truth, label = large.outcomes()
    assert len(label) > 10_000
    assert 0.10 < label.mean() < 0.15
    order = np.argsort(truth)
    ranks = np.empty(len(truth))
    ranks[order] = np.arange(1, len(truth) + 1)
    positives = label.sum()
    auc = (ranks[label].sum() - positives * (positives + 1) / 2) / (positives * (len(label) - positives))
    assert 0.80 < auc < 0.84


def test_the_truth_is_calibrated_over_its_whole_range(large: History) -> None:
    truth, label = large.outcomes()
    for group in np.array_split(np.argsort(truth), 8):
        error = np.sqrt(truth[group].mean() * (1 - truth[group].mean()) / len(group))
        # Accounts come back quarter after quarter, so that a group holds fewer independent cases than rows.
        assert abs(truth[group].mean() - label[group].mean()) < 4.5 * error


def test_wins_of_one_quarter_happen_as_often_as_its_hazard_says(large: History) -> None:
    for look in large.as_of[1:5]:
        assert look.wins is not None
        eta = log_odds(look.seen)[look.in_force]
        expected = 1 / (1 + np.exp(-eta))
        assert look.wins[look.in_force].mean() == pytest.approx(expected.mean(), abs=0.016)


def test_two_quarters_are_likelier_than_one_and_nobody_without_contract_counts() -> None:
    timeline = Timeline.of(6)
    history = unfold(200, 200 * 6 * 250, 6, 5, lambda what, share: None)
    state = initial(history.company.traits, timeline, np.random.default_rng(1))
    Books(state, history.company.traits, timeline, Ledger()).open()
    one = hazard(state, history.company.traits, 0)
    two = propensity(state, history.company.traits, 0, timeline, 5, 8.0)
    assert (two[state.customer] > one[state.customer]).all()
    assert not two[~state.customer].any()
    assert two.max() < 1


def test_looking_ahead_leaves_the_state_alone() -> None:
    timeline = Timeline.of(6)
    traits = unfold(200, 200 * 6 * 250, 6, 5, lambda what, share: None).company.traits
    state, same = (initial(traits, timeline, np.random.default_rng(1)) for _ in range(2))
    first = propensity(state, traits, 1, timeline, 5, 8.0)
    second = propensity(state, traits, 1, timeline, 5, 8.0)
    assert np.array_equal(first, second)
    assert all(np.array_equal(getattr(state, f.name), getattr(same, f.name)) for f in fields(state))


def test_truth_is_written_for_accounts_in_force_as_of_each_quarter_but_the_first(company: Simulated) -> None:
    truth, history = company.table("truth"), company.history
    dates = [history.timeline.date(start) for start in history.timeline.starts[1 : history.timeline.quarters + 1]]
    assert sorted(truth["as_of"].unique()) == dates
    assert not truth.duplicated(["account_id", "as_of"]).any()
    assert truth["propensity"].between(0, 1, inclusive="left").all()
    for look, day in zip(history.as_of, dates, strict=True):
        assert (truth["as_of"] == day).sum() == look.in_force.sum()


def test_known_leads_are_the_outcomes_the_truth_speaks_of(company: Simulated) -> None:
    """Wins drawn for a quarter are exactly the won leads raised in it, as far as they are closed."""
    leads = company.sql(
        "select account_id, created_at::date as day from csqls where won and type in ('upsell','cross_sell','referral')"
    )
    history = company.history
    for look in history.as_of[:2]:
        assert look.wins is not None
        start, end = (history.timeline.date(history.timeline.starts[look.quarter + i]) for i in (0, 1))
        won = set(leads[(leads["day"] >= start) & (leads["day"] < end)]["account_id"])
        assert won == {f"A{i + 1:06d}" for i in np.flatnonzero(look.wins)}
        assert won


# --- what a metric computes from the files against what the hazard used -----------------------------------------------


#: Metric, signal, least correlation; and for flags least share of agreement.
AS_COUNTED = (
    ("seat_saturation", "saturation", 0.99),
    ("usage_growth", "growth", 0.98),
    ("feature_adoption", "adoption", 0.99),
    ("gated_feature_clicks", "clicks", 0.98),
    ("days_to_renewal", "renewal_days", 0.999),
)
AS_FLAGGED = (
    ("upgrade_attempts", "tried_upgrade", 0.98),
    ("module_requests", "requested", 0.98),
    ("new_executive_sponsor", "new_sponsor", 1.0),
    ("budget_expansion", "budget", 1.0),
    ("open_high_severity_tickets", "severe", 1.0),
    ("nps_promoter", "promoter", 1.0),
)


def test_metrics_from_the_files_are_what_the_truth_was_made_of(company: Simulated) -> None:
    """On the first and the last as-of date, for every signal that a metric reads off the files."""
    history = company.history
    config = load(write_config(company.folder.parent / "read.yaml", folder=company.folder.name, models_folder="models"))
    with open_company(config) as opened:
        for look in (history.as_of[0], history.as_of[-1]):
            day = history.timeline.date(history.timeline.starts[look.quarter])
            assert agreement(look, opened.builder.build(day).features) == {}


def agreement(look: AsOf, features: pd.DataFrame) -> dict[str, float]:
    """Metrics that differ from what was lived, and how well they still agree; the accounts are the same."""
    account = features["account_id"].str[1:].astype(int).to_numpy() - 1
    assert sorted(account) == list(np.flatnonzero(look.in_force))
    off = {}
    for metric, signal, least in AS_COUNTED:
        read, lived = features[metric].to_numpy(), getattr(look.seen, signal)[account].astype(float)
        there = ~np.isnan(read)
        assert there.mean() > 0.9
        off[metric] = (float(np.corrcoef(read[there], lived[there])[0, 1]), least)
    for metric, signal, least in AS_FLAGGED:
        read, lived = features[metric].fillna(0).to_numpy() > 0, getattr(look.seen, signal)[account]
        assert lived.any()
        off[metric] = (float((read == lived).mean()), least)
    return {metric: found for metric, (found, least) in off.items() if found < least}


def test_every_signal_moves_the_odds() -> None:
    calm = Signals(**{name: np.array([v]) for name, v in (CALM | {"adoption": 5 / 6, "clicks": 1}).items()})
    for changed in fields(Signals):
        value = getattr(calm, changed.name)
        other = ~value if value.dtype == bool else np.array([0.0 if changed.name != "growth" else 0.9])
        assert log_odds(replace(calm, **{changed.name: other})) != log_odds(calm), changed.name


# --- signs that mislead -----------------------------------------------------------------------------------------------


def completion(history: History, quarter: int) -> Floats:
    counts = sum(month.counts for month in history.months[3 * quarter - 3 : 3 * quarter])
    return np.asarray(counts[:, COMPLETE] / np.maximum(counts[:, START], 1))


def logins(history: History, quarter: int) -> Floats:
    return np.log1p(history.months[3 * quarter - 1].counts[:, LOGIN].astype(float))


def employees(history: History, quarter: int) -> Floats:
    return np.log(history.company.employees.astype(float))


def reviews(history: History, quarter: int) -> Floats:
    return np.sum([month.review_day != NEVER for month in history.months[: 3 * quarter]], axis=0, dtype=float)


@pytest.mark.parametrize("sign", [completion, logins, employees, reviews])
def test_misleading_signs_go_with_wins_but_add_nothing_to_the_signals(
    large: History, sign: Callable[[History, int], Floats]
) -> None:
    values, wins, left = [], [], []
    for look in large.as_of[:5]:
        assert look.wins is not None
        worked = look.in_force & look.covered
        values.append(sign(large, look.quarter)[worked])
        wins.append(look.wins[worked].astype(float))
        left.append(wins[-1] - 1 / (1 + np.exp(-log_odds(look.seen)[worked])))
    value, noise = np.concatenate(values), 1 / np.sqrt(sum(map(len, values)))
    assert np.corrcoef(value, np.concatenate(wins))[0, 1] > 2.5 * noise
    assert abs(np.corrcoef(value, np.concatenate(left))[0, 1]) < 2.5 * noise


def test_leads_that_come_to_nothing_crowd_where_the_proof_of_concept_began(large: History) -> None:
    start, end = large.timeline.starts[1:3]
    early = (large.leads.created >= start) & (large.leads.created < end) & (large.leads.type < 3)
    there = large.company.region[large.leads.account] == EARLY_REGION
    assert large.leads.won[early & there].mean() < large.leads.won[~early].mean() - 0.05
