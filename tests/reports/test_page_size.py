"""An account page stays small however much there is to say, in every language."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from csql_ml.config import Config
from csql_ml.explain.evidence import MOST_AGAINST, MOST_FOR, MOST_MISSING, source_of
from csql_ml.metrics import registry
from csql_ml.reports import report
from csql_ml.reports.catalogue import languages
from tests.reports.sample_run import earlier_accounts, plain_account, write_run

MOST = 25_000
#: As many as an account may have.
FOR = ("seat_saturation", "usage_growth", "usage_growth_streak", "engagement_change")
AGAINST = ("upgrade_attempts", "days_to_renewal")
MISSING = ("nps_score", "feature_adoption")

#: Every signal of a gate that none of the account's values has reached.
SIGNALS = (
    *("seat_saturation", "feature_adoption", "nps_promoter", "advocacy_index", "roi_milestones", "usage_growth"),
    *("engagement_change", "phase_two", "upgrade_attempts", "days_to_renewal", "new_executive_sponsor"),
    "budget_expansion",
)


@pytest.fixture(autouse=True, scope="module")
def _sample_metrics() -> None:
    """Unlike the tests beside it, this one has the real metrics and their names."""


def reason(metric: str, points: float, *, known: bool = True) -> dict[str, Any]:
    places = [
        {"table": table, "from": days and "2026-04-02", "to": "2026-06-30", "rows": 1519}
        for table, days in source_of(registry()[metric], Config())
    ]
    peers = {"segment": "mid_market", "quartile": 2, "median": 0.52, "accounts": 1297, "as_of": "2026-06-30"}
    return {
        "metric": metric,
        "points": points,
        "side": "for" if points > 0 else "against",
        "value": 0.57 if known else None,
        "previous_value": 0.51 if known else None,
        "threshold": 0.8 if known else None,
        "typical": 0.66,
        "unit": registry()[metric].unit,
        "stability": 0.95 if known else None,
        "peers": peers if known else None,
        "where": places,
        "facts": {},
    }


def fullest() -> dict[str, Any]:
    """An account with all there can be on its page: those that are not yet leads have most to show."""
    assert (len(FOR), len(AGAINST), len(MISSING)) == (MOST_FOR, MOST_AGAINST, MOST_MISSING)
    reasons = [
        *(reason(name, 0.031) for name in FOR),
        *(reason(name, -0.012) for name in AGAINST),
        *(reason(name, -0.011, known=False) for name in MISSING),
    ]
    told = [{"metric": name, "value": 0.2, "threshold": 0.8, "unit": registry()[name].unit} for name in SIGNALS]
    near = [{"metric": name, "value": 0.2, "theirs": 0.8, "unit": registry()[name].unit} for name in SIGNALS[:4]]
    gates = ("value_proven", "next_product", "buyer_identified", "timing")
    roles = ("executive_sponsor", "champion", "buyer", "user", "executive_sponsor", "champion")
    return plain_account(
        name="Łódź Systems und Beteiligungen AG",
        status="not_yet",
        arr=1_130_611,
        region="UK & Ireland",
        propensity=0.108 + 4 * 0.031 - 2 * 0.012 - 2 * 0.011 - 0.034,
        reference=0.108,
        other_points=-0.034,
        reasons=reasons,
        unsteady=3,
        interval={"low": 0.0041, "high": 0.1234, "level": 0.9},
        gates=[
            {"gate": gate, "state": state, "because": ["next_product_clear"] if state == "passed" else []}
            for gate, state in zip(gates, ("failed", "not_checked", "passed", "passed"), strict=True)
        ],
        missing=told,
        comparable={"kind": "expanded", "accounts": 95, "as_of": "2026-04-01", "metrics": near},
        hypothesis={"type": "cross_sell", "product": "Analytics", "potential_arr": 26_736, "expected_arr": 1162},
        trigger={"metric": "days_to_renewal", "value": 57, "facts": {}},
        stakeholders=[
            {"role": role, "name": "Georgina Lefèvre-Øvergård", "since_days_ago": 700, "last_engaged_days_ago": 156}
            for role in roles
        ],
        absent_sources=["nps", "advocacy"],
    )


@pytest.mark.parametrize("language", languages())
def test_the_fullest_account_has_a_small_page(language: str, tmp_path: Path) -> None:
    one = fullest()
    earlier = []
    for month in range(1, 6):
        past = earlier_accounts([one] * 3, seed=month)[:1]
        earlier.append(write_run(tmp_path / str(month), past, as_of=f"2026-0{month}-01", model_version=f"m{month}"))
    run = write_run(tmp_path / "run", [one])
    done = report(run, tmp_path / "site", language=language, config=Config(), earlier=earlier)
    assert done.largest_account_page <= MOST
