"""What a snapshot turned out to be, as small tables: one lead or span of coverage a line, and the state it makes.

The snapshot is of 2025-08-15, its horizon is the rest of that quarter and the next one, so it ends before 2026-01-01.
The company's day begins at midnight in Berlin, which is 22:00 UTC the evening before in summer and 23:00 in winter.
"""

# ruff: noqa: E501 - a table is read along its lines

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from csql_ml import activity
from csql_ml.config import Config
from csql_ml.labels import COLUMNS, LabelBook, Spine
from csql_ml.snapshots import SnapshotBuilder
from tests.properties.typed_inputs import typed_inputs
from tests.small_company import rows, small_company

AS_OF = date(2025, 8, 15)
HORIZON_END = date(2026, 1, 1)
LATER = date(2026, 6, 1)
EVENT = {"account_id": "a", "user_id": "u", "occurred_at": "2025-01-01", "event_name": "login"}
#: Whose accounts these are in every table of this file.
CSM = "c1"


def table(text: str) -> list[dict[str, Any]]:
    return [{k: v or None for k, v in row.items()} for row in rows(text)]


def book(
    accounts: Iterable[str],
    leads: list[dict[str, Any]] | None = None,
    coverage: list[dict[str, Any]] | None = None,
    *,
    in_work: Iterable[str] = (),
    as_of: date = AS_OF,
    company: dict[str, Any] | None = None,
    **labels: Any,
) -> LabelBook:
    """Labels of accounts without any other history."""
    config = Config.model_validate({"company": {"time_zone": "Europe/Berlin", **(company or {})}, "labels": labels})
    given = {"events": [EVENT], "csqls": leads, "coverage": coverage}
    inputs = typed_inputs({name: records for name, records in given.items() if records is not None})
    names = sorted(set(accounts))
    spine = pd.DataFrame(
        {"account_id": names, "as_of": as_of, "csm_id": CSM, "in_work": [a in set(in_work) for a in names]}
    )
    return LabelBook(SnapshotBuilder(inputs, activity.build(inputs, config), config), Spine(spine), config)


def states(known: pd.DataFrame) -> dict[str, str]:
    return dict(zip(known["account_id"], known["state"], strict=True))


def expected(lines: list[dict[str, Any]], column: str) -> dict[str, str]:
    return {line["account_id"]: line[column] for line in lines}


def assert_states(leads: list[dict[str, Any]], column: str, now: date = LATER, **more: Any) -> None:
    """Each account's state is the one in ``column`` of its lead."""
    known = book((line["account_id"] for line in leads), leads, **more).known(now)
    assert states(known) == expected(leads, column)


STAGES = table("""
account_id  | type    | created_at | accepted_at | rejected_at | opportunity_at | closed_at  | won   | accepted | opportunity | won_state
accepted    | upsell  | 2025-09-01 | 2025-09-02  |             |                |            |       | positive | open        | open
rejected    | upsell  | 2025-09-01 |             | 2025-09-05  |                |            |       | negative | negative    | negative
changed     | upsell  | 2025-09-01 | 2025-09-02  | 2025-09-05  |                |            |       | positive | negative    | negative
opportunity | upsell  | 2025-09-01 | 2025-09-02  |             | 2025-09-09     |            |       | positive | positive    | open
lost        | upsell  | 2025-09-01 | 2025-09-02  |             | 2025-09-09     | 2025-10-01 | false | positive | positive    | negative
won         | upsell  | 2025-09-01 | 2025-09-02  |             | 2025-09-09     | 2025-10-01 | true  | positive | positive    | positive
cross_sell  | cross_sell | 2025-09-01 | 2025-09-02 |           | 2025-09-09     | 2025-10-01 | true  | positive | positive    | positive
referral    | referral | 2025-09-01 | 2025-09-02 |             | 2025-09-09     | 2025-10-01 | true  | positive | positive    | positive
only_won    | upsell  | 2025-09-01 |             |             |                | 2025-10-01 | true  | positive | positive    | positive
no_accept   | upsell  | 2025-09-01 |             |             | 2025-09-09     |            |       | positive | positive    | open
unclear     | upsell  | 2025-09-01 |             |             |                | 2025-10-01 |       | negative | negative    | negative
waiting     | upsell  | 2025-09-01 |             |             |                |            |       | open     | open        | open
""")


@pytest.mark.parametrize(("stage", "column"), [("accepted",) * 2, ("opportunity",) * 2, ("won", "won_state")])
def test_a_lead_is_positive_once_it_has_reached_the_stage_or_a_later_one(stage: str, column: str) -> None:
    leads = [{**line, "csql_id": line["account_id"]} for line in STAGES]
    assert_states(leads, column, stage=stage)


@pytest.mark.parametrize("stage", ["accepted", "opportunity", "won"])
def test_a_renewal_or_a_churn_save_never_counts(stage: str) -> None:
    leads = table("""
csql_id | account_id | type       | created_at | accepted_at | opportunity_at | closed_at  | won   | state
q1      | renewal    | renewal    | 2025-09-01 | 2025-09-02  | 2025-09-03     | 2025-10-01 | true  | negative
q2      | save       | churn_save | 2025-09-01 | 2025-09-02  | 2025-09-03     | 2025-10-01 | true  | negative
q3      | open_save  | churn_save | 2025-09-01 |             |                |            |       | negative
""")
    everybody = table("account_id | csm_id | start_date | end_date\n | c1 | 2025-01-01 | ")
    assert_states(leads, "state", stage=stage, coverage=everybody)


CREATED = table("""
csql_id | account_id     | type   | created_at                 | closed_at  | won  | arr  | state
q1      | before         | upsell | 2025-08-14 21:59:59.999999 | 2025-10-01 | true | 100  | negative
q2      | at_midnight    | upsell | 2025-08-14 22:00           | 2025-10-01 | true | 200  | positive
q3      | last_instant   | upsell | 2025-12-31 22:59:59.999999 | 2026-02-01 | true | 300  | positive
q4      | first_after    | upsell | 2025-12-31 23:00           | 2026-02-01 | true | 400  | negative
""")


def test_a_lead_belongs_to_the_horizon_from_the_first_instant_to_the_last() -> None:
    assert_states(CREATED, "state", without_coverage="negative")


def test_a_lead_of_another_time_is_no_lead_of_this_horizon() -> None:
    never = {"before": "unobserved", "at_midnight": "positive", "last_instant": "positive", "first_after": "unobserved"}
    assert states(book(never, CREATED).known(LATER)) == never


HISTORY = table("""
csql_id | account_id | type   | created_at | closed_at  | won   | arr
q1      | early_win  | upsell | 2025-09-01 | 2025-10-01 | true  | 500
q2      | late_win   | upsell | 2025-12-20 | 2026-02-01 | true  | 700
q3      | loss       | upsell | 2025-09-01 | 2025-10-01 | false |
q4      | undecided  | upsell | 2025-12-20 |            |       |
""")
#: What is known before each day; ``quiet`` is an account of a covered CSM without a lead.
KNOWN = """
account_id | 2025-09-30 | 2025-10-02 | 2025-12-31 | 2026-01-01 | 2026-02-01 | 2026-02-02
early_win  | open       | positive   | positive   | positive   | positive   | positive
late_win   | open       | open       | open       | open       | open       | positive
loss       | open       | open       | open       | negative   | negative   | negative
undecided  | open       | open       | open       | open       | open       | open
quiet      | open       | open       | open       | negative   | negative   | negative
"""


def test_labels_are_those_known_before_the_day() -> None:
    lines = rows(KNOWN)
    covered = table("csm_id | start_date | end_date\nc1 | 2025-08-01 |")
    labels = book((line["account_id"] for line in lines), HISTORY, covered)
    days = [day for day in lines[0] if day != "account_id"]
    found = {day: states(labels.known(date.fromisoformat(day))) for day in days}
    assert found == {day: expected(lines, day) for day in days}


def test_a_snapshot_of_the_day_itself_has_no_label_yet() -> None:
    labels = book(["quiet"], HISTORY)
    assert len(labels.known(AS_OF)) == 0
    assert list(labels.known(AS_OF).columns) == list(COLUMNS)
    assert len(labels.known(date(2025, 8, 16))) == 1


def test_what_was_recorded_late_is_known_late() -> None:
    leads = table("""
csql_id | account_id | type   | created_at | closed_at  | won  | arr | recorded_at
q1      | unrecorded | upsell | 2025-09-01 | 2025-10-01 | true | 500 | 2026-03-01 10:00
q2      | updated    | upsell | 2025-09-01 |            |      |     | 2025-09-01 10:00
q2      | updated    | upsell | 2025-09-01 | 2025-10-01 | true | 500 | 2026-03-01 10:00
""")
    labels = book(["unrecorded", "updated"], leads)
    assert states(labels.known(date(2026, 3, 1))) == {"unrecorded": "unobserved", "updated": "open"}
    assert states(labels.known(date(2026, 3, 2))) == {"unrecorded": "positive", "updated": "positive"}


def test_the_word_for_an_open_label_says_which_day_to_wait_for() -> None:
    covered = table("csm_id | start_date | end_date\nc1 | 2025-08-01 |")
    known = book(["quiet", "undecided"], HISTORY, covered)
    early, late = (known.known(d).set_index("account_id")["reason"] for d in (date(2025, 12, 1), LATER))
    assert early["quiet"] == "horizon ends 2026-01-01"
    assert late.to_dict() == {"quiet": "not reached", "undecided": "lead still open"}


# --- coverage ---------------------------------------------------------------------------------------------------------

#: The rest of the as-of date's quarter, 2025-08-15 to 2025-10-01, has 47 days; half of them are 23.5.
COVERED = table("""
account_id | start_date | end_date   | state
whole      | 2025-08-15 | 2026-01-01 | negative
open_ended | 2025-01-01 |            | negative
before     | 2025-01-01 | 2025-08-15 | unobserved
after      | 2026-01-01 | 2026-06-01 | unobserved
half       | 2025-09-07 | 2026-01-01 | negative
less       | 2025-09-08 | 2026-01-01 | unobserved
too_late   | 2025-10-01 | 2026-01-01 | unobserved
quarter    | 2025-07-01 | 2025-10-01 | negative
twice      | 2025-08-20 | 2025-09-05 | unobserved
twice      | 2025-08-25 | 2025-09-10 | unobserved
in_parts   | 2025-08-15 | 2025-08-30 | negative
in_parts   | 2025-09-20 | 2026-01-01 | negative
""")


def test_accounts_are_observed_when_enough_of_the_quarter_was_covered() -> None:
    known = book(expected(COVERED, "state"), [], COVERED).known(LATER)
    assert states(known) == expected(COVERED, "state")


def test_coverage_of_a_csm_covers_the_whole_portfolio() -> None:
    covered = table("csm_id | start_date | end_date\nc1 | 2025-08-01 | 2026-01-01")
    assert states(book(["a", "b"], None, covered).known(LATER)) == {"a": "negative", "b": "negative"}


def test_days_covered_through_the_csm_and_through_the_account_add_up() -> None:
    covered = table("""
csm_id | account_id | start_date | end_date
c1     |            | 2025-08-15 | 2025-09-01
       | both       | 2025-08-25 | 2025-09-12
""")
    assert states(book(["both", "csm_only"], [], covered).known(LATER)) == {
        "both": "negative",
        "csm_only": "unobserved",
    }


def test_the_share_that_must_be_covered_is_configured() -> None:
    covered = table("csm_id | start_date | end_date\nc1 | 2025-08-15 | 2025-09-14")  # 30 of 47 days
    found = {
        share: states(book(["a"], [], covered, min_coverage_share=share).known(LATER))["a"] for share in (0.6, 0.7)
    }
    assert found == {0.6: "negative", 0.7: "unobserved"}


def test_a_win_outside_coverage_is_unobserved_as_well() -> None:
    covered = table("csm_id | start_date | end_date\nc9 | 2025-01-01 |")
    known = book(["early_win"], HISTORY, covered).known(LATER)
    assert known[["state", "reason"]].to_numpy().tolist() == [["unobserved", "outside coverage"]]


def test_without_a_coverage_table_an_account_is_observed_where_somebody_raised_a_lead() -> None:
    accounts = ["early_win", "loss", "undecided", "quiet"]
    known = book(accounts, HISTORY).known(LATER)
    assert states(known) == {"early_win": "positive", "loss": "negative", "undecided": "open", "quiet": "unobserved"}
    assert states(book(accounts, HISTORY, without_coverage="negative").known(LATER))["quiet"] == "negative"
    assert states(book(accounts, HISTORY).known(date(2025, 12, 31)))["quiet"] == "open"


def test_an_account_with_a_lead_in_work_is_unobserved_whatever_came_of_it() -> None:
    known = book(["early_win", "loss"], HISTORY, in_work=["early_win"]).known(LATER)
    assert states(known) == {"early_win": "unobserved", "loss": "negative"}
    assert known.set_index("account_id")["reason"]["early_win"] == "a lead was in work already"


# --- horizon, numbers -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("month", "quarters", "end"),
    [(1, 1, "2026-01-01"), (2, 1, "2026-02-01"), (3, 1, "2025-12-01"), (1, 0, "2025-10-01"), (1, 2, "2026-04-01")],
)
def test_the_horizon_follows_the_fiscal_year_and_the_number_of_quarters(month: int, quarters: int, end: str) -> None:
    labels = book(["a"], [], company={"fiscal_year_start_month": month}, horizon_quarters=quarters)
    assert labels.horizon_end(AS_OF) == date.fromisoformat(end)


def test_a_fiscal_year_from_february_keeps_the_leads_of_january() -> None:
    leads = table(
        "csql_id | account_id | type | created_at | closed_at | won\nq | a | upsell | 2026-01-31 | 2026-03-01 | true"
    )
    found = {m: states(book(["a"], leads, company={"fiscal_year_start_month": m}).known(LATER))["a"] for m in (1, 2)}
    assert found == {1: "unobserved", 2: "positive"}


AMOUNTS = table("""
csql_id | account_id | type       | created_at | accepted_at | closed_at  | won   | arr
q1      | two_wins   | cross_sell | 2025-09-01 | 2025-09-02  | 2025-10-01 | true  | 500.25
q2      | two_wins   | upsell     | 2025-10-01 | 2025-10-02  | 2025-11-01 | true  | 300.50
q3      | two_wins   | referral   | 2025-08-20 | 2025-08-21  | 2025-11-01 | false | 900
q4      | no_amount  | upsell     | 2025-09-01 | 2025-09-02  | 2025-10-01 | true  |
q5      | lost       | upsell     | 2025-09-01 | 2025-09-02  | 2025-10-01 | false | 700
""")


def test_the_amount_is_what_was_won_and_the_type_that_of_the_first_lead_that_counts() -> None:
    known = book(["two_wins", "no_amount", "lost"], AMOUNTS).known(LATER).set_index("account_id")
    assert known["label"].to_dict() == {"lost": 0.0, "no_amount": 1.0, "two_wins": 1.0}
    assert known["amount"].dropna().to_dict() == {"two_wins": 800.75}
    assert known["lead_type"].dropna().to_dict() == {"no_amount": "upsell", "two_wins": "cross_sell"}


def test_a_lost_lead_that_was_accepted_is_positive_by_that_stage_but_brought_nothing() -> None:
    known = book(["lost", "two_wins"], AMOUNTS, stage="accepted").known(LATER).set_index("account_id")
    assert known["label"].tolist() == [1.0, 1.0]
    assert known["amount"].dropna().to_dict() == {"two_wins": 800.75}


def test_one_win_decides_while_another_lead_is_still_open() -> None:
    leads = table("""
csql_id | account_id | type   | created_at | closed_at  | won   | arr
q1      | a          | upsell | 2025-09-01 | 2025-10-01 | true  | 500
q2      | a          | upsell | 2025-11-01 |            |       |
q3      | b          | upsell | 2025-09-01 | 2025-10-01 | false |
q4      | b          | upsell | 2025-11-01 |            |       |
""")
    assert states(book(["a", "b"], leads).known(LATER)) == {"a": "positive", "b": "open"}


def test_each_snapshot_has_its_own_horizon_and_the_order_of_leads_does_not_matter() -> None:
    def labels(leads: list[dict[str, Any]]) -> pd.DataFrame:
        early, late = (book(["early_win", "late_win"], leads, as_of=d) for d in (date(2025, 4, 1), AS_OF))
        both = Spine(pd.concat([late._spine.frame, early._spine.frame], ignore_index=True))
        return LabelBook(late._builder, both, late._config).known(LATER)

    known = labels(HISTORY)
    by_key = {(a, d): s for a, d, s in known[["account_id", "as_of", "state"]].itertuples(index=False)}
    assert by_key == {
        ("early_win", date(2025, 4, 1)): "positive",
        ("late_win", date(2025, 4, 1)): "unobserved",
        ("early_win", AS_OF): "positive",
        ("late_win", AS_OF): "positive",
    }
    pd.testing.assert_frame_equal(labels(HISTORY[::-1]), known)


# --- through the whole company ----------------------------------------------------------------------------------------


def test_a_company_knows_which_accounts_had_something_in_work_and_whose_they_were(tmp_path: Path) -> None:
    names = ["lead", "opportunity", "renewal", "decided", "other_csm"]
    accounts = [{"account_id": n, "name": n, "created_at": "2025-01-01", "csm_id": "c1"} for n in names]
    accounts[-1]["csm_id"] = "c2"
    accounts.append({"account_id": "other_csm", "name": "moved", "created_at": "2025-01-01", "csm_id": "c1",
                     "recorded_at": "2025-09-01"})  # fmt: skip
    contracts = [
        {"account_id": n, "product": "P", "seats": 1, "arr": 1, "start_date": "2025-01-01", "end_date": ""}
        for n in names
    ]
    tables: dict[str, Any] = {
        "accounts": accounts,
        "contracts": contracts,
        "events": [{"account_id": "lead", "user_id": "u", "occurred_at": "2025-01-02", "event_name": "login"}],
        "csqls": """
csql_id | account_id | type       | created_at | rejected_at | closed_at  | won
q1      | lead       | upsell     | 2025-08-01 |             | 2025-08-15 | true
q2      | decided    | upsell     | 2025-08-01 | 2025-08-14  |            |
q3      | renewal    | churn_save | 2025-08-01 |             |            |
""",
        "opportunities": """
opportunity_id | account_id  | type      | created_at | arr | closed_at  | won
o1             | opportunity | expansion | 2025-08-01 | 10  | 2025-09-01 | true
o2             | renewal     | renewal   | 2025-08-01 | 10  |            |
o3             | decided     | expansion | 2025-07-01 | 10  | 2025-08-14 | false
""",
        "coverage": "csm_id | start_date | end_date\nc1 | 2025-08-01 | 2026-01-01",
    }
    # The first event of every small company belongs to an account that is not part of this one.
    with small_company(tmp_path, tables) as company:
        known = company.label_book(list(company.snapshots([AS_OF]))).known(LATER)
    assert dict(zip(known["account_id"], known["reason"], strict=True)) == {
        "lead": "a lead was in work already",
        "opportunity": "a lead was in work already",
        "renewal": "not reached",
        "decided": "not reached",
        "other_csm": "outside coverage",
    }
