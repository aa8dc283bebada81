"""The whole way: scored, pushed into a real CRM, sold or not by a salesperson there, pulled and trained on."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pandas as pd
import pytest

from csql_ml import config as configuration
from csql_ml import pipeline
from csql_ml.config import Config
from csql_ml.handoff.pull import pull
from csql_ml.handoff.push import push
from csql_ml.simulate import END, simulate, write_config
from tests.crm.tryton_desk import Salesperson, sink_of
from tests.crm.tryton_server import TrytonServer

pytestmark = [pytest.mark.engines, pytest.mark.slow]

DATES = [date(2026, 1, 1), date(2026, 4, 1), END]


def simulated(folder: Path) -> Config:
    simulate(folder / "data", accounts=120, quarters=6, seed=3)
    config = configuration.load(write_config(folder / "config.yaml", folder="data", models_folder="models"))
    data = config.data.model_copy(update={"pulled": Path("pulled")})
    delivery = config.delivery.model_copy(update={"outbox": Path("outbox.sqlite")})
    return config.model_copy(update={"data": data, "delivery": delivery, "snapshots": tuple(DATES)})


def happened(crm: TrytonServer, last: str, at: str) -> None:
    """Date everything that was written since ``last``, which is now in truth, to a day of the simulated year."""
    for table in ("sale_opportunity", "sale_opportunity__history"):
        for column in ("create_date", "write_date"):
            crm.sql(f"UPDATE {table} SET {column} = ? WHERE {column} NOT IN (?, ?)", f"{at} 08:00:00", last, last)


def test_a_simulated_company_is_scored_pushed_worked_pulled_and_trained_again(
    crm: TrytonServer, seller: Salesperson, tmp_path: Path
) -> None:
    config = simulated(tmp_path)
    pipeline.score(config, END, tmp_path / "run")
    leads = [json.loads(line) for line in (tmp_path / "run/leads.jsonl").read_text().splitlines()]
    assert len(leads) >= 9
    executives = {ae: f"AE-{n % 5 + 1}" for n, ae in enumerate(sorted({one["owner"] for one in leads}))}
    sink = sink_of(crm.port, currency=config.company.currency, create_accounts=True, executives=executives)
    assert push(config, tmp_path / "run", "tryton", sink=sink).counts == {"create": len(leads)}
    happened(crm, "", "2026-10-02")

    there = seller.leads(["csql_account_id", "employee.party.code"])
    assert {one["csql_account_id"]: one["employee."]["party."]["code"] for one in there} == {
        one["account_id"]: executives[one["owner"]] for one in leads
    }
    ids = [one["id"] for one in there]
    seller.press("opportunity", ids[:3])
    for lead in ids[:3]:
        seller.win(lead, 500)
    seller.edit(ids[3:6], lost_reason="no budget")
    seller.press("lost", ids[3:6])
    happened(crm, "2026-10-02 08:00:00", "2026-11-10")

    now = date(2027, 4, 2)
    before = funnel(pipeline.train_champion(config, now))
    pulled = pull(config, "tryton", sink=sink)
    assert (pulled.leads["won"], pulled.leads["rejected"], pulled.won_arr) == (3, 3, 1500.0)
    assert not pipeline.check(config).broken
    after = funnel(pipeline.train_champion(config, now))
    changed = after - before
    assert changed.loc[[d.isoformat() for d in DATES[:2]]].abs().to_numpy().sum() == 0, "what was, is as it was"
    newest = changed.loc[END.isoformat()]
    assert (newest["positive"], newest["open"]) == (3, len(leads) - 6)
    again = pull(config, "tryton", sink=sink)
    assert again.leads == pulled.leads


def funnel(training: pipeline.Training) -> pd.DataFrame:
    found = training.trained.label_funnel
    keys = [str(day)[:10] for day in found["as_of"]]
    return found[["positive", "negative", "open", "unobserved"]].set_axis(keys)
