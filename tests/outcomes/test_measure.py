"""The funnel report: figures told in the head, boundaries, and what holds for any leads."""

# ruff: noqa: E501 - a table is read along its lines

from __future__ import annotations

from datetime import date, timedelta
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import CensoredData, ecdf

from csql_ml import printing_outcomes
from csql_ml.config import Config
from csql_ml.errors import UsageError
from csql_ml.outcomes.figures import median, rate
from csql_ml.outcomes.lead_book import STAGES, lead_book, read_runs
from csql_ml.outcomes.measure import SPLITS, Line, Measured, quarter_day
from csql_ml.outcomes.words import sentences, verdicts
from csql_ml.quarters import quarter_name, quarter_start
from csql_ml.run_files import json_text
from tests.outcomes.funnel_tables import AS_OF, facts, report, table

#: Ten leads. Quarter 1: seven (four accepted, three opportunities, two won, one rejected, none open but l7).
LEADS = """
csql_id | account_id | type       | created_at | csm_id | accepted_at | rejected_at | rejection_reason | opportunity_at | closed_at  | won   | arr
l1      | a1         | upsell     | 2026-01-10 | c1     | 2026-01-12  |             |                  | 2026-01-20     | 2026-02-09 | true  | 1000
l2      | a1         | cross_sell | 2026-03-01 | c1     | 2026-03-03  |             |                  | 2026-03-10     | 2026-05-01 | true  | 2000
l3      | a2         | upsell     | 2026-01-10 | c1     | 2026-01-15  |             |                  | 2026-01-20     | 2026-02-19 | false |
l4      | a3         | upsell     | 2026-02-01 | c2     |             | 2026-02-05  | No budget!       |                |            |       |
l5      | a3         | upsell     | 2026-03-01 | c2     |             | 2026-03-04  | bad timing       |                |            |       |
l6      | a3         | referral   | 2026-03-10 | c2     |             | 2026-03-14  | asked in writing |                |            |       |
l7      | a4         | upsell     | 2026-03-31 | c2     | 2026-04-02  |             |                  |                |            |       |
l8      | a4         | upsell     | 2026-04-10 | c2     |             |             |                  |                |            |       |
l9      | a2         | referral   | 2026-05-02 | c1     |             |             |                  |                | 2026-06-01 | true  | 500
r1      | a2         | renewal    | 2026-05-02 | c1     | 2026-05-03  |             |                  |                | 2026-06-01 | true  | 9000
"""
OPPORTUNITIES = """
opportunity_id | account_id | type      | created_at | arr  | closed_at  | won   | source
o1             | a1         | expansion | 2026-01-20 | 1000 | 2026-02-09 | true  | CSQL
o2             | a1         | expansion | 2026-03-10 | 2000 | 2026-05-01 | true  | csql
o3             | a3         | expansion | 2026-01-15 | 1000 | 2026-03-01 | true  | sales
o4             | a3         | expansion | 2026-01-15 | 7000 | 2026-03-05 | false | sales
o5             | a4         | renewal   | 2026-03-20 | 4000 |            |       | renewal
o6             | a2         | new       | 2026-05-02 | 500  | 2026-06-01 | true  | CSQL
"""


@cache
def whole() -> Measured:
    return report(csqls=LEADS, opportunities=OPPORTUNITIES)


def counts(line: Line) -> dict[str, tuple[int, int, int]]:
    return {stage: (r.reached, r.open, r.created) for stage, r in line.stages.items()}


def by_name(result: Measured, split: str) -> dict[str, Line]:
    return {line.name: line for line in result.splits[split]}


def test_every_lead_is_counted_at_the_stage_it_reached() -> None:
    """Nine leads; the renewal is none. Open: l7 (to opportunity and won) and l8 (to all)."""
    line = whole().total
    assert counts(line) == {"accepted": (5, 1, 9), "opportunity": (4, 2, 9), "won": (3, 2, 9)}
    accepted = line.stages["accepted"]
    assert (accepted.value, accepted.most) == (pytest.approx(5 / 9), pytest.approx(6 / 9))
    # Wilson, worked out apart: 5 of 9 from below, 6 of 9 from above.
    assert (accepted.low, accepted.high) == (pytest.approx(0.2667, abs=1e-4), pytest.approx(0.8794, abs=1e-4))


def test_the_cycle_counts_open_leads_for_as_long_as_they_were_seen() -> None:
    """Ended: 30 (l1), 61 (l2), 40 (l3), 30 (l9) days. Open: l7 after 92, l8 after 82. Rejected ones are left out.

    Kaplan-Meier: 6 at risk, two end at 30 (4/6 left), one of 4 at 40 (3/6 left): the median is 40. Without the open
    leads it would be 30 or 40.
    """
    cycle = whole().total.cycle
    assert (cycle.value, cycle.ended, cycle.open) == (40.0, 4, 2)
    assert cycle.low == 30.0
    assert cycle.high is None, "with two of six open, the upper end is not known"


def test_money_is_that_of_the_period() -> None:
    """Expansion ARR: 4,000 in all, of which CSQLs 3,000; the second quarter has 2,000 of 2,000."""
    result = whole()
    assert result.total.arr_won.value == 3500.0
    assert result.total.expansion_share is not None
    assert result.total.expansion_share.value == pytest.approx(3000 / 4000)
    shares = {n: line.expansion_share.value for n, line in by_name(result, "quarter").items() if line.expansion_share}
    assert shares == {"2026Q1": pytest.approx(1000 / 2000), "2026Q2": pytest.approx(1.0)}


def test_retention_with_and_without_csql_revenue() -> None:
    """Start of April: a1 10,000, a2 5,000, a3 5,000. End of June: a1 12,000, a2 gone, a3 5,000; a4 came later.

    Of a1's growth 2,000 came from l2. l9 is a referral: another customer's money.
    """
    kept = whole().total.retention
    assert kept is not None
    assert kept.accounts == 3
    assert kept.with_csql.value == pytest.approx(17000 / 20000)
    assert kept.without_csql.value == pytest.approx(15000 / 20000)
    assert kept.uplift.value == pytest.approx(2000 / 20000)


def test_net_new_leads_had_no_open_opportunity() -> None:
    """l2: o1 was closed, o2 is its own. l4, l5: o4 was open. l6: o4 was closed. l7, l8: the renewal. l9: o6 is its own."""
    book = lead_book(facts(csqls=LEADS, opportunities=OPPORTUNITIES), read_runs([]), Config())
    assert set(book.loc[book["net_new"].eq(True), "csql_id"]) == {"l1", "l2", "l3", "l6", "l9"}


def test_kinds_of_opportunity_that_block_are_configured() -> None:
    config = Config.model_validate({"outcomes": {"net_new_blocked_by": ["expansion", "new"]}})
    rows = [row for row in table(LEADS) if row["csql_id"] == "l7"]
    found = report(csqls=rows, opportunities=OPPORTUNITIES, config=config).total.net_new
    assert found is not None
    assert found.reached == 1, "a renewal no longer counts"


def test_a_quarter_counts_its_own_leads() -> None:
    result = report(csqls=LEADS, opportunities=OPPORTUNITIES, quarter="2026Q1")
    assert (result.quarter, result.total.created) == ("2026Q1", 7)
    assert [line.name for line in result.splits["quarter"]] == ["2026Q1"]
    assert {n: line.created for n, line in by_name(result, "csm").items()} == {"c1": 3, "c2": 4}
    assert {n: line.created for n, line in by_name(result, "type").items()} == {
        "cross_sell": 1,
        "referral": 1,
        "upsell": 5,
    }


def test_what_came_later_is_not_known() -> None:
    """Before 1 March: l1 won, l3 lost, l4 rejected; l2 and l5, raised that day, do not exist yet."""
    line = report(date(2026, 3, 1), csqls=LEADS, opportunities=OPPORTUNITIES).total
    assert counts(line) == {"accepted": (2, 0, 3), "opportunity": (2, 0, 3), "won": (1, 0, 3)}
    assert line.arr_won.value == 1000.0


def test_reasons_have_a_type_and_a_proposal() -> None:
    result = whole()
    found = {r.name: (r.share.reached, r.fix, r.texts) for r in result.rejections}
    assert found == {
        "bad_timing": (1, "gate", ()),
        "no_budget": (1, "feature", ()),
        "not mapped": (1, None, ("asked in writing",)),
    }


def test_own_types_of_reasons_go_before_the_usual_ones() -> None:
    own = {"paper": {"texts": ["in writing", "budget"], "fix": "label", "proposal": "call them"}}
    result = report(csqls=LEADS, config=Config.model_validate({"outcomes": {"rejections": own}}))
    assert {r.name: r.share.reached for r in result.rejections} == {"paper": 2, "bad_timing": 1}


def test_a_text_under_two_types_is_refused() -> None:
    twice = {n: {"texts": ["Too dear!"], "fix": "label", "proposal": "x"} for n in ("a", "b")}
    with pytest.raises(ValueError, match="a text has one type"):
        Config.model_validate({"outcomes": {"rejections": twice}})


RUNS = pd.DataFrame(
    {
        "account_id": ["a1", "a1", "a1", "a3", "a4"],
        "as_of": [date(2026, 1, 1), date(2026, 2, 1), date(2026, 3, 2), date(2025, 10, 1), date(2026, 3, 31)],
        "model_version": ["v1", "v2", "v3", "v1", "v3"],
        "band": ["high", "low", "medium", "high", "high"],
        "propensity": [0.4, 0.1, 0.2, 0.4, 0.5],
        "place": [0, 1, 2, 3, 2],
    }
)


def test_leads_belong_to_the_newest_run_before_them() -> None:
    """l1: 1 January; l2, of 1 March: 1 February; l4: a run too long ago; l7, of 31 March: that day's; others none."""
    result = report(csqls=LEADS, opportunities=OPPORTUNITIES, runs=RUNS)
    assert {n: line.created for n, line in by_name(result, "version").items()} == {
        "v1": 1,
        "v2": 1,
        "v3": 2,
        "unknown": 5,
    }
    assert {n: line.created for n, line in by_name(result, "band").items()} == {"high": 3, "low": 1, "unknown": 5}
    assert any("5 of 9 leads" in note for note in result.notes)


def test_a_verdict_waits_for_open_leads() -> None:
    """Seven of ten leads accepted of which one is open: 60 % now, 70 % if it makes it."""

    def standing(accepted: int, still_open: int) -> str:
        leads = [lead(f"l{i}", accepted=i < accepted, rejected=i >= accepted + still_open) for i in range(10)]
        return verdicts(report(csqls=leads), Config())[0].standing

    assert [standing(7, 0), standing(6, 1), standing(6, 0), standing(0, 10)] == [
        "met",
        "too early",
        "missed",
        "too early",
    ]


def lead(key: str, *, accepted: bool, rejected: bool) -> dict[str, Any]:
    day = "2026-04-01"
    row = dict.fromkeys(("accepted_at", "rejected_at", "rejection_reason", "opportunity_at", "closed_at", "won", "arr"))
    row |= {"csql_id": key, "account_id": "a1", "type": "upsell", "created_at": day, "csm_id": "c1"}
    return {**row, "accepted_at": day if accepted else None, "rejected_at": day if rejected else None}


def test_the_share_is_due_after_two_quarters() -> None:
    """Sales found half of the ARR by itself and more: 10 % of it is ours, before and after the second quarter's end."""
    ours = "opportunity_id | account_id | type | created_at | arr | closed_at | won | source\no1 | a1 | expansion | 2026-01-20 | 100 | 2026-02-09 | true | CSQL\no2 | a1 | expansion | 2026-01-20 | 900 | 2026-02-09 | true | sales"
    early, late = (report(day, csqls=LEADS, opportunities=ours) for day in (AS_OF, AS_OF + timedelta(days=1)))
    share = [verdicts(r, Config())[4] for r in (early, late)]
    assert [s.standing for s in share] == ["too early", "missed"]
    assert "due 2 quarters after the first lead" in share[0].sentence


# boundaries


def test_no_leads_at_all() -> None:
    result = report(csqls=[])
    assert result.total.created == 0
    assert (
        next(iter(sentences(result, Config())))
        == "No leads were raised, so there is nothing to hold against the benchmarks."
    )
    assert {name: len(lines) for name, lines in result.splits.items()} == dict.fromkeys(result.splits, 0)


def test_all_leads_open() -> None:
    result = report(csqls=[lead(f"l{i}", accepted=False, rejected=False) for i in range(4)])
    assert counts(result.total) == dict.fromkeys(("accepted", "opportunity", "won"), (0, 4, 4))
    assert result.total.cycle.value is None
    assert all(r.value == 0 and r.most == 1 for r in result.total.stages.values())
    assert "too early to say" in " ".join(sentences(result, Config()))
    assert result.csms == ()


def test_without_opportunities_there_is_no_share() -> None:
    result = report(csqls=LEADS)
    assert (result.total.net_new, result.total.expansion_share and result.total.expansion_share.value) == (None, None)
    assert any("opportunities is not mapped" in note for note in result.notes)


def test_one_csm_has_nobody_to_be_compared_with() -> None:
    result = report(csqls=[lead(f"l{i}", accepted=i > 3, rejected=i < 3) for i in range(9)])
    assert {c.finding for c in result.csms} == {"no other CSM"}


def test_a_source_that_nobody_fills_in_is_told() -> None:
    blank = OPPORTUNITIES.replace("CSQL", "crm ").replace("csql", "crm ")
    assert any(
        "no won expansion opportunity has the source 'CSQL'" in n
        for n in report(csqls=LEADS, opportunities=blank).notes
    )


@pytest.mark.parametrize("name", ["2026-Q1", "Q1", "2026Q5", ""])
def test_a_quarter_is_written_one_way(name: str) -> None:
    with pytest.raises(UsageError, match="write it as 2026Q3"):
        quarter_day(name, Config())


def test_a_quarter_of_the_future_is_refused() -> None:
    with pytest.raises(UsageError, match="nothing from 2026-07-01 on is known"):
        report(csqls=LEADS, quarter="2026Q3")


@given(st.dates(date(2000, 1, 1), date(2050, 1, 1)), st.integers(1, 12))
def test_a_quarter_is_found_by_its_name(day: date, month: int) -> None:
    config = Config.model_validate({"company": {"fiscal_year_start_month": month}})
    assert quarter_day(quarter_name(day, month), config) == quarter_start(day, month)


# any leads

_DAYS = st.integers(0, 200)
_LEADS = st.lists(
    st.fixed_dictionaries(
        {
            "account_id": st.sampled_from(["a1", "a2", "a3", "a4"]),
            "type": st.sampled_from(["upsell", "cross_sell", "referral", "renewal"]),
            "created": _DAYS,
            "csm_id": st.sampled_from(["c1", "c2", "c3", None]),
            **{step: st.none() | st.integers(0, 60) for step in ("accepted", "rejected", "opportunity", "closed")},
            "won": st.booleans(),
            "arr": st.none() | st.integers(0, 5000),
        }
    ),
    max_size=12,
)


def as_rows(drawn: list[dict[str, Any]]) -> list[dict[str, Any]]:
    rows = []
    for i, d in enumerate(drawn):
        first = date(2025, 12, 1) + timedelta(days=d["created"])
        times = {
            f"{s}_at": d[s] if d[s] is None else (first + timedelta(days=d[s])).isoformat()
            for s in ("accepted", "rejected", "opportunity", "closed")
        }
        over = d["closed"] is not None
        rows.append(
            {
                "csql_id": f"l{i}", "account_id": d["account_id"], "type": d["type"], "csm_id": d["csm_id"],
                "created_at": first.isoformat(), **times, "rejection_reason": None,
                "won": str(d["won"]).lower() if over else None, "arr": d["arr"] if over and d["won"] else None,
            }
        )  # fmt: skip
    return rows


def split_counts(book: pd.DataFrame, column: str, stage: str) -> dict[str, int]:
    """Leads per state of a stage, summed over the groups of a split."""
    summed: dict[str, int] = {}
    for _, group in book.groupby(column):
        for state, count in group[stage].value_counts().items():
            summed[str(state)] = summed.get(str(state), 0) + int(count)
    return summed


@settings(max_examples=8)
@given(_LEADS, st.integers(1, 120))
def test_any_leads(drawn: list[dict[str, Any]], days: int) -> None:
    """Splits have every lead once; later what was reached stays reached, no lead vanishes, nothing opens again."""
    rows, config = as_rows(drawn), Config()
    early, late = (lead_book(facts(day, csqls=rows), read_runs([]), config) for day in (AS_OF, AS_OF + timedelta(days)))
    assert len(late) >= len(early)
    for stage in STAGES:
        for column in SPLITS.values():
            assert split_counts(early, column, stage) == early[stage].value_counts().to_dict()
        before, after = early[stage].value_counts(), late[stage].value_counts()
        assert after.get("reached", 0) >= before.get("reached", 0)
        assert len(late) - after.get("open", 0) >= len(early) - before.get("open", 0)
    reached = [(early[stage] == "reached").sum() for stage in STAGES]
    assert reached == sorted(reached, reverse=True)


@given(st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), st.floats(0, 1))
def test_any_rate_lies_in_its_interval(counts: tuple[int, int], share: float) -> None:
    reached, created = counts
    found = rate(reached, int((created - reached) * share), created, 0.95)
    assert found.value is not None
    assert found.most is not None
    assert 0 <= (found.low or 0) <= found.value <= found.most <= (found.high or 0) <= 1


def test_the_curve_is_scipys_curve_and_the_median_its_first_day_at_one_half_or_less() -> None:
    rng = np.random.default_rng(5)
    days, ended = rng.integers(1, 60, 80).astype(float), rng.random(80) < 0.6
    curve = ecdf(CensoredData(uncensored=days[ended], right=days[~ended])).sf
    first = curve.quantiles[curve.probabilities <= 0.5 + 1e-9][0]
    assert median(days, ended, 0.95).value == first


# printing


def test_text_and_json_say_the_same() -> None:
    result = report(csqls=LEADS, opportunities=OPPORTUNITIES, runs=RUNS)
    printed = printing_outcomes.measured(result, Config())
    data = printed.data
    json_text(data)
    assert data["total"]["stages"]["accepted"]["reached"] == 5
    assert data["total"]["retention"]["period"] == {"start": "2026-04-01", "end": "2026-07-01"}
    lines = [part for part in printed.text if isinstance(part, str)]
    assert [s for s in data["sentences"] if s not in lines] == []
    assert "5 of 9 leads were accepted (56%, and up to 67% once 1 open one is decided)" in data["sentences"][0]
