"""Metrics defined in the configuration alone: what each measure is, worked out by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from csql_ml.config import Config
from csql_ml.metrics import metrics_of, registry
from csql_ml.metrics.definition import features_of
from csql_ml.metrics.dictionary import dictionary, main
from csql_ml.metrics.from_config import amount_of
from csql_ml.metrics.settings import score_terms
from csql_ml.metrics.soundness import problems_of
from csql_ml.reports.catalogue import load as language
from csql_ml.reports.evidence_text import Facts
from csql_ml.reports.texts import Texts
from tests.metrics.own_definitions import COUNT, SIGNALS, SUM, USERS, own
from tests.small_company import SETTINGS, rows, small_company
from tests.spec.test_metrics import AS_OF

#: Two windows of 30 days, and one event in each of the 30 days before them.
EVENTS = """
account_id | user_id | occurred_at      | event_name         | feature  | quantity
a1         | u1      | 2025-11-02       | export_csv         |          | 2.5
a1         | u1      | 2025-11-20       | export_pdf         |          | 10
a1         | u2      | 2025-11-30 23:59 | export_csv         |          |
a1         | u3      | 2025-12-01 00:00 | export_csv         |          | 100
a1         | u2      | 2025-11-10       | used               | importer |
a1         | u2      | 2025-11-11       | gated_click        | bots     |
a1         | u3      | 2025-11-12       | login              |          |
a1         |         | 2025-11-13       | export_csv         |          | 1
a1         | u1      | 2025-10-03       | export_csv         |          | 4
a1         | u1      | 2025-10-04       | gated_click        | bots     |
a1         | u4      | 2025-10-31 23:59 | login              |          |
a1         | u5      | 2025-09-20       | export_csv         |          | 8
a1         | u5      | 2025-05-20       | export_csv         |          | 8
"""
#: A definition, and what its columns must hold for account a1 (empty: missing).
CASES: tuple[tuple[dict[str, Any], str], ...] = (
    (
        {**COUNT, "window": [30, 90], "threshold": 4},
        """
        column      | value
        it          | 4
        it_previous | 1
        it_change   | 3
        it_90d      | 6
        it_reached  | 1
        """,
    ),
    (
        {**SUM, "window": [30, 60]},
        """
        column      | value
        it          | 14.5
        it_previous | 4
        it_change   | 10.5
        it_60d      | 18.5
        """,
    ),
    (
        {**USERS, "threshold": 3},
        """
        column      | value
        it          | 2
        it_previous | 1
        it_change   | 1
        it_reached  | 0
        """,
    ),
    (
        {"signal": "exports", "measure": "share"},
        """
        column      | value
        it          | 0.571429
        it_previous | 0.333333
        it_change   | 0.238095
        """,
    ),
    (
        {"signal": "exports", "measure": "share", "of": "gated_clicks"},
        """
        column      | value
        it          | 4
        it_previous | 1
        """,
    ),
    (
        {"signal": "exports", "measure": "share", "by": "users"},
        """
        column      | value
        it          | 0.666667
        it_previous | 0.5
        """,
    ),
    (
        {"signal": "exports", "measure": "share", "by": "sum"},
        """
        column      | value
        it          | 0.828571
        it_previous | 0.666667
        """,
    ),
    (
        {"signal": "exports", "measure": "share", "of": "upgrade_attempts"},
        """
        column      | value
        it          |
        it_previous |
        """,
    ),
    (
        {"signal": "exports", "measure": "change", "window": [30, 60]},
        """
        column | value
        it     | 3
        it_60d | 4
        """,
    ),
    (
        {"signal": "exports", "measure": "change", "by": "sum"},
        """
        column | value
        it     | 2.625
        """,
    ),
    (
        {"signal": "exports", "measure": "change", "by": "users", "window": 10},
        """
        column | value
        it     | 0
        """,
    ),
    (
        {**COUNT, "window": 150},
        """
        column      | value
        it          | 6
        it_previous | 1
        """,
    ),
    (
        {"signal": "imports", "measure": "count"},
        """
        column      | value
        it          | 1
        it_previous | 0
        """,
    ),
    (
        {"signal": "imports", "measure": "change"},
        """
        column | value
        it     |
        """,
    ),
    (
        {"signal": "gated_clicks", "measure": "users"},
        """
        column      | value
        it          | 1
        it_previous | 1
        """,
    ),
    (
        {"signal": "all", "measure": "count"},
        """
        column      | value
        it          | 7
        it_previous | 3
        """,
    ),
    (
        {"signal": "all", "measure": "sum"},
        """
        column      | value
        it          | 17.5
        it_previous | 6
        """,
    ),
    (
        {"signal": "all", "measure": "users"},
        """
        column      | value
        it          | 3
        it_previous | 2
        """,
    ),
)


@pytest.fixture(scope="module")
def computed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Every column of every definition of `CASES`, named ``it<number>``, of account a1."""
    metrics = {f"it{i}": own(**definition) for i, (definition, _) in enumerate(CASES)}
    metrics["short"] = own(**COUNT, window=[30, 400])
    signals = {**SIGNALS, "workflow_starts": []}
    metrics["unmapped"] = own(signal="workflow_starts", measure="users")
    folder = tmp_path_factory.mktemp("own")
    with small_company(folder, {"events": EVENTS}, signals=signals, own_metrics=metrics) as company:
        features = company.builder.build(AS_OF).features.set_index("account_id").loc["a1"]
        reasons = company.builder.plan(AS_OF).unavailable
    values = {name: None if v is None or v != v else v for name, v in features.items()}
    return {**values, "reasons": reasons}


def rounded(value: Any) -> float | None:
    return None if value is None else round(float(value), 6)


@pytest.mark.parametrize("number", range(len(CASES)), ids=lambda i: "-".join(str(v) for v in CASES[i][0].values()))
def test_a_measure_is_what_a_hand_works_out(computed: dict[str, Any], number: int) -> None:
    lines = [(line["column"].replace("it", f"it{number}", 1), line["value"]) for line in rows(CASES[number][1])]
    found = {column: rounded(computed[column]) for column, _ in lines}
    assert found == {column: float(text) if text else None for column, text in lines}


def test_a_window_that_begins_before_the_first_event_is_missing(computed: dict[str, Any]) -> None:
    assert (computed["short"], computed["short_400d"]) == (4, None)


def test_an_unmapped_built_in_signal_is_missing_and_said(computed: dict[str, Any]) -> None:
    assert computed["unmapped"] is None
    assert computed["reasons"]["unmapped"] == ("signals.workflow_starts is not mapped",)


# --- one definition, everything read off it ---------------------------------------------------------------------------

FULL = own(
    **COUNT,
    window=[30, 90],
    threshold=4,
    gate="timing",
    score={"part": "intent", "zero_at": 0, "full_at": 5},
    part="success",
    actionable=True,
    labels={"de": "Datenexporte"},
)


def configured(definition: dict[str, Any], **sections: Any) -> Config:
    return Config(**{**SETTINGS, "signals": SIGNALS, "own_metrics": {"exports": definition}, **sections})


def test_columns_directions_and_score_terms_come_from_the_definition() -> None:
    config = configured(FULL)
    metric = metrics_of(config)["exports"]
    features = {f.name: (f.metric, f.direction, f.skewed) for f in features_of(metric)}
    assert features == {
        "exports": ("exports", 1, True),
        "exports_90d": ("exports", 1, True),
        "exports_change": ("exports", 1, False),
        "exports_reached": ("exports", 1, False),
    }
    assert (metric.gate, metric.threshold, metric.actionable) == ("timing", 4.0, True)
    (term,) = score_terms([metric], config)
    assert (term.part, term.zero_at, term.full_at, term.weight) == ("intent", 0.0, 5.0, 1.0)


def test_settings_under_metrics_override_an_own_metric_too() -> None:
    config = configured(FULL, metrics={"exports": {"threshold": 9, "weight": 2, "full_at": 8}})
    (term,) = score_terms([metrics_of(config)["exports"]], config)
    assert (term.full_at, term.weight) == (8.0, 2.0)
    assert "| 9 | timing | intent 0 to 8, weight 2 |" in dictionary(config)


def test_own_metrics_stand_after_the_built_in_ones_in_the_order_given() -> None:
    definitions = {"zebra": own(**COUNT), "ant": own(**USERS)}
    config = Config(signals=SIGNALS, own_metrics=definitions)
    assert list(metrics_of(config)) == [*registry(), "zebra", "ant"]


def test_equal_configurations_share_their_metrics() -> None:
    one, other = configured(FULL), configured(FULL)
    assert metrics_of(one)["exports"] is metrics_of(other)["exports"]
    assert metrics_of(configured({**FULL, "threshold": 5}))["exports"].threshold == 5.0


def test_metrics_over_one_signal_share_its_measure() -> None:
    assert amount_of("exports", "count") is amount_of("exports", "count")
    definitions = {"one": own(**COUNT), "other": own(signal="exports", measure="share")}
    assert len(metrics_of(Config(signals=SIGNALS, own_metrics=definitions))) == len(registry()) + 2


def test_every_built_in_metric_fulfils_what_is_asked_of_own_ones() -> None:
    config = Config(**SETTINGS)
    problems = {name: problems_of(metric, config) for name, metric in registry().items()}
    # The threshold of a renewal is the end of the horizon, which depends on the date.
    assert problems.pop("days_to_renewal") == ["gate timing opens at a threshold; give one"]
    assert [name for name, found in problems.items() if found] == []


# --- words ------------------------------------------------------------------------------------------------------------


def said(definition: dict[str, Any], lang: str, **fact: Any) -> str:
    config = configured(definition)
    catalogue = language("en")
    texts = Texts(type(catalogue)(lang, catalogue.messages, catalogue.plural_index), "EUR")
    return Facts(texts, metrics_of(config)).sentence({"metric": "exports", **fact})


@pytest.mark.parametrize(
    ("definition", "lang", "expected"),
    [
        (FULL, "en", "Data exports in 30 days: 12; in the 30 days before: 4"),
        (FULL, "de", "Datenexporte in 30 Tagen: 12; in den 30 Tagen davor: 4"),
        (FULL, "fr", "Data exports en 30 jours : 12 ; au cours des 30 jours précédents : 4"),
        ({**FULL, "sentence": "exported {value} times"}, "en", "Exported 12 times"),
        ({**FULL, "sentence": "exported {value} times"}, "es", "Exported 12 times"),
        ({**FULL, "sentence": "{value} exports", "sentences": {"de": "{value} Exporte"}}, "de", "12 Exporte"),
        ({**FULL, "label": "exports {of} 100%"}, "en", "Exports {of} 100% in 30 days: 12; in the 30 days before: 4"),
    ],
)
def test_the_sentence_is_the_definitions_in_its_language_or_english(
    definition: dict[str, Any], lang: str, expected: str
) -> None:
    assert said(definition, lang, value=12, previous_value=4) == expected


def test_shares_and_changes_quote_what_they_are_made_of() -> None:
    share = own(signal="exports", measure="share", of="all")
    facts = {"part": 12, "whole": 40, "part_previous": 4, "whole_previous": 40}
    sentence = said(share, "en", value=0.3, previous_value=0.1, facts=facts)
    assert sentence == "Data exports: 12 of 40 (30%); 10% in the 30 days before"
    change = own(signal="exports", measure="change", window=7)
    sentence = said(change, "en", value=-0.5, facts={"amount": 4, "amount_previous": 8})
    assert sentence == "Data exports: \N{MINUS SIGN}50% against the 7 days before (4 against 8)"


def test_a_missing_value_is_named_with_the_label() -> None:
    assert said(FULL, "de", value=None) == "Datenexporte is missing"


# --- the data dictionary ----------------------------------------------------------------------------------------------


def test_the_dictionary_of_a_configuration_has_its_metrics(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "company.yaml"
    path.write_text(
        "signals: {own: {exports: {events: [export_csv]}}}\n"
        "own_metrics:\n"
        "  exports: {signal: exports, measure: count, window: [30, 90], label: data exports, direction: 1,\n"
        "    threshold: 4}\n"
        "metrics: {seat_saturation: {exclude: true}}\n",
        encoding="utf-8",
    )
    assert main(["-c", str(path)]) == 0
    printed = capsys.readouterr().out
    assert "## own\n\nMetrics of your own" in printed
    row = next(line for line in printed.splitlines() if line.startswith("| `exports`"))
    assert "data exports: Events of signal exports in the period." in row
    assert "`exports_90d`, `exports_previous`, `exports_change`, `exports_reached`" in row
    assert "## own" not in dictionary()
    path.write_text("own_metrics: {seats: 1}", encoding="utf-8")
    assert main(["-c", str(path)]) == 2
    assert "own_metrics.seats" in capsys.readouterr().err
