"""The model report: its figures are those of card and JSON, every part is there or says why not, names are text."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from csql_ml.config import Config
from csql_ml.explain.contributions import points
from csql_ml.metrics import metrics_of
from csql_ml.model.card import model_card
from csql_ml.model.saving import save_champion
from csql_ml.model.training_data import STATES
from csql_ml.model_report import facts, model_report
from csql_ml.model_report.changes import changes, drift
from csql_ml.model_report.curves import gains
from csql_ml.reports.catalogue import PSEUDO_LANGUAGE
from csql_ml.reports.model_report import render
from csql_ml.reports.model_report_charts import ticks
from tests.model.training_world import CONFIG, world
from tests.reports.model_report_facts import LONG, SCRIPT, day_one, plain, promoted
from tests.reports.reading import Page
from tests.reports.test_site_words import unmarked

SECTIONS = ["capacity", "lift", "calibration", "curves", "learning", "maturity", "reasons", "dependence"]
SECTIONS += ["labels", "selection", "suspects", "drift", "changes", "features"]


def read(found: dict[str, Any], language: str = "en") -> Page:
    return Page(render(found, {}, language, "EUR"))


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    return promoted()[2]


def test_every_figure_is_the_one_of_the_card(found):
    """Digit by digit: what the card writes with four decimals stands on the page."""
    trained, data, _ = promoted()
    shown = read(found).text.replace("\N{MINUS SIGN}", "-")
    card = model_card(trained, CONFIG, data)
    figures = trained.verdict.figures
    for judged, of in figures.of.items():
        for name in ("roc_auc", "average_precision", "log_loss", "brier", "ece"):
            e = of[name]
            written = f"{e.value:.4f} ({e.low:.4f} to {e.high:.4f})"
            assert written in card, (judged, name)
            assert written in shown, (judged, name)
    for name in ("roc_auc", "log_loss", "brier"):
        e = figures.gain["model"][name]
        written = f"{e.value:+.4f} ({e.low:+.4f} to {e.high:+.4f})"
        assert written in card
        assert written in shown
    money = figures.of["model"]["arr_at_k"]
    assert f"€{money.value:,.0f} (€{money.low:,.0f} to €{money.high:,.0f})" in shown


def test_its_facts_are_those_of_the_json(found):
    trained = promoted()[0]
    assert {k: v for k, v in found["verdict"].items() if k != "min_positives"} == plain(trained.verdict.to_dict())
    assert found["maturity"] == plain(trained.maturity.to_dict())
    assert found["stability"] == plain(dict(trained.champion.refits.figures))
    assert found["selection"] == plain(trained.selection.to_dict())
    assert [{s: row[s] for s in STATES} for row in found["funnel"]] == trained.label_funnel[list(STATES)].to_dict(
        "records"
    )


def test_areas_per_snapshot_are_those_of_the_folds(found):
    trained = promoted()[0]
    for curve, fold in zip(found["curves"], trained.verdict.folds, strict=True):
        assert (curve["day"], curve["rows"]) == (fold.name, fold.test_rows)
        for name, of in curve["of"].items():
            assert of["roc_auc"] == pytest.approx(fold.roc_auc[name], abs=1e-12)
            across, up = np.array(of["roc"]).T
            assert np.trapezoid(up, across) == pytest.approx(of["roc_auc"], abs=0.02)
            assert of["roc"][-1] == [1.0, 1.0]
            assert of["pr"][-1][1] == pytest.approx(curve["positives"] / curve["rows"], abs=1e-4)


def test_gains_count_the_expansions_of_each_tenth():
    figures = promoted()[0].verdict.figures
    rows = figures.lift["model"]
    first = gains(figures)["model"][1]
    total = sum(r["positives"] for r in rows)
    assert first == pytest.approx([rows[0]["rows"] / sum(r["rows"] for r in rows), rows[0]["positives"] / total])
    assert gains(figures)["model"][-1] == [1.0, 1.0]


def test_intervals_of_rates_hold_the_rate():
    for rows in promoted()[0].verdict.figures.lift.values():
        assert all(r["rate_low"] <= r["rate"] <= r["rate_high"] for r in rows)
        assert any(r["rate_low"] < r["rate_high"] for r in rows)


def test_sizes_are_mean_absolute_points(found):
    """Against the points an account page would show of the same accounts."""
    trained, data, _ = promoted()
    champion = trained.champion
    size = {m["metric"]: m["size"] for m in found["reasons"]["metrics"]}
    newest = data.frame[data.frame["as_of"] == max(data.frame["as_of"])].reset_index(drop=True)
    mine = points(champion, newest)
    there = {tuple(row) for row in np.nan_to_num(champion.reference.rows)}
    same = [tuple(row) in there for row in np.nan_to_num(champion.estimator.encoder_.matrix(newest))]
    assert sum(same) == len(champion.reference.rows)
    of = dict(zip(mine.metrics, np.abs(mine.points[same]).mean(axis=0), strict=True))
    assert size == pytest.approx(of)
    assert sum(m["share"] for m in found["reasons"]["metrics"]) == pytest.approx(1.0)


def test_parts_of_a_dependence_hold_every_account(found):
    for one in found["reasons"]["dependence"]:
        missing = one["missing"]["accounts"] if one["missing"] else 0
        assert sum(p["accounts"] for p in one["parts"]) + missing == found["reasons"]["accounts"]
    strongest = found["reasons"]["dependence"][0]
    assert (strongest["metric"], strongest["direction"]) == (SCRIPT, 1)
    means = [p["mean"] for p in strongest["parts"]]
    assert means == sorted(means)


def test_more_outcomes_teach_the_model_and_not_the_rules(found):
    curve = found["learning"]["points"]
    assert [p["labels"] for p in curve] == sorted(p["labels"] for p in curve)
    first, last = (p["of"]["model"]["log_loss"]["value"] for p in (curve[0], curve[-1]))
    assert last < first
    assert last < curve[-1]["of"]["baseline"]["log_loss"]["value"]


def test_who_comes_and_who_goes_against_the_rules(found):
    change = found["changes"]
    assert change["against"] == "rules"
    assert change["changed"] == sum(change["causes"].values()) == change["causes"]["model"]
    assert all(c["to"] <= change["top"] < c["from"] for c in change["came"])
    assert all(c["from"] <= change["top"] < c["to"] for c in change["went"])
    assert {c["metric"] for c in change["came"]} == {SCRIPT}


def test_a_champion_is_compared_with_its_own_list_then():
    trained, data, _ = promoted()
    earlier = replace(trained.champion, trained_as_of=sorted(data.snapshots)[-2], threshold=0.123)
    change = changes(earlier, trained.champion, data)
    assert (change["against"], change["from"] < change["to"]) == ("champion", True)
    assert change["causes"]["model"] == 0
    assert change["causes"]["data"] > 0
    assert changes(trained.champion, trained.champion, data) == {"absent": "same_model"}


def test_drift_is_seen_where_there_is_some():
    trained, data, _ = promoted()
    same = drift(trained.champion, data)
    assert same["flagged"] == 0
    moved = replace(data, frame=data.frame.assign(intent=data.frame["intent"] + 3))
    told = drift(trained.champion, moved)
    assert [m["metric"] for m in told["metrics"] if m["flagged"]] == ["intent"]
    assert told["metrics"][0]["distance"] > 0.5
    assert drift(None, data) == {"absent": "no_champion"}


@pytest.mark.parametrize("language", ["en", "de", "fr", "es"])
def test_every_part_is_there(found, language):
    page = read(found, language)
    identifiers = [value for name, value in page.attributes if name == "id"]
    assert [i for i in identifiers if i in SECTIONS] == SECTIONS
    charts = page.html.count("<svg class=chart") + page.html.count('<svg class="chart"')
    assert charts == page.html.count("<desc>") - page.html.count('class="swarm"') >= 15
    assert page.html.count("<table>") >= charts
    assert not re.search(r"\{\w+\}|\bNone\b|\bnan\b", page.text)


def test_names_are_text(found):
    page = read(found)
    assert page.tags.count("script") == 0
    assert SCRIPT in page.text
    assert LONG in page.text
    assert "script-src 'none'" in page.policy
    assert not [link for link in page.links if link.startswith(("http", "//"))]


def test_no_word_and_no_number_bypasses_the_catalogues(found):
    about = found["about"]
    names = [
        SCRIPT,
        LONG,
        "saturation",
        "intent",
        "segment",
        "small",
        "large",
        "huge",
        "hidden",
        "noise",
        about["company"],
        "CSQL",
    ]
    names += [about["told"]["version"], about["fingerprint"]]
    for facts_ in (found, day_one()):
        page = read(facts_, PSEUDO_LANGUAGE)
        for text in (*page.texts, *page.spoken):
            rest = unmarked(text)
            for name in sorted([*names, facts_["about"]["told"]["version"], facts_["about"]["fingerprint"]], key=len)[
                ::-1
            ]:
                rest = rest.replace(name, "").replace(name[:43], "").replace(name[:27], "")
            rest = re.sub(r"\bA\d{4}\b", "", rest)
            assert not re.search(r"[A-Za-z]{2,}|\d", rest), text


def test_what_is_absent_says_why():
    page = read(day_one())
    assert "No outcome is complete yet, so the rules are used." in page.text
    assert "Nothing was judged" in page.text
    assert "There was no champion before" in page.text
    assert "There is no model whose list could be compared with that of the rules." in page.text
    assert "The probabilities of the rules are an assumption" in page.text
    assert "These are the exact parts of the weighted score." in page.text


def test_without_amounts_no_figure_counts_money(found):
    rows = [
        row | dict.fromkeys(KEYS) if row["figure"].startswith("arr") else row for row in found["verdict"]["figures"]
    ]
    page = read(found | {"verdict": found["verdict"] | {"figures": rows}})
    assert "No amount won is known of these outcomes" in page.text
    assert "€" not in page.text


KEYS = ("value", "low", "high", "error", "difference_value", "difference_low", "difference_high", "difference_error")


def test_a_succession_is_told_with_its_trial(found):
    rows = []
    for judged in ("champion", "challenger", "baseline"):
        for row in found["verdict"]["figures"]:
            if row["judged"] == "model":
                gain = {"value": -0.01, "low": -0.02, "high": 0.005, "error": 0.01}
                rows.append({**row, "judged": judged, "minus_baseline": gain, "minus_champion": gain})
    trial = {"quarter": "2023-07-01", "outcomes": 200, "judged": 150, "positives": 40, "figures": rows}
    succession = {"outcome": "keep", "reason": "cannot_tell", "champion": "abc", "trial": trial}
    page = read(found | {"succession": succession})
    assert "The champion stays" in page.text
    assert "differs from the champion's by −0.0100 (90% interval: −0.0200 to +0.0050)" in page.text
    assert "Of the 200 complete outcomes of the judged quarter, 150 are" in page.text


def test_the_same_training_gives_the_same_bytes(found):
    trained, data, _ = promoted()
    config = CONFIG.model_copy(update={"company": Config().company.model_copy(update={"language": "de"})})
    page = model_report(trained, data, config)
    assert b"Das Modell ersetzt die Regeln" in page
    assert page == render(found, metrics_of(config), "de", config.company.currency)


def test_a_single_snapshot_says_that_it_was_not_validated_in_time(monkeypatch):
    from csql_ml.model import validation
    from csql_ml.model.checked_training import checked_training

    monkeypatch.setattr(validation, "REPEATS", ((2000, 1),))
    data = world(accounts=90, snapshots=1, hidden=1.5)
    trained, data = checked_training(data, CONFIG)
    page = read(plain(facts(trained, data, CONFIG)))
    assert "It was not validated in time" in page.text
    assert "Accounts held out at random: there is no later snapshot to judge on." in page.text


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (-3.2, 4.1), (0.513, 0.527), (0, 12345.0), (-0.4, -0.1)])
def test_marks_are_round_and_inside(low, high):
    marks = ticks(low, high)
    assert 3 <= len(marks) <= 8
    assert all(low - 1e-9 <= m <= high + 1e-9 for m in marks)
    assert ticks(2.0, 2.0) == [2.0]


def test_it_is_saved_beside_the_card(tmp_path):
    trained, data, _ = promoted()
    update = {"home": tmp_path, "tracking": CONFIG.tracking.model_copy(update={"enabled": False})}
    config = CONFIG.model_copy(update=update)
    asked = []

    def page(*given):
        asked.append(given[3])
        return b"<!doctype html>"

    for _ in range(2):
        saved = save_champion(trained, data, config, data.now, None, page)
        assert saved.report == saved.card.with_suffix(".html")
        assert saved.report.read_bytes() == b"<!doctype html>"
    assert asked == [None, None], "done again, it tells of the same change, not of one from itself to itself"
    assert save_champion(trained, data, config, data.now).report is None


def test_of_a_wide_table_it_says_how_many_columns_the_model_reads(found):
    sentence = "columns of the table the model reads"
    assert sentence not in read(found).text
    wide = found | {"about": found["about"] | {"columns": 5_000}}
    used = len(found["about"]["features"])
    assert f"Of the 5,000 columns of the table the model reads {used}: those that say most" in read(wide).text
