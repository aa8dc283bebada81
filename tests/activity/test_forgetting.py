"""An account leaves a kept rollup, and the rollup still never disagrees with its source."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq

from csql_ml import activity
from csql_ml.activity.forgetting import ForgottenActivity, forget_activity
from tests.activity.event_files import EventCompany, assert_same, company

__all__ = ["company"]

EVENTS = """
account_id | user_id | occurred_at      | event_name | event_id
a1         | u1      | 2025-03-03T10:00 | used       | e1
a2         | u2      | 2025-03-03T11:00 | used       | e2
a1         | u1      | 2025-03-04T10:00 | used       | e3
a2         | u2      | 2025-04-05T10:00 | used       | e4
"""


def named(company: EventCompany, account: str) -> list[str]:
    """Files of the store that name an account, in force or not."""
    store = activity.store_path(company.config)
    tables = {p: pq.read_table(p, partitioning=None)["account_id"].to_pylist() for p in store.rglob("*.parquet")}
    return [path.name for path, accounts in tables.items() if account in accounts]


def test_no_file_of_the_store_names_the_account_any_more(company: EventCompany) -> None:
    company.write("f", EVENTS)
    company.update()
    store = activity.store_path(company.config)
    assert len(named(company, "a1")) == 6
    dry = forget_activity(store, "a1", dry_run=True)
    assert (dry.days, len(named(company, "a1"))) == (2, 6)
    assert forget_activity(store, "a1") == dry
    assert (named(company, "a1"), len(named(company, "a2"))) == ([], 8)
    assert forget_activity(store, "a1") == ForgottenActivity()


def test_what_the_source_still_has_comes_back_whole(company: EventCompany) -> None:
    company.write("f", EVENTS)
    company.update()
    forget_activity(activity.store_path(company.config), "a1")
    again = company.update()
    assert again.days_built == 2
    assert_same(again, company.at_once())


def test_what_the_source_let_go_of_stays_away(company: EventCompany) -> None:
    company.write("f", EVENTS)
    company.update()
    company.write("f", "\n".join(line for line in EVENTS.splitlines() if not line.startswith("a1")))
    forget_activity(activity.store_path(company.config), "a1")
    assert_same(company.update(), company.at_once())
    assert named(company, "a1") == []


def test_a_folder_without_a_rollup_is_left_alone(tmp_path: Path) -> None:
    assert forget_activity(tmp_path / "none", "a1") == ForgottenActivity()
    assert list(tmp_path.iterdir()) == []
