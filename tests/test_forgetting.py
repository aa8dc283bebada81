"""`csql forget`: an account goes from everything that was derived from it; what stays is named."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from csql_ml.errors import DeliveryError, OutputError
from csql_ml.forgetting import Forgotten, forget, forget_in_run
from csql_ml.handoff.outbox_file import looking, writing
from csql_ml.printing_forget import forgotten
from csql_ml.run_files import read_manifest
from tests.handoff.push_desk import Desk
from tests.handoff.scripted_sink import World
from tests.handoff.small_run import account, lead, score
from tests.small_company import written_company


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path / "desk", World())


def company_of(desk: Desk, tmp_path: Path) -> object:
    """A company of a1 and a2 with the desk's outbox."""
    config = written_company(tmp_path / "company", {})
    return config.model_copy(update={"delivery": desk.config.delivery, "home": desk.home})


def forgotten_at(desk: Desk, tmp_path: Path, name: str, **more: object) -> Forgotten:
    return forget(company_of(desk, tmp_path), name, **more)  # type: ignore[arg-type]


def test_the_outbox_keeps_no_byte_of_the_account(desk: Desk, tmp_path: Path) -> None:
    desk.push(lead("a1", account_name="Zebra Works"), lead("a2", account_name="Other Works"))
    path = desk.config.path(desk.config.delivery.outbox)
    everything = lambda: b"".join(p.read_bytes() for p in path.parent.iterdir() if p.name.startswith(path.name))  # noqa: E731
    assert b"Zebra Works" in everything()
    found = forgotten_at(desk, tmp_path, "a1")
    assert found.delivery.outbox == 2, "the delivery and its result in the history"
    assert [record["sink"] for record in found.delivery.remote] == ["scripted"]
    assert b"Zebra Works" not in everything()
    assert b"Other Works" in everything()
    with looking(path) as connection:
        assert [r["account_id"] for r in connection.execute("SELECT account_id FROM deliveries")] == ["a2"]
    assert desk.push(lead("a2", account_name="Other Works")).counts == {}, "what is left goes on as before"


def test_what_is_on_its_way_is_not_forgotten(desk: Desk, tmp_path: Path) -> None:
    desk.push(lead("a1"))
    path = desk.config.path(desk.config.delivery.outbox)
    with writing(path) as connection:
        connection.execute(
            "UPDATE deliveries SET state = 'in_flight', sent_payload = payload, sent_hash = payload_hash"
        )
    with pytest.raises(DeliveryError, match="was sent to scripted and not answered yet; run csql push"):
        forgotten_at(desk, tmp_path, "a1")


def test_a_run_is_written_anew_without_the_account(desk: Desk) -> None:
    run = desk.run(lead("a1"), lead("a2"), accounts=[account("a1"), account("a2")], scores=[score("a1"), score("a2")])
    before = read_manifest(run)
    assert forget_in_run(run, "a1", dry_run=True) == forget_in_run(run, "a1") > 0
    after = read_manifest(run)
    assert (after["run_id"], after["forgotten"]) == (before["run_id"], 1)
    assert set(pd.read_parquet(run / "scores.parquet")["account_id"]) == {"a2"}
    for name in ("leads.jsonl", "accounts.jsonl"):
        lines = [json.loads(line) for line in (run / name).read_text().splitlines()]
        assert {line["account_id"] for line in lines} == {"a2"}
        assert after["rows"][name] == len(lines)
    assert sum(after["counts"].values()) == 1
    assert forget_in_run(run, "a1") == 0
    assert read_manifest(run) == after


def test_nothing_is_touched_when_one_run_is_none(desk: Desk, tmp_path: Path) -> None:
    desk.push(lead("a1"))
    with pytest.raises(OutputError, match=r"manifest\.json"):
        forgotten_at(desk, tmp_path, "a1", runs=[tmp_path / "no-run"])
    with looking(desk.config.path(desk.config.delivery.outbox)) as connection:
        assert connection.execute("SELECT count(*) FROM deliveries").fetchone()[0] == 1


def test_a_dry_run_counts_and_writes_nothing(desk: Desk, tmp_path: Path) -> None:
    desk.push(lead("a1"))
    dry = forgotten_at(desk, tmp_path, "a1", dry_run=True)
    assert dry.delivery == forgotten_at(desk, tmp_path, "a1").delivery


def test_what_stays_is_named(desk: Desk, tmp_path: Path) -> None:
    desk.push(lead("a1"))
    result = forgotten_at(desk, tmp_path, "a1")
    assert result.source == {"accounts": 1, "contracts": 1}
    said = forgotten(result).data["not_removed"]
    assert said[0].startswith("your own tables still have it (accounts 1, contracts 1 rows)")
    assert any("delete it there" in line for line in said)
    assert not any("trained" in line for line in said), "there is no champion"


def test_an_unknown_account_is_nothing_to_forget(desk: Desk, tmp_path: Path) -> None:
    result = forgotten_at(desk, tmp_path, "nobody")
    assert (result.rows, result.source) == (0, {})
