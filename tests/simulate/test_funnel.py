"""Leads and opportunities: order of steps, coverage, what is a lead and what is not."""

from __future__ import annotations

from itertools import pairwise

import pandas as pd
import pytest

from csql_ml.contract.tables import LEAD_TYPES
from csql_ml.simulate.catalogue import MODULES
from tests.simulate.company_on_disk import Simulated

STEPS = ("created_at", "accepted_at", "opportunity_at", "closed_at")


@pytest.fixture
def leads(company: Simulated) -> pd.DataFrame:
    return company.table("csqls")


def test_steps_come_in_order_on_working_days(leads: pd.DataFrame) -> None:
    for earlier, later in pairwise(STEPS):
        both = leads.dropna(subset=[earlier, later])
        assert len(both) > 20
        assert (both[later] > both[earlier]).all()
    assert (leads["rejected_at"].dropna() > leads["created_at"][leads["rejected_at"].notna()]).all()
    assert leads["created_at"].dt.day_of_week.max() <= 4


def test_a_lead_is_accepted_or_rejected_with_a_reason(leads: pd.DataFrame) -> None:
    rejected = leads["rejected_at"].notna()
    assert not (rejected & leads[["accepted_at", "opportunity_at", "closed_at"]].notna().any(axis=1)).any()
    assert (leads["rejection_reason"].notna() == rejected).all()
    reasons = {"no_budget", "no_buyer", "bad_timing", "duplicate", "not_expansion"}
    assert set(leads["rejection_reason"].dropna()) <= reasons


def test_only_closed_leads_have_a_result_and_only_won_ones_money(leads: pd.DataFrame) -> None:
    closed = leads["closed_at"].notna()
    assert (leads["won"].notna() == closed).all()
    won = leads["won"].fillna(False).astype(bool)
    assert (leads["arr"].notna() == won).all()
    assert (leads.loc[won, "arr"] > 0).all()
    assert not (won & leads["opportunity_at"].isna()).any()


def test_no_lead_is_raised_while_an_earlier_one_of_the_account_is_open(leads: pd.DataFrame) -> None:
    leads = leads.sort_values(["account_id", "created_at"])
    over = leads["closed_at"].fillna(leads["rejected_at"])
    follows = leads["account_id"] == leads["account_id"].shift()
    assert follows.sum() > 20
    assert (leads["created_at"] > over.shift())[follows].all()


def test_leads_exist_only_where_and_when_an_account_is_covered(company: Simulated) -> None:
    uncovered = company.sql(
        """select count(*) as n from csqls l join accounts a using (account_id) left join coverage c
           on c.csm_id = a.csm_id and l.created_at::date >= c.start_date
           and (c.end_date is null or l.created_at::date < c.end_date) where c.csm_id is null"""
    )
    assert uncovered["n"][0] == 0


def test_the_proof_of_concept_has_about_half_of_the_accounts_of_some_managers(company: Simulated) -> None:
    coverage = company.table("coverage")
    poc, later = coverage.dropna(subset="end_date"), coverage[coverage["end_date"].isna()]
    managers = company.table("accounts")["csm_id"]
    assert set(later["csm_id"]) >= set(managers)
    assert 0.35 < managers.isin(poc["csm_id"]).mean() < 0.65
    assert poc["start_date"].nunique() == later["start_date"].nunique() == 1
    assert set(poc["end_date"]) == set(later["start_date"])


def test_the_funnel_meets_the_field_s_starting_benchmarks(company: Simulated) -> None:
    leads = company.history.leads
    real = leads.type < 3
    assert 0.65 < 1 - (leads.rejected >= 0)[real].mean() < 0.85
    assert 0.50 < (leads.opportunity >= 0)[real].mean() < 0.70
    assert 0.27 < leads.won[real].mean() < 0.42
    cycle = (leads.closed - leads.created)[leads.closed >= 0]
    assert 34 < sorted(cycle)[len(cycle) // 2] < 46


def test_all_kinds_of_leads_and_a_few_that_are_none(leads: pd.DataFrame) -> None:
    kinds = leads["type"].value_counts(normalize=True)
    assert set(LEAD_TYPES) <= set(kinds.index)
    assert 0 < kinds.drop(list(LEAD_TYPES)).sum() < 0.15


def test_won_leads_show_in_the_contracts(company: Simulated) -> None:
    won = company.sql(
        "select account_id, type, closed_at::date as day from csqls where won and type in ('upsell', 'cross_sell')"
    )
    added = company.sql(
        "select account_id, start_date as day, string_agg(product) as products from contracts "
        "where signed_at::date = start_date group by all"
    )
    matched = won.merge(added, on=["account_id", "day"], how="left")
    modules = matched[matched["type"] == "cross_sell"]["products"]
    assert len(modules) > 5
    assert modules.isin(MODULES).all()
    # Plan upgrades show with the next term instead.
    assert (matched[matched["type"] == "upsell"]["products"] == "Platform").mean() > 0.5


def test_opportunities_come_from_leads_renewals_and_a_few_from_sales_alone(company: Simulated) -> None:
    kinds = company.sql("select type, source, count(*) as n from opportunities group by all").set_index(
        ["type", "source"]
    )
    assert set(kinds.index) == {
        ("renewal", "renewal"),
        ("renewal", "churn_save"),
        ("expansion", "CSQL"),
        ("expansion", "sales"),
        ("new", "CSQL"),
    }
    assert kinds.loc[("expansion", "sales"), "n"] < kinds.loc[("expansion", "CSQL"), "n"]
    matched = company.sql(
        """select count(*) as n, count(o.account_id) as found from csqls l left join opportunities o
           on o.account_id = l.account_id and o.source = 'CSQL' and o.created_at::date = l.opportunity_at::date
           where l.opportunity_at is not null and l.type in ('upsell', 'cross_sell', 'referral')"""
    )
    assert matched["found"][0] == matched["n"][0] > 0
