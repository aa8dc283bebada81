"""The files meet the contract, and rows of different tables agree with each other."""

from __future__ import annotations

import pandas as pd
import pyarrow.parquet as pq
import pytest

from csql_ml.contract.tables import TABLES
from csql_ml.simulate import END
from csql_ml.simulate.catalogue import CORE_FEATURES
from csql_ml.simulate.tables import SCHEMAS
from tests.simulate.company_on_disk import Simulated

_ARROW = {
    "string": "string",
    "integer": "int64",
    "number": "double",
    "boolean": "bool",
    "date": "date32[day]",
    "timestamp": "timestamp[us, tz=UTC]",
}


@pytest.mark.parametrize("name", TABLES)
def test_every_table_has_declared_columns_of_the_declared_type(company: Simulated, name: str) -> None:
    files = [company.folder / f"{name}.parquet"] if name != "events" else sorted(company.folder.glob("events/*"))
    for file in files:
        found = {f.name: str(f.type) for f in pq.read_schema(file)}
        assert found == {c: _ARROW[TABLES[name].column(c).dtype] for c in found}
        missing = {c.name for c in TABLES[name].columns if c.required} - set(found)
        assert not missing


@pytest.mark.parametrize("name", TABLES)
def test_required_values_are_there_and_values_are_allowed(company: Simulated, name: str) -> None:
    rows = company.table(name)
    assert len(rows) == company.summary.rows[name] > 0
    for column in TABLES[name].columns:
        if column.name not in rows:
            continue
        values = rows[column.name]
        if column.required and not column.nullable:
            assert values.notna().all(), column.name
        if column.values:
            assert set(values.dropna()) <= set(column.values)
        if column.minimum is not None:
            assert values.dropna().ge(column.minimum).all()


@pytest.mark.parametrize(
    "name", [n for n, t in TABLES.items() if t.key and n not in ("events", "contacts", "coverage")]
)
def test_keys_are_unique(company: Simulated, name: str) -> None:
    key = [c for c in TABLES[name].key if c in SCHEMAS[name].names]
    assert not company.table(name).duplicated(key).any()


def test_contacts_are_versions_told_apart_by_recorded_at(company: Simulated) -> None:
    contacts = company.table("contacts")
    assert not contacts.duplicated(["contact_id", "recorded_at"]).any()
    assert contacts.duplicated("contact_id").any()
    assert (contacts["recorded_at"] >= contacts["since"]).all()
    engaged = contacts.dropna(subset="last_engaged_at")
    assert (engaged["recorded_at"] == engaged["last_engaged_at"]).all()


@pytest.mark.parametrize("name", TABLES)
def test_nothing_is_known_after_the_scoring_date_but_contract_terms(company: Simulated, name: str) -> None:
    times = [c.name for c in TABLES[name].columns if c.dtype in ("timestamp", "date") and c.name in SCHEMAS[name].names]
    newest = {c: company.sql(f"select max({c}) as newest from {name}")["newest"][0] for c in times}
    for column, value in newest.items():
        if name == "contracts" and column in ("start_date", "end_date"):
            continue
        assert pd.isna(value) or pd.Timestamp(value).date() < END, column


def test_names_have_letters_of_several_languages(company: Simulated) -> None:
    names = company.table("accounts")["name"]
    assert names.map(str.isascii).mean() < 0.9
    assert names.map(str.isascii).any()


def test_about_one_percent_of_events_is_delivered_twice_and_identical(company: Simulated) -> None:
    rows, ids, distinct = company.sql(
        "select count(*), count(distinct event_id), count(distinct events) from events"
    ).iloc[0]
    assert ids == distinct
    assert 0.008 < rows / ids - 1 < 0.012


def test_about_two_percent_of_events_is_recorded_hours_to_20_days_late(company: Simulated) -> None:
    delay = company.sql(
        "select epoch(recorded_at - occurred_at) as seconds from events where recorded_at <> occurred_at"
    )["seconds"]
    assert 0.018 < len(delay) / company.summary.rows["events"] < 0.021
    assert delay.between(3600, 20 * 86_400).all()
    assert delay.quantile(0.9) > 12 * 86_400


def test_events_follow_the_week_and_fall_on_the_same_day_in_berlin(company: Simulated) -> None:
    week = company.sql("select isodow(occurred_at) as d, count(*) as n from events group by d order by d")["n"]
    assert week.iloc[5:].max() < 0.25 * week.iloc[:5].min()
    other = company.sql(
        "select count(*) as n from events where (timezone('Europe/Berlin', occurred_at))::date <> occurred_at::date"
    )
    assert other["n"][0] == 0


def test_events_are_of_users_who_are_there(company: Simulated) -> None:
    strangers = company.sql(
        """select count(*) as n
           from (select account_id, user_id, min(occurred_at) as first, max(occurred_at) as last
                 from events group by all) e
           left join users u using (account_id, user_id)
           where u.created_at is null or u.created_at > e.first or u.deactivated_at <= e.last"""
    )
    assert strangers["n"][0] == 0


def test_events_are_of_accounts_under_contract(company: Simulated) -> None:
    uncovered = company.sql(
        """with days as (select distinct account_id, occurred_at::date as day from events)
           select count(*) as n from days d left join contracts c on c.account_id = d.account_id
           and c.product = 'Platform' and d.day >= c.start_date and d.day < c.end_date where c.account_id is null"""
    )
    assert uncovered["n"][0] == 0


@pytest.mark.parametrize(
    ("table", "column"),
    [
        ("tickets", "opened_at"),
        ("nps", "responded_at"),
        ("advocacy", "occurred_at"),
        ("milestones", "occurred_at"),
        ("csqls", "created_at"),
        ("users", "created_at"),
        ("contacts", "since"),
    ],
)
def test_nothing_happens_before_the_account_exists(company: Simulated, table: str, column: str) -> None:
    early = company.sql(
        f"""select count(*) as n, count(a.account_id) as known from {table} t left join accounts a using (account_id)
            where a.account_id is null or t.{column}::date < a.created_at::date"""
    )
    assert early["n"][0] == 0


def test_gated_clicks_point_at_modules_that_are_not_bought(company: Simulated) -> None:
    clicks = company.sql(
        "select distinct account_id, feature, occurred_at::date as d from events where event_name = 'gated_click'"
    )
    owned = company.table("contracts").query("product != 'Platform'")
    modules = {
        "benchmark_reports": "Analytics",
        "cohort_explorer": "Analytics",
        "automation_rules": "Automation",
        "automation_bots": "Automation",
        "erp_connector": "Integrations",
        "crm_connector": "Integrations",
    }
    clicks["product"] = clicks["feature"].map(modules)
    assert clicks["product"].notna().all()
    both = clicks.merge(owned, on=["account_id", "product"])
    # A module bought within the month is known from its day on; the month's clicks may still be spread around it.
    late = (both["d"] >= both["start_date"] + pd.Timedelta(days=32)) & (both["d"] < both["end_date"])
    assert not late.any()


def test_core_use_names_a_core_feature_and_logins_name_none(company: Simulated) -> None:
    used = company.sql("select event_name, feature, count(*) as n from events group by all")
    assert set(CORE_FEATURES) <= set(used.query("event_name == 'feature_used'")["feature"])
    assert used.query("event_name == 'login'")["feature"].isna().all()


def test_terms_of_a_customer_follow_each_other_without_gaps(company: Simulated) -> None:
    terms = company.sql(
        """select account_id, start_date, end_date, lag(end_date) over (partition by account_id order by start_date)
           as before from contracts c where product = 'Platform' and signed_at::date < start_date
           order by account_id, start_date"""
    )
    later = terms.dropna(subset="before")
    assert len(later) > 100
    assert (later["start_date"] == later["before"]).all()


def test_signing_comes_before_or_on_the_first_day(company: Simulated) -> None:
    lead = company.sql("select datediff('day', signed_at::date, start_date) as days from contracts")["days"]
    assert lead.between(0, 45).all()
    assert (lead >= 10).mean() > 0.4


def test_sizes_are_skewed_and_portfolios_uneven(company: Simulated) -> None:
    seats = company.sql("select sum(seats) as s from contracts where product = 'Platform' group by account_id")["s"]
    assert seats.mean() > 1.4 * seats.median()
    portfolios = company.table("accounts").groupby("csm_id").size()
    assert 5 <= len(portfolios) <= 12
    assert portfolios.max() >= 1.5 * portfolios.min()


def test_some_customers_leave_and_some_join(company: Simulated) -> None:
    opportunities = company.table("opportunities")
    renewals = opportunities[opportunities["type"] == "renewal"]
    assert 0.03 < 1 - renewals["won"].dropna().astype(bool).mean() < 0.25
    assert {"renewal", "churn_save"} == set(renewals["source"])
    joined = company.sql("select count(*) as n from accounts where created_at >= '2025-07-01'")["n"][0]
    assert joined > 10
