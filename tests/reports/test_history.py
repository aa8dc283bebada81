"""Earlier runs on account pages: where an account stood, and which runs are refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from csql_ml.config import Config
from csql_ml.errors import OutputError, UsageError
from csql_ml.reports import report
from csql_ml.reports.catalogue import load
from csql_ml.reports.history import newest
from csql_ml.reports.texts import Texts
from tests.reports.reading import Page, account_page
from tests.reports.sample_run import accounts, earlier_accounts, plain_account, write_run

EN = Texts(load("en"), "USD")
MONTHS = ("2026-04-01", "2026-05-01", "2026-06-01")


@pytest.fixture
def runs(tmp_path: Path) -> list[Path]:
    """The run and three earlier ones, the latest first."""
    made = accounts(12, seed=5)
    folders = [write_run(tmp_path / "run", made)]
    for number, day in enumerate(reversed(MONTHS)):
        old = earlier_accounts(made, seed=number)
        folders.append(write_run(tmp_path / day, old, as_of=day, model_version="m1" if number else "2026-07-01-a1b2"))
    return folders


def written(runs: list[Path], tmp_path: Path, **more: Any) -> Path:
    run, *earlier = runs
    return report(run, tmp_path / "site", language="en", config=Config(), earlier=earlier, **more).index.parent


def test_a_page_shows_every_run_the_account_was_in(runs: list[Path], tmp_path: Path) -> None:
    made = accounts(12, seed=5)
    folder = written(runs, tmp_path)
    past = [{one["account_id"]: one for one in earlier_accounts(made, seed)} for seed in range(3)]
    for one in made:
        shown = account_page(folder, one).section("Earlier runs").split("\n")
        stood = [then[one["account_id"]] for then in past if one["account_id"] in then]
        values = [EN.tenths(round(1000 * run["propensity"])) for run in (one, *stood)]
        assert [text for text in shown if text in values] == values
        assert sum(text.endswith("2026") and "points" not in text for text in shown) == len(values)


def test_the_change_is_the_difference_of_the_numbers_shown(tmp_path: Path) -> None:
    now, before = plain_account(), plain_account(propensity=0.3004)
    runs = [write_run(tmp_path / "run", [now]), write_run(tmp_path / "old", [before], as_of="2026-06-01")]
    step = round(1000 * now["propensity"]) - 300
    shown = account_page(written(runs, tmp_path), now).section("Earlier runs")
    assert f"{EN.signed_tenths(step)} points since Jun 1, 2026" in shown


def test_a_new_model_and_a_new_owner_are_named(tmp_path: Path) -> None:
    now = plain_account(csm_id="csm_01")
    old = [plain_account(csm_id=csm) for csm in ("csm_01", "csm_02")]
    runs = [
        write_run(tmp_path / "run", [now]),
        write_run(tmp_path / "a", [old[0]], as_of="2026-06-01", model_version="m1"),
        write_run(tmp_path / "b", [old[1]], as_of="2026-05-01", model_version="m1"),
    ]
    shown = account_page(written(runs, tmp_path), now).section("Earlier runs").split("\n")
    assert shown[shown.index("Jul 1, 2026") + 1] == "new model"
    assert shown[shown.index("Jun 1, 2026") + 1] == "new owner"
    assert "%" in shown[shown.index("May 1, 2026") + 1]


def test_assumed_propensities_are_not_compared_with_measured_ones(tmp_path: Path) -> None:
    now = plain_account()
    runs = [
        write_run(tmp_path / "run", [now]),
        write_run(tmp_path / "old", [now], as_of="2026-06-01", labels_seen=False),
    ]
    shown = account_page(written(runs, tmp_path), now).section("Earlier runs")
    assert "points since" not in shown
    assert "missing" in shown


def test_only_the_latest_runs_are_shown_and_the_others_counted(tmp_path: Path) -> None:
    now = plain_account()
    runs = [write_run(tmp_path / "run", [now])]
    runs += [write_run(tmp_path / f"m{m}", [now], as_of=f"2025-{m:02d}-01") for m in range(1, 8)]
    shown = account_page(written(runs, tmp_path), now).section("Earlier runs")
    assert "Apr 1, 2025" not in shown
    assert "May 1, 2025" in shown
    assert "4 older runs are left out." in shown


def test_a_new_account_says_so(tmp_path: Path) -> None:
    runs = [write_run(tmp_path / "run", [plain_account()]), write_run(tmp_path / "old", [], as_of="2026-06-01")]
    page = account_page(written(runs, tmp_path), plain_account())
    assert "in none of the earlier runs" in page.section("Earlier runs")


def test_without_earlier_runs_there_is_no_such_section(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [plain_account()])
    assert "Earlier runs" not in account_page(written([run], tmp_path), plain_account()).text


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"as_of": "2026-07-01"}, "not before 2026-07-01"),
        ({"as_of": "2026-08-01"}, "not before 2026-07-01"),
        ({"as_of": "2026-06-01", "company": "Another"}, "of another company"),
    ],
)
def test_a_run_that_is_not_an_earlier_one_is_refused(tmp_path: Path, entries: dict[str, str], message: str) -> None:
    runs = [write_run(tmp_path / "run", accounts(2)), write_run(tmp_path / "old", accounts(2), **entries)]
    with pytest.raises(UsageError, match=message):
        written(runs, tmp_path)
    with pytest.raises(UsageError, match=message):
        newest(runs[0], runs[1:])
    assert not (tmp_path / "site").exists()


def test_two_runs_of_one_day_are_refused(runs: list[Path], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="two runs as of 2026-06-01"):
        written([*runs, runs[1]], tmp_path)


def test_the_newest_is_found_in_any_order(runs: list[Path]) -> None:
    assert newest(runs[0], [runs[3], runs[1], runs[2]]) == runs[1]
    assert newest(runs[0], []) is None


def test_a_run_without_scores_is_refused(tmp_path: Path) -> None:
    runs = [write_run(tmp_path / "run", accounts(2)), write_run(tmp_path / "old", accounts(2), as_of="2026-06-01")]
    manifest = json.loads((runs[1] / "manifest.json").read_text())
    del manifest["sha256"]["scores.parquet"]
    (runs[1] / "manifest.json").write_text(json.dumps(manifest))
    (runs[1] / "scores.parquet").unlink()
    with pytest.raises(OutputError, match="scores of a run"):
        written(runs, tmp_path)


def test_advocates_are_listed_with_what_they_did_and_their_status(tmp_path: Path) -> None:
    made = accounts(60, seed=8)
    folder = written([write_run(tmp_path / "run", made)], tmp_path)
    page = Page.of(folder / "advocates.html")
    those = [one for one in made if any("advocacy_index" in gate["because"] for gate in one["gates"])]
    assert 0 < len(those) < 60
    listed = {text.split(" · ")[0] for text in page.texts if text.startswith("acct_")}
    assert listed == {one["account_id"] for one in those}
    assert f"Newest NPS answer 9 of 10; {len('acct_00000') % 3 + 1} of 3 signs of advocacy" in page.text
