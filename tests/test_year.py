"""The year of four quarters: its own counts by hand, and that it finds a report that is wrong."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import pandas as pd
import pytest

from benchmarks import year
from tests.small_company import rows

LEADS = """
type    | created_at | accepted_at | opportunity_at | closed_at  | won   | arr
upsell  | 2026-01-10 | 2026-01-12  | 2026-01-20     | 2026-02-20 | true  | 100.5
upsell  | 2026-02-10 |             |                | 2026-04-02 | true  | 50
upsell  | 2026-03-30 | 2026-04-02  |                |            |       |
upsell  | 2026-04-10 |             |                |            |       |
renewal | 2026-01-10 | 2026-01-12  |                | 2026-01-20 | true  | 9
upsell  | 2026-02-01 | 2026-02-02  |                | 2026-03-01 | false |
"""


def leads(folder: Path) -> Path:
    frame = pd.DataFrame(rows(LEADS)).replace("", None)
    for column in ("created_at", "accepted_at", "opportunity_at", "closed_at"):
        frame[column] = pd.to_datetime(frame[column], utc=True)
    frame["won"] = frame["won"].map({"true": True, "false": False}).astype("boolean")
    frame["arr"] = frame["arr"].astype(float)
    frame.to_parquet(folder / "csqls.parquet")
    return folder


def test_only_what_had_come_by_then_is_counted(tmp_path: Path) -> None:
    data = leads(tmp_path)
    april = {"created": 4, "accepted": 2, "opportunity": 1, "won": 1, "arr": 100.5}
    assert year.funnel(data, date(2026, 4, 1)) == april
    assert year.by_quarter(data, date(2026, 4, 1)) == {"2026Q1": april}
    assert year.funnel(data, date(2026, 5, 1)) == {
        "created": 5,
        "accepted": 4,
        "opportunity": 2,
        "won": 2,
        "arr": 150.5,
    }


@pytest.mark.slow
def test_the_year_is_right_and_finds_out_what_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[tuple[year.Csql, year.Review]] = []
    real = year.problems
    monkeypatch.setattr(year, "problems", lambda csql, found: kept.append((csql, found)) or real(csql, found))
    assert year.run_year(tmp_path, accounts=150, seed=5) == []
    assert [found.day for _, found in kept] == list(year.REVIEWS)
    csql, last = kept[-1]
    assert last.digest["team"]["changes"]
    total = {**last.measured["total"], "created": last.measured["total"]["created"] + 1}
    assert any("measure: told" in p for p in real(csql, replace(last, measured={**last.measured, "total": total})))
    counts = {**last.digest["team"]["counts"], "newly_qualified": -1}
    digest = {**last.digest, "team": {**last.digest["team"], "counts": counts}}
    assert any("digest: told" in p for p in real(csql, replace(last, digest=digest)))
