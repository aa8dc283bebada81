"""`csql retrain` from tables to a champion in force, on a simulated company, through the command line."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest

from csql_ml.cli import main
from csql_ml.errors import UsageError
from csql_ml.model.bundle import load
from csql_ml.model.guards import Suspect, find
from csql_ml.simulate import simulate, write_config

Capture = pytest.CaptureFixture[str]


def csql(capture: Capture, *arguments: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error."""
    with pytest.raises(SystemExit) as stopped:
        main(list(arguments))
    printed = capture.readouterr()
    return int(stopped.value.code or 0), printed.out, printed.err


def digests(models: Path) -> dict[str, str]:
    """SHA-256 of every file but the lock."""
    files = [p for p in sorted(models.rglob("*")) if p.is_file() and p.name != ".promotions.lock"]
    return {str(p.relative_to(models)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("company")
    simulate(folder / "data", accounts=400, quarters=9, seed=7)
    return write_config(folder / "config.yaml", folder="data", models_folder="models")


@pytest.mark.slow
def test_a_year_of_retrains(company: Path, capsys: Capture) -> None:
    """Rules, then a model, then the model kept; waiting, repeating and undoing in between."""
    models = company.parent / "models"

    def retrain(*arguments: str) -> dict[str, Any]:
        code, out, err = csql(capsys, "retrain", "-c", str(company), "--json", *arguments)
        assert (code, err) == (0, "")
        return json.loads(out)

    first = retrain("--as-of", "2026-01-01")
    assert (first["quarter"], first["kind"], first["promoted"]) == ("2025Q3", "rules", False)
    assert first["churn"] is None, "there was no list before"
    assert first["challenger_would_change"]["changed"] > 0

    code, _, err = csql(capsys, "retrain", "-c", str(company), "--as-of", "2026-03-31")
    assert code == 1
    assert "are complete from 2026-04-01 on" in err
    assert "Traceback" not in err

    second = retrain("--as-of", "2026-04-01")
    assert (second["quarter"], second["snapshot"]) == ("2025Q4", "2025-10-01")
    assert (second["kind"], second["promoted"], second["decision"]["action"]) == ("stack", True, "promote")
    churn = second["churn"]
    assert (churn["old_day"], churn["new_day"], churn["top"]) == ("2026-01-01", "2026-04-01", 50)
    assert churn["changed"] == sum(churn["by"].values()) > 0
    assert churn["by"]["model"] > 0
    assert churn["moved"]["model"]
    assert any(re.search(r"\d+ of the top 50 changed", s) for s in second["sentences"])

    before = digests(models)
    again = retrain("--as-of", "2026-04-01")
    assert again["unchanged"]
    assert again["in_force"] == second["in_force"]
    assert digests(models) == before, "retraining twice on the same data changes nothing"

    third = retrain("--as-of", "2026-07-01")
    assert (third["decision"]["action"], third["in_force"]) == ("keep", second["in_force"])
    trial = third["succession"]["trial"]
    assert trial["quarter"] == "2026-01-01"
    assert trial["known_on"] == "2026-04-01", "nobody knew more than the champion"
    assert 0 < trial["judged"] < trial["outcomes"], "only accounts it had not learned from are left"
    assert {row["judged"] for row in trial["figures"]} == {"champion", "challenger", "baseline"}
    assert third["told_from"] == "2027-01-01"

    code, out, _ = csql(capsys, "retrain", "-c", str(company), "--rollback", "--reason", "too many odd ones")
    assert code == 0
    assert first["in_force"] in out
    assert json.loads((models / "champion.json").read_text())["bundle"] == first["in_force"]
    assert retrain("--as-of", "2026-07-01")["in_force"] == first["in_force"], "it does not creep back"

    code, out, _ = csql(capsys, "retrain", "-c", str(company), "--history", "--json")
    entries = json.loads(out)["entries"]
    assert [e["action"] for e in entries] == ["renew", "promote", "keep", "rollback"]
    assert entries[-1]["sentence"] == "too many odd ones"
    assert all(e["sentence"] for e in entries)

    code, _, err = csql(capsys, "retrain", "-c", str(company), "--rollback")
    assert code == 1
    assert "knows no champion before" in err

    code, out, err = csql(capsys, "retrain", "-c", str(company), "--history")
    assert "Champions so far" in out


@pytest.mark.parametrize(
    "arguments",
    [["--reason", "why"], ["--rollback", "--history"], ["--rollback", "--as-of", "2026-01-01"]],
)
def test_options_that_exclude_each_other(capsys: Capture, arguments: list[str]) -> None:
    code, _, err = csql(capsys, "retrain", "-c", "none.yaml", *arguments)
    assert code == UsageError.exit_code
    assert "--rollback" in err


@pytest.mark.parametrize("other", ["--rollback", "--history"])
def test_strict_says_how_to_train_and_nothing_else(capsys: Capture, other: str) -> None:
    code, _, err = csql(capsys, "retrain", "-c", "none.yaml", "--strict", other)
    assert code == UsageError.exit_code
    assert "--strict" in err


@pytest.mark.slow
def test_a_strict_retrain_leaves_suspects_out_and_changes_nothing_when_repeated(
    company: Path, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    suspect = Suspect("seat_saturation", "importance", 1.0, 0.5, "seat_saturation knows too much")
    monkeypatch.setattr(find, "_suspects", lambda sample: iter([suspect]))
    config = write_config(company.with_name("strict.yaml"), folder="data", models_folder=str(tmp_path))

    def retrain() -> dict[str, Any]:
        code, out, err = csql(capsys, "retrain", "-c", str(config), "--json", "--strict", "--as-of", "2026-01-01")
        assert (code, err) == (0, "")
        return json.loads(out)

    first, before = retrain(), digests(tmp_path)
    assert first["excluded"] == ["seat_saturation"]
    assert "seat_saturation" not in {f.metric for f in load(Path(first["bundle"])).features}
    assert retrain()["unchanged"]
    assert digests(tmp_path) == before
