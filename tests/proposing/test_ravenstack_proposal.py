"""A third party's dirty files, where the folder with them stands beside the project: the proposal passes the check."""

from __future__ import annotations

from pathlib import Path

import pytest

from csql_ml import config as configuration
from csql_ml import pipeline
from csql_ml.proposing import propose

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "ravenstack"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not DATA.is_dir(), reason="the data set is not in ../shared/data/ravenstack"),
]


def test_the_proposal_is_what_a_person_mapped_as_far_as_it_can_be_known(tmp_path: Path) -> None:
    result = propose(str(DATA), tmp_path / "ravenstack.yaml")
    tables = {t.name: t for t in result.tables if t.state != "absent"}
    assert result.ready
    assert set(tables) == {"accounts", "contracts", "events", "tickets"}
    assert (tables["contracts"].columns or {})["arr"] == "arr_amount"
    assert "No column names the product" in " ".join(tables["contracts"].remarks)
    assert result.notes == ("Not used, as no contract table fits well enough: ravenstack_churn_events.csv.",)

    config = configuration.load(result.out)
    assert config.signals.high_severities == ("high", "urgent")
    assert config.catalogue.plans == ("Basic", "Pro", "Enterprise")
    checked = pipeline.check(config)
    assert checked.broken is None
    counts = {t["table"]: (t["read"], t["kept"]) for t in checked.tables if t["mapped"]}
    assert counts == {
        "accounts": (500, 500),
        "contracts": (5000, 5000),
        "events": (25000, 24979),
        "tickets": (2000, 2000),
    }
    # What init says it costs is what the check says, but for what only the rows can tell.
    assert {m: why for m, why in checked.unavailable.items() if m in result.losses} == result.losses
