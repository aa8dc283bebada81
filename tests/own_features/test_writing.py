"""Files of a run written some accounts at a time: the bytes of the whole at once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from csql_ml import own_features
from csql_ml.own_features import scoring
from csql_ml.own_features.writing import LeadsOnDisk
from csql_ml.run_files import RUN_FILES
from tests.own_features.world import NEWEST, Trained


@pytest.mark.parametrize("size", [1, 7, 50])
def test_the_size_of_parts_does_not_show(trained: Trained, tmp_path: Path, monkeypatch, size: int):
    whole = own_features.score(trained.config, trained.table, NEWEST, tmp_path / "whole")
    monkeypatch.setattr(scoring, "CHUNK", size)
    parts = own_features.score(trained.config, trained.table, NEWEST, tmp_path / "parts")
    assert len(whole.scores) > 3 * size
    assert {p.name for p in parts.out.iterdir()} == set(RUN_FILES)
    for name in RUN_FILES:
        assert (parts.out / name).read_bytes() == (whole.out / name).read_bytes(), name


def test_leads_are_in_the_order_of_their_ranks(trained: Trained, tmp_path: Path, monkeypatch):
    monkeypatch.setattr(scoring, "CHUNK", 11)
    run = own_features.score(trained.config, trained.table, NEWEST, tmp_path / "run")
    qualified = run.scores[run.scores["status"] == "qualified"].sort_values("rank")
    assert [lead["account_id"] for lead in run.leads] == qualified["account_id"].tolist()
    assert len(run.leads) == run.manifest["rows"]["leads.jsonl"] > 3


def test_the_explanations_of_all_accounts_are_never_held_at_once(trained: Trained, tmp_path: Path, monkeypatch):
    held = []
    monkeypatch.setattr(scoring, "CHUNK", 16)
    explain = scoring.explain
    monkeypatch.setattr(
        scoring, "explain", lambda *given, **more: held.append(len(given[1])) or explain(*given, **more)
    )
    run = own_features.score(trained.config, trained.table, NEWEST, tmp_path / "run")
    assert max(held) == 16
    assert sum(held) == len(run.scores)


def test_leads_are_read_where_they_are_asked_for(tmp_path: Path):
    leads = [{"account_id": f"ä{i}"} for i in range(5)]
    path = tmp_path / "leads.jsonl"
    path.write_text("".join(json.dumps(lead) + "\n" for lead in leads), encoding="utf-8")
    read = LeadsOnDisk(path, 5)
    assert list(read) == leads
    assert read[1:3] == leads[1:3]
    assert read[-1] == leads[-1]
    assert read[::-2] == leads[::-2]
    assert read[7:] == []
    with pytest.raises(IndexError):
        read[5]
