"""CSMs against what the team makes of leads like theirs: who is called different, and how rarely by noise alone."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from csql_ml.config import Config
from csql_ml.outcomes.portfolios import Comparison, compare

CONFIG = Config()


def book(csms: int, leads: int, rng: np.random.Generator, chance: np.ndarray | float = 0.4) -> pd.DataFrame:
    """Decided leads of equal portfolios; ``chance`` to be won, each accepted and an opportunity by chance, too."""
    n = csms * leads
    frame = pd.DataFrame({"csm": [f"c{i % csms}" for i in range(n)], "type": "upsell", "band": "unknown"})
    for stage, share in (("accepted", 0.7), ("opportunity", 0.5), ("won", chance)):
        frame[stage] = np.where(rng.random(n) < share, "reached", "failed")
    return frame.assign(propensity=np.nan)


def won(found: list[Comparison], csm: str) -> Comparison:
    return next(c for c in found if (c.csm, c.stage) == (csm, "won"))


@pytest.mark.slow
def test_noise_calls_nobody_different_in_most_reports() -> None:
    """A hundred reports on six CSMs who are all alike: with Holm's correction at most 5 % of them name somebody."""
    rng = np.random.default_rng(11)
    named = sum(any("team" in c.finding for c in compare(book(6, 20, rng), CONFIG)) for _ in range(100))
    assert named <= 8


def test_a_csm_whose_leads_end_otherwise_is_told() -> None:
    rng = np.random.default_rng(2)
    frame = book(5, 60, rng, 0.3)
    frame.loc[frame["csm"] == "c0", "won"] = np.where(np.arange(60) % 10 < 7, "reached", "failed")
    found = compare(frame, CONFIG)
    assert won(found, "c0").finding == "above the team"
    assert {won(found, c).finding for c in ("c1", "c2", "c3")} <= {"within noise", "below the team"}


def test_an_easier_portfolio_is_no_merit() -> None:
    """c0 has only cross-sells, of which eight in ten are won by everybody; upsells are won one time in ten."""
    kinds = [("c0", "cross_sell", 80)] + [(f"c{i}", t, 30) for i in (1, 2) for t in ("cross_sell", "upsell")]
    rows = [(csm, kind, j) for csm, kind, n in kinds for j in range(n)]
    frame = pd.DataFrame(rows, columns=["csm", "type", "place"]).assign(band="unknown", propensity=np.nan)
    reached = np.where(frame["type"] == "cross_sell", frame["place"] % 10 < 8, frame["place"] % 10 < 1)
    for stage in ("accepted", "opportunity", "won"):
        frame[stage] = np.where(reached, "reached", "failed")
    best = won(compare(frame, CONFIG), "c0")
    assert best.decided.value == pytest.approx(0.8)
    assert best.expected == pytest.approx(0.8)
    assert best.finding == "within noise"


def test_propensities_say_what_to_expect_where_they_are_known() -> None:
    """c0's accounts have high propensities, and win as such accounts do."""
    rng = np.random.default_rng(4)
    frame = book(4, 80, rng)
    propensity = np.where(frame["csm"] == "c0", 0.6, 0.15) * rng.uniform(0.7, 1.3, len(frame))
    frame["propensity"] = propensity
    frame["won"] = np.where(rng.random(len(frame)) < propensity, "reached", "failed")
    found = compare(frame, CONFIG)
    best = won(found, "c0")
    assert (best.basis, best.finding) == ("propensity", "within noise")
    assert best.expected == pytest.approx(0.6, abs=0.1)
    assert next(c for c in found if c.stage == "accepted").basis == "type and band", "the model was not trained on it"
    blind = won(compare(frame.assign(propensity=np.nan), CONFIG), "c0")
    assert blind.finding == "above the team", "without propensities it would look like merit"


def test_few_leads_are_not_judged_and_open_ones_not_compared() -> None:
    rng = np.random.default_rng(6)
    frame = book(3, 20, rng)
    frame.loc[(frame["csm"] == "c1") & (np.arange(60) > 10), "won"] = "open"
    few = won(compare(frame, CONFIG), "c1")
    assert (few.decided.created, few.finding, few.p_value) == (4, "too few leads", None)


def test_where_all_leads_end_alike_nothing_can_be_told() -> None:
    frame = book(3, 20, np.random.default_rng(7)).assign(accepted="reached", opportunity="failed", won="failed")
    assert {c.finding for c in compare(frame, CONFIG)} == {"within noise"}
