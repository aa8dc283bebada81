"""Quartiles per segment, and the accounts that others are compared with."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pytest

from csql_ml.model.peers import FEWEST, FEWEST_EXEMPLARS, MOST_EXEMPLARS, Exemplars, Peers, exemplars_of, peers_of

DAY = date(2026, 4, 1)


def snapshot(n: int = 40) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "account_id": [f"a{i}" for i in range(n)],
            "as_of": [DAY] * n,
            "segment": ["smb"] * (n - 5) + ["large"] * 4 + [None],
            "usage": np.arange(float(n)),
            "rare": [1.0] * (FEWEST - 1) + [np.nan] * (n - FEWEST + 1),
            "plan": ["pro"] * n,
        }
    )


def test_quartiles_are_values_of_real_accounts_of_the_segment() -> None:
    found = peers_of(snapshot(), ["usage", "rare", "plan", "absent"])
    assert found is not None
    assert found.segments == {"smb": 35, "large": 4}
    assert found.quartiles == {"smb": {"usage": (8.0, 17.0, 26.0)}, "large": {}}


@pytest.mark.parametrize(
    ("value", "quartile"), [(0.0, 1), (8.0, 1), (8.5, 2), (17.0, 2), (18.0, 3), (26.0, 3), (27.0, 4), (99.0, 4)]
)
def test_a_value_stands_in_one_quartile(value: float, quartile: int) -> None:
    peers = Peers(DAY, {"smb": 35}, {"smb": {"usage": (8.0, 17.0, 26.0)}})
    said = {"segment": "smb", "quartile": quartile, "low": 8.0, "median": 17.0, "high": 26.0, "accounts": 35}
    assert peers.standing("smb", "usage", value) == {**said, "as_of": "2026-04-01"}


def test_most_accounts_without_any_are_not_called_the_lowest_quartile() -> None:
    peers = Peers(DAY, {"smb": 35}, {"smb": {"clicks": (0.0, 0.0, 2.0), "tickets": (0.0, 0.0, 0.0)}})
    standing = peers.standing("smb", "clicks", 0.0)
    assert standing is not None
    assert standing["quartile"] == 2
    assert peers.standing("smb", "tickets", 3.0) is None, "quartiles that are one value compare with nobody"


@pytest.mark.parametrize(
    ("segment", "value"), [("other", 1.0), (None, 1.0), (np.nan, 1.0), ("smb", None), ("smb", float("nan"))]
)
def test_nothing_is_said_of_unknown_segments_and_missing_values(segment: Any, value: Any) -> None:
    assert Peers(DAY, {"smb": 35}, {"smb": {"usage": (8.0, 17.0, 26.0)}}).standing(segment, "usage", value) is None


def test_a_table_without_segments_has_no_peers() -> None:
    assert peers_of(snapshot().drop(columns="segment"), ["usage"]) is None
    assert peers_of(snapshot().assign(segment=1.0), ["usage"]) is None
    assert peers_of(snapshot().assign(segment=None), ["usage"]) is None


def rows(days: list[date], accounts: list[str]) -> pd.DataFrame:
    return pd.DataFrame({"account_id": accounts, "as_of": days})


def test_exemplars_expanded_after_a_score_above_the_threshold_each_with_its_newest_row() -> None:
    n, earlier = FEWEST_EXEMPLARS, date(2026, 1, 1)
    frame = rows([earlier] * n + [DAY] * n + [DAY], [f"a{i}" for i in range(n)] * 2 + ["other"])
    matrix = np.arange(2.0 * n + 1)[:, None]
    expanded = np.array([True] * 2 * n + [False])
    over = np.array([True] * (2 * n - 1) + [False, True])
    found = exemplars_of(frame, matrix, expanded, over, seed=7)
    assert found is not None
    assert (found.kind, found.accounts, found.as_of) == ("expanded", n, DAY)
    # The last account's newest row was below the threshold, so its earlier one stands.
    assert found.rows[:, 0].tolist() == [n - 1.0, *(n + i * 1.0 for i in range(n - 1))]


def test_without_outcomes_they_are_accounts_above_the_threshold_now() -> None:
    frame = rows([date(2026, 1, 1), DAY, DAY], ["a", "b", "c"])
    found = exemplars_of(frame, np.arange(3.0)[:, None], np.zeros(3, dtype=bool), np.array([True, True, False]), 7)
    assert found is not None
    assert (found.kind, found.accounts, found.rows.tolist()) == ("above_threshold", 1, [[1.0]])
    none = np.zeros(3, dtype=bool)
    assert exemplars_of(frame, np.arange(3.0)[:, None], none, none, 7) is None


def test_many_are_drawn_from_and_the_draw_is_the_same_every_time() -> None:
    n = MOST_EXEMPLARS + 50
    frame = rows([DAY] * n, [f"a{i}" for i in range(n)])
    drawn = [
        exemplars_of(frame, np.arange(float(n))[:, None], np.ones(n, dtype=bool), np.ones(n, dtype=bool), 7)
        for _ in range(2)
    ]
    assert [len(d.rows) for d in drawn if d] == [MOST_EXEMPLARS] * 2
    assert [d.accounts for d in drawn if d] == [n, n]
    np.testing.assert_array_equal(drawn[0].rows, drawn[1].rows)


@pytest.mark.parametrize("change", [{"rows": []}, {"rows": [1.0]}, {"kind": "promised"}])
def test_damaged_exemplars_are_refused(change: dict[str, Any]) -> None:
    plain = {"kind": "expanded", "as_of": "2026-04-01", "accounts": 1, "rows": [[1.0, None]]}
    assert np.isnan(Exemplars.from_plain(plain).rows[0, 1])
    with pytest.raises(ValueError, match="exemplars"):
        Exemplars.from_plain({**plain, **change})
