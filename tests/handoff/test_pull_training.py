"""Leads pushed, worked by sales and pulled: the next training learns from them, each when it is mature."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pandas as pd
import pytest

from csql_ml import config as configuration
from csql_ml import pipeline
from csql_ml.company import open_company
from csql_ml.handoff.lead import lead_key
from csql_ml.handoff.pull import pull
from csql_ml.handoff.push import push
from csql_ml.simulate import END, simulate, write_config
from tests.handoff.pulled_company import PulledCompany
from tests.handoff.scripted_sink import ScriptedCrm, World
from tests.handoff.small_run import lead
from tests.small_company import rows, write_tables

AS_OF = date(2026, 7, 1)
MATURE = date(2027, 1, 2)
ACCOUNTS = ["won", "lost", "rejected", "accepted", "waiting", "nobody"]


@pytest.fixture
def company(tmp_path: Path) -> PulledCompany:
    """Six customers of one product, and no table of earlier leads."""
    write_tables(
        tmp_path,
        {
            "accounts": [{"account_id": a, "name": a, "created_at": "2025-01-01", "csm_id": "CSM-1"} for a in ACCOUNTS],
            "contracts": [
                {"account_id": a, "product": "Platform", "seats": 10, "arr": 1000, "start_date": "2025-01-01"}
                | {"end_date": "2028-01-01"}
                for a in ACCOUNTS
            ],
            "events": rows(
                """
                account_id | user_id | occurred_at | event_name
                won        | u1      | 2025-01-02  | login
                nobody     | u2      | 2027-03-01  | login
                """
            ),
        },
    )
    tables = {name: f"{name}.csv" for name in ("accounts", "contracts", "events")}
    return PulledCompany(tmp_path, {"tables": tables})


def states(company: PulledCompany, now: date) -> dict[str, str]:
    """What the snapshot of the first of July turned out to be, as far as it was known before a day."""
    with open_company(company.config) as opened:
        labels = opened.label_book([opened.builder.build(AS_OF)]).known(now)
    return dict(zip(labels["account_id"], labels["state"], strict=True))


def sold(company: PulledCompany) -> None:
    """A year of sales: each account's lead comes to what its name says."""
    for number, account in enumerate(a for a in ACCOUNTS if a != "nobody"):
        place = {"key": lead_key(account, "upsell", "Pro", "upgrade_attempts"), "account_id": account}
        company.sales.note("csqls", f"R{number:04d}", "2026-07-01T08:00:00Z", **place)  # type: ignore[arg-type]
    at = "2026-09-10T08:00:00Z"
    company.sales.note("csqls", "R0000", at, closed_at=at, won=True, arr=250.0)
    company.sales.note("csqls", "R0001", at, closed_at=at, won=False)
    company.sales.note("csqls", "R0002", at, rejected_at=at, rejection_reason="no budget")
    company.sales.note("csqls", "R0003", at, accepted_at=at)


def test_labels_know_a_pulled_lead_from_the_day_it_is_decided(company: PulledCompany) -> None:
    assert states(company, MATURE) == dict.fromkeys(ACCOUNTS, "unobserved"), "nobody is known to have been worked"
    company.push(*(lead(a) for a in ACCOUNTS if a != "nobody"))
    sold(company)
    company.pull()
    assert not pipeline.check(company.config).broken
    before_the_win, at_the_end = states(company, date(2026, 9, 1)), states(company, MATURE)
    assert before_the_win == dict.fromkeys(ACCOUNTS, "open")
    assert at_the_end == {
        "won": "positive",
        "lost": "negative",
        "rejected": "negative",
        "accepted": "open",
        "waiting": "open",
        "nobody": "unobserved",
    }
    company.sales.note("csqls", "R0003", "2027-01-20T08:00:00Z", closed_at="2027-01-20T08:00:00Z", won=True, arr=90.0)
    company.pull()
    assert states(company, MATURE) == at_the_end, "what is pulled later does not change what was known"
    assert states(company, date(2027, 2, 1)) == at_the_end | {"accepted": "positive"}


@pytest.mark.slow
def test_a_simulated_company_is_scored_pushed_pulled_and_trained_again(tmp_path: Path) -> None:
    simulate(tmp_path / "data", accounts=120, quarters=6, seed=3)
    path = write_config(tmp_path / "config.yaml", folder="data", models_folder="models")
    dates = [date(2026, 1, 1), date(2026, 4, 1), END]
    config = configuration.load(path)
    data = config.data.model_copy(update={"pulled": Path("pulled")})
    delivery = config.delivery.model_copy(update={"outbox": Path("outbox.sqlite")})
    config = config.model_copy(update={"data": data, "delivery": delivery, "snapshots": tuple(dates)})
    world = World()
    crm = ScriptedCrm(world, batch_size=100)

    pipeline.score(config, END, tmp_path / "run")
    pushed = push(config, tmp_path / "run", "scripted", sink=crm, clock=world.clock())
    leads = [json.loads(line) for line in (tmp_path / "run" / "leads.jsonl").read_text().splitlines()]
    assert pushed.counts == {"create": len(leads)}
    assert len(leads) >= 9
    stored = {fields["account_id"]: (remote, key) for remote, (key, fields) in crm.stored.items()}
    for number, one in enumerate(leads):
        remote, key = stored[one["account_id"]]
        place = {"key": key, "account_id": one["account_id"], "type": one["lead_type"]}
        crm.sales.note("csqls", remote, "2026-10-02T08:00:00Z", **place)
        at = f"2026-11-{number + 1:02d}T08:00:00Z"
        if number < 3:
            crm.sales.note("csqls", remote, at, accepted_at=at, closed_at="2026-12-01T08:00:00Z", won=True, arr=500.0)
        elif number < 6:
            crm.sales.note("csqls", remote, at, rejected_at=at)
    now = date(2027, 4, 2)

    before = pipeline.train_champion(config, now)
    pulled = pull(config, "scripted", sink=crm, clock=world.clock())
    assert (pulled.leads["won"], pulled.leads["rejected"], pulled.noted) == (3, 3, 6)
    checked = pipeline.check(config)
    assert not checked.broken
    after = pipeline.train_champion(config, now)
    changed = _funnel(after) - _funnel(before)
    assert changed.loc[[d.isoformat() for d in dates[:2]]].abs().to_numpy().sum() == 0, (
        "older snapshots are as they were"
    )
    newest = changed.loc[END.isoformat()]
    assert (newest["positive"], newest["open"]) == (3, len(leads) - 6)
    assert newest["negative"] == -3 - (len(leads) - 6), "the others were negative, as nothing was known of a lead"


def _funnel(training: pipeline.Training) -> pd.DataFrame:
    funnel = training.trained.label_funnel
    keys = [str(d)[:10] for d in funnel["as_of"]]
    return funnel[["positive", "negative", "open", "unobserved"]].set_axis(keys)
