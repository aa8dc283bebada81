"""Ranks, bands and amounts of a scored snapshot, and points that add up to the propensity shown."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from csql_ml.baseline.hypothesis import Hypothesis
from csql_ml.config import Config
from csql_ml.explain.contributions import REFERENCE
from csql_ml.scoring import SCORE_COLUMNS, Scored, potential_arr, ranked, score_snapshot, typical_values
from csql_ml.snapshots import Snapshot
from tests.small_company import SETTINGS, rows
from tests.snapshot_tables import AS_OF, CONFIG, METRICS, champion, snapshot


def scored(of: Snapshot, config: Config = CONFIG) -> Scored:
    return score_snapshot(of, METRICS, champion(), config, "run-1")


PORTFOLIOS = """
account_id | csm_id | seat_saturation | upgrade_attempts | rank | rank_in_portfolio | percentile
a1         | c1     | 0.5             | 1                | 3    | 1                 | 0.666667
a2         | c2     | 0.9             | 4                | 1    | 1                 | 1
a3         | c1     | 0.5             | 1                | 4    | 2                 | 0.5
a4         |        | 0.1             | 0                | 6    | 1                 | 0.166667
a5         | c2     | 0.9             | 3                | 2    | 2                 | 0.833333
a6         | c1     | 0.5             | 0                | 5    | 3                 | 0.333333
"""


def test_ranks_are_by_score_and_ties_by_account_id() -> None:
    scores = scored(snapshot(PORTFOLIOS)).scores
    for column in ("rank", "rank_in_portfolio", "percentile"):
        expected = [float(line[column]) for line in rows(PORTFOLIOS)]
        assert scores[column].round(6).tolist() == expected, column


def test_who_cannot_be_a_lead_now_is_ranked_last_and_keeps_the_percentile() -> None:
    frame = pd.DataFrame(
        {
            "account_id": ["busy", "first", "second"],
            "propensity": [0.9, 0.5, 0.1],
            "baseline_score": [90.0, 50.0, 10.0],
            "csm_id": ["c1", "c1", "c1"],
            "status": ["ineligible", "qualified", "not_yet"],
        }
    )
    found = ranked(frame, CONFIG).set_index("account_id")
    assert found["rank"].to_dict() == {"busy": 3, "first": 1, "second": 2}
    assert found["rank_in_portfolio"].to_dict() == {"busy": 3, "first": 1, "second": 2}
    assert found["percentile"].round(6).to_dict() == {"busy": 1.0, "first": 0.666667, "second": 0.333333}


def test_a_band_belongs_to_the_percentile_also_where_somebody_is_barred() -> None:
    frame = pd.DataFrame(
        {
            "account_id": [f"a{i}" for i in range(10)],
            "propensity": [i / 10 for i in range(10)],
            "baseline_score": 50.0,
            "csm_id": "c1",
            "status": ["qualified"] * 9 + ["ineligible"],
        }
    )
    found = ranked(frame, Config(scoring={"high_band": 0.8, "medium_band": 0.5})).set_index("account_id")
    assert found["percentile"]["a9"] == 1.0
    assert found["rank"]["a9"] == 10
    bands = {account: found["band"][account] for account in ("a9", "a8", "a7", "a5", "a4")}
    assert bands == {"a9": "high", "a8": "high", "a7": "medium", "a5": "medium", "a4": "low"}


def test_a_scored_snapshot_has_the_columns_of_the_output() -> None:
    scores = scored(snapshot(PORTFOLIOS)).scores
    assert tuple(scores.columns) == SCORE_COLUMNS
    assert set(scores["run_id"]) == {"run-1"}
    assert set(scores["as_of"]) == {AS_OF}
    assert scores["csm_id"].tolist() == ["c1", "c2", "c1", None, "c2", "c1"]


@pytest.mark.parametrize(
    ("bands", "counts"),
    [({}, {"high": 2, "medium": 4, "low": 14}), ({"high_band": 0.5, "medium_band": 0.5}, {"high": 10, "low": 10})],
)
def test_the_bands_are_the_shares_of_accounts_above_their_percentiles(
    bands: dict[str, float], counts: dict[str, int]
) -> None:
    lines = "\n".join(f"a{i:02d} | {i / 20} | 1" for i in range(20))
    config = Config(**{**SETTINGS, "scoring": bands})
    scores = scored(snapshot(f"account_id | seat_saturation | upgrade_attempts\n{lines}"), config).scores
    assert scores["band"].value_counts().to_dict() == counts
    assert scores.sort_values("rank")["band"].tolist() == [b for b, n in counts.items() for _ in range(n)]


def test_the_expected_arr_is_propensity_times_the_share_usual_for_the_type() -> None:
    text = """
account_id | seat_saturation | upgrade_attempts | wanted_mask | advocacy_index | arr_in_force | lead_type  | share
a1         | 0.9             |                  |             |                | 1000         | upsell     | 0.2
a2         | 0.1             | 0                | 1           |                | 1000         | cross_sell | 0.25
a3         | 0.1             | 0                |             | 2              | 1000         | referral   | 0.1
a4         | 0.1             | 0                |             |                | 1000         |            |
a5         | 0.9             |                  |             |                |              | upsell     |
"""
    found = scored(snapshot(text))
    assert found.scores["lead_type"].fillna("").tolist() == [line["lead_type"] for line in rows(text)]
    share = found.scores["expected_arr"] / found.scores["propensity"] / 1000
    expected = pd.Series([float(line["share"] or "nan") for line in rows(text)])
    pd.testing.assert_series_equal(share, expected, check_names=False)


def test_potential_arr_keeps_the_rows_of_its_accounts() -> None:
    arr = pd.Series([100.0, 200.0, np.nan], index=[4, 2, 9])
    found = [None, Hypothesis("upsell", "P", "seat_saturation"), Hypothesis("upsell", "P", "seat_saturation")]
    potential = potential_arr(arr, found, {"upsell": 0.5})
    assert potential.dropna().to_dict() == {2: 100.0}


def test_no_risk_check_at_all_holds_nobody() -> None:
    off = {"open_high_severity_tickets": None, "usage_decline": None, "engagement_decline": None}
    text = "account_id | open_high_severity_tickets | seat_saturation | upgrade_attempts\na | 9 | 0.9 | 4"
    scores = scored(snapshot(text), Config(**{**SETTINGS, "risk": off})).scores
    assert scores[["status", "risk_flags"]].to_numpy().tolist() == [["qualified", ""]]


def test_several_risks_are_listed_together() -> None:
    text = "account_id | open_high_severity_tickets | usage_growth\na | 1 | -0.5"
    assert scored(snapshot(text)).scores["risk_flags"].tolist() == ["open_high_severity_tickets,usage_decline"]


def test_points_and_reference_add_up_to_the_propensity_of_every_account() -> None:
    found = scored(snapshot(PORTFOLIOS))
    sums = found.explanations.groupby("account_id")["points"].sum()
    expected = found.scores.set_index("account_id")["propensity"]
    np.testing.assert_allclose(sums.to_numpy(), expected.to_numpy(), rtol=0, atol=1e-12)
    reference = found.explanations[found.explanations["metric"] == REFERENCE]
    assert reference["points"].tolist() == [found.points.reference] * 6
    assert reference["rank"].tolist() == [0] * 6


def test_explanations_carry_the_values_of_their_metrics() -> None:
    found = scored(snapshot(PORTFOLIOS)).explanations.set_index(["account_id", "metric"])
    assert found.loc[("a2", "seat_saturation"), "value"] == 0.9
    assert found.loc[("a2", "upgrade_attempts"), "value"] == 4.0


def test_typical_values_are_the_medians_of_the_reference_accounts() -> None:
    header = "account_id | seat_saturation | upgrade_attempts\n"
    assert typical_values(champion(reference=f"{header}r1 | 0.2 | 0\nr2 | 0.6 | \nr3 | 0.9 | ")) == {
        "seat_saturation": 0.6,
        "upgrade_attempts": 0.0,
    }
    unknown = typical_values(champion(reference=f"{header}r1 | 0.2 | "))["upgrade_attempts"]
    assert np.isnan(unknown)


# Few different values, so that ties are common.
accounts = st.lists(
    st.tuples(
        st.sampled_from(["", "0.1", "0.5", "0.9"]),
        st.sampled_from(["", "0", "1", "4"]),
        st.sampled_from(["", "c1", "c2"]),
    ),
    min_size=1,
    max_size=8,
)


def _table(lines: list[tuple[str, ...]]) -> Snapshot:
    body = "\n".join(" | ".join((f"a{i}", *line)) for i, line in enumerate(lines))
    return snapshot(f"account_id | seat_saturation | upgrade_attempts | csm_id\n{body}")


def _reordered(made: Snapshot, order: list[int]) -> Snapshot:
    frames: dict[str, Any] = {
        name: getattr(made, name).iloc[order].reset_index(drop=True) for name in ("features", "facts", "accounts")
    }
    return replace(made, **frames)


@settings(max_examples=25)
@given(lines=accounts, data=st.data())
def test_scores_do_not_depend_on_the_order_of_rows(lines: list[tuple[str, ...]], data: st.DataObject) -> None:
    made = _table(lines)
    order = data.draw(st.permutations(range(len(lines))))
    one, other = scored(made).scores, scored(_reordered(made, order)).scores
    pd.testing.assert_frame_equal(one, other.sort_values("account_id", ignore_index=True), check_exact=True)


@settings(max_examples=25)
@given(lines=accounts)
def test_ranks_are_complete_and_agree_with_propensity_and_portfolio(lines: list[tuple[str, ...]]) -> None:
    scores = scored(_table(lines)).scores.sort_values("rank")
    assert scores["rank"].tolist() == list(range(1, len(lines) + 1))
    barred = scores["status"] == "ineligible"
    assert barred.is_monotonic_increasing
    for _, part in scores.groupby(barred):
        assert part["propensity"].is_monotonic_decreasing
        assert part["percentile"].is_monotonic_decreasing
    assert scores["percentile"].between(0, 1, inclusive="right").all()
    for _, portfolio in scores.groupby(scores["csm_id"].fillna("")):
        assert portfolio["rank_in_portfolio"].tolist() == list(range(1, len(portfolio) + 1))
