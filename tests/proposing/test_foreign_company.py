"""A company whose exports have other names than the contract: every column is found, and the check passes."""

from __future__ import annotations

from pathlib import Path

import pytest

from csql_ml import config as configuration
from csql_ml.company import open_inputs
from csql_ml.contract.tables import TABLES
from csql_ml.proposing import Proposal, propose
from csql_ml.simulate import simulate
from tests.proposing.renamed_company import EXPORTS, export


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("foreign")
    simulate(home / "company", accounts=60, quarters=5, events=22_500, seed=7)
    export(home / "company", home / "export")
    return home


@pytest.fixture(scope="module")
def proposal(place: Path) -> Proposal:
    return propose(str(place / "export"), place / "configs" / "foreign.yaml")


def test_every_table_gets_its_source(proposal: Proposal) -> None:
    found = {t.name: t.fit.source.location if t.fit else None for t in proposal.tables}
    assert found == {name: "tracks/*.parquet" if name == "events" else place for name, (place, _) in EXPORTS.items()}
    assert proposal.ready


@pytest.mark.parametrize("name", list(TABLES))
def test_every_column_is_found(proposal: Proposal, name: str) -> None:
    table = next(t for t in proposal.tables if t.name == name)
    assert table.columns == {c: EXPORTS[name][1][c] for c in TABLES[name].column_names if c in EXPORTS[name][1]}
    assert table.missing == ()


@pytest.mark.slow
def test_the_contract_takes_every_row(proposal: Proposal) -> None:
    with open_inputs(configuration.load(proposal.out)) as inputs:
        inputs.stop_if_broken()
        assert inputs.absent == ()
        found = {r.name: {p.kind for p in r.problems if p.action == "quarantine"} for r in inputs.reports}
    # The simulation sends some events twice; that is all.
    assert found == {name: {"duplicate"} if name == "events" else set() for name in TABLES}


def test_signals_are_recognised_by_their_names(proposal: Proposal) -> None:
    signals = configuration.load(proposal.out).signals
    assert signals.upgrade_attempts == ("upgrade_attempt",)
    assert signals.gated_clicks == ("gated_click",)
    assert (signals.workflow_starts, signals.workflow_completions) == (("workflow_started",), ("workflow_completed",))
    assert signals.high_severities == ("high", "urgent")
    assert signals.module_topics == ("new_module",)
    assert 5 <= len(signals.core_features) <= 8
    plan = next(t for t in proposal.tables if t.name == "contracts").fit.source.column("Plan Tier")  # type: ignore[union-attr]
    in_order = tuple(name for name in ("Basic", "Pro", "Enterprise") if name in plan.counts)
    assert configuration.load(proposal.out).catalogue.plans == in_order


def test_the_same_folder_gives_the_same_bytes(proposal: Proposal, place: Path) -> None:
    again = propose(str(place / "export"), place / "configs2" / "foreign.yaml")
    text = proposal.out.read_text(encoding="utf-8")
    assert again.out.read_text(encoding="utf-8") == text.replace("../models", "models").replace(
        "../activity", "activity"
    )


def test_what_was_proposed_is_not_overwritten(proposal: Proposal, place: Path) -> None:
    before = proposal.out.read_bytes()
    with pytest.raises(Exception, match="exists and is not overwritten"):
        propose(str(place / "export"), proposal.out)
    assert proposal.out.read_bytes() == before
