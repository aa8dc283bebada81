"""What holds for every metric definition, whoever adds one, and that their values depend on the data alone."""

from __future__ import annotations

import math
import random
import string
import sys
from collections import Counter
from typing import get_args

import pandas as pd
import pytest

from csql_ml import activity
from csql_ml.baseline.gates import at_threshold
from csql_ml.config import Catalogue, Config, Signals
from csql_ml.contract.report import Inputs
from csql_ml.contract.tables import TABLES
from csql_ml.metrics import families, model_features, registry
from csql_ml.metrics import measures as M
from csql_ml.metrics.compiler import measures_of, periods_of
from csql_ml.metrics.definition import (
    WINDOWS,
    Gate,
    Measure,
    Metric,
    Part,
    ScorePart,
    Unit,
    features_of,
    has_step,
    reached_column,
)
from csql_ml.metrics.settings import score_terms
from csql_ml.snapshots import SnapshotBuilder
from tests.properties.test_no_look_ahead import AS_OF, CONFIG, CUT_OFF, INSTANT, Rows, base, news, together
from tests.properties.typed_inputs import typed_inputs

METRICS = tuple(registry().values())
#: What CSMs write into the CRM about their own work: to learn from it would reward writing.
KEPT_BY_CSMS = {"buyers", "engaged_contacts"}

every_metric = pytest.mark.parametrize("metric", METRICS, ids=lambda m: m.name)


def measures(metric: Metric) -> set[Measure]:
    return {measure for measure, _ in measures_of(metric, CONFIG)}


def columns(metric: Metric) -> list[str]:
    return [*periods_of(metric), *([f"{metric.name}_change"] if metric.compare else [])]


def steps() -> list[str]:
    return [reached_column(m) for m in METRICS if has_step(m)]


# --- names ------------------------------------------------------------------------------------------------------------


def test_metrics_are_found_in_their_families_under_their_own_names() -> None:
    named = {
        family: [n for n, v in vars(sys.modules[f"csql_ml.metrics.{family}"]).items() if isinstance(v, Metric)]
        for family in families()
    }
    assert named == {family: [m.name for m in metrics] for family, metrics in families().items()}
    assert sorted(registry()) == sorted(name for names in named.values() for name in names)


def test_no_two_columns_of_a_snapshot_have_one_name() -> None:
    builder = SnapshotBuilder(inputs := typed_inputs(base()), activity.build(inputs, CONFIG), CONFIG)
    plan = builder.plan(AS_OF)
    counts = Counter([*plan.feature_columns, *plan.fact_columns, "account_id", "as_of", "portfolio", "label", "amount"])
    assert [name for name, count in counts.items() if count > 1] == []
    assert list(plan.feature_columns) == [c for m in METRICS for c in columns(m)] + steps()


def test_a_measure_has_one_definition() -> None:
    used = {m for metric in METRICS for m in measures(metric)} | {*M.HYPOTHESIS, *M.ELIGIBILITY}
    by_name = Counter(m.name for m in used)
    assert [name for name, count in by_name.items() if count > 1] == []


# --- definitions ------------------------------------------------------------------------------------------------------


@every_metric
def test_a_metric_uses_the_words_there_are(metric: Metric) -> None:
    assert metric.name.isidentifier()
    assert metric.name == metric.name.lower()
    assert metric.part in get_args(Part)
    assert metric.unit in get_args(Unit)
    assert metric.gate in (None, *get_args(Gate))
    assert metric.direction in (-1, 0, 1)
    assert metric.label
    assert metric.description.endswith(".")
    assert (
        metric.sentence[0].islower() or not metric.sentence[0].isalpha() or metric.sentence.startswith(("ROI", "ARR"))
    )


@every_metric
def test_windows_are_those_of_the_guide(metric: Metric) -> None:
    assert set(metric.windows) <= set(WINDOWS)
    assert len(set(metric.windows)) == len(metric.windows)
    assert metric.windows or not metric.compare, "without a period there is none before"


@every_metric
def test_a_sentence_quotes_only_what_the_metric_has(metric: Metric) -> None:
    known = {"value", *metric.facts}
    if metric.compare:
        known.add("previous")
    if metric.windows:
        known |= {f"{fact}_previous" for fact in metric.facts}
    parsed = list(string.Formatter().parse(metric.sentence))
    assert {name for _, name, _, _ in parsed if name is not None} <= known
    assert all(not spec and conversion is None for _, name, spec, conversion in parsed if name is not None)


@every_metric
def test_thresholds_and_gates_make_sense(metric: Metric) -> None:
    if metric.threshold is not None:
        assert math.isfinite(metric.threshold)
        assert metric.direction != 0, "a threshold is reached from one side"
    if metric.gate is not None:
        # The limit of a renewal is the end of the horizon, which depends on the date.
        assert metric.threshold is not None or metric.name == "days_to_renewal"
    if metric.unit == "flag" and metric.threshold is not None:
        assert metric.threshold == 1.0


@every_metric
def test_a_condition_is_a_metric_with_a_threshold_of_its_own(metric: Metric) -> None:
    if metric.also is None:
        return
    other = registry()[metric.also]
    assert metric.threshold is not None
    assert other.threshold is not None
    assert other.also is None, "one condition deep is deep enough"


@every_metric
def test_a_ramp_rises_the_way_the_metric_speaks(metric: Metric) -> None:
    if metric.ramp is None:
        return
    assert metric.ramp.part in get_args(ScorePart)
    assert metric.ramp.weight > 0
    assert (metric.ramp.full_at - metric.ramp.zero_at) * metric.direction > 0


@every_metric
def test_only_numbers_have_directions_periods_and_skew(metric: Metric) -> None:
    if metric.unit == "category":
        assert (metric.direction, metric.windows, metric.skewed, metric.threshold) == (0, (), False, None)


@every_metric
def test_risk_never_speaks_for_an_expansion(metric: Metric) -> None:
    if metric.part == "risk":
        assert metric.direction in (-1, 0)
        assert metric.ramp is None, "risk holds an account back, it does not lower its score"


@every_metric
def test_who_the_customer_is_and_was_claims_no_direction(metric: Metric) -> None:
    if metric.part in ("profile", "history"):
        assert metric.direction == 0
        assert not metric.shown


@every_metric
def test_what_csms_keep_themselves_is_neither_learned_from_nor_shown(metric: Metric) -> None:
    if KEPT_BY_CSMS & {m.name for m in measures(metric)}:
        assert not metric.in_model
        assert not metric.shown


@every_metric
def test_only_what_a_csm_can_change_is_actionable(metric: Metric) -> None:
    if metric.actionable:
        assert metric.in_model
        assert metric.shown
        assert metric.direction == 1


@every_metric
def test_measures_name_sources_columns_and_signals_that_exist(metric: Metric) -> None:
    for measure in measures(metric) | set(metric.facts.values()):
        assert measure.source == "activity" or measure.source in TABLES
        for need in measure.needs:
            kind, _, name = need.partition(":")
            known = {
                "column": TABLES[measure.source].column_names if kind == "column" else (),
                "signal": tuple(Signals.model_fields),
                "catalogue": tuple(Catalogue.model_fields),
                "users": ("",),
            }
            assert name in known[kind], need


def test_kept_by_csms_are_measures_that_exist() -> None:
    assert {m.name for metric in METRICS for m in measures(metric)} >= KEPT_BY_CSMS


# --- what is read off the definitions ---------------------------------------------------------------------------------


def test_model_features_are_the_columns_of_the_metrics_that_may_be_learned_from() -> None:
    features = model_features()
    assert len({f.name for f in features}) == len(features)
    computed = {c for m in METRICS if m.in_model for c in columns(m)}
    assert {f.name for f in features} <= computed | set(steps())
    assert {f.metric for f in features} == {m.name for m in METRICS if m.in_model}
    assert {f.direction for f in features if f.metric == "open_high_severity_tickets"} == {-1}
    assert [f.name for f in features if f.categorical] == ["plan", "segment", "industry"]
    assert features_of(registry()["buyer_identified"]) == ()
    assert model_features(frozenset({"seat_saturation"})) == tuple(f for f in features if f.metric != "seat_saturation")


def test_every_gate_and_every_part_of_the_score_has_a_metric() -> None:
    assert {m.gate for m in METRICS} == {None, *get_args(Gate)}
    assert {t.part for t in score_terms(METRICS, Config())} == set(get_args(ScorePart))


# --- values depend on the data alone ----------------------------------------------------------------------------------


def built(inputs: Inputs) -> pd.DataFrame:
    made = SnapshotBuilder(inputs, activity.build(inputs, CONFIG), CONFIG).build(AS_OF)
    return pd.concat([made.features, made.facts.drop(columns="account_id")], axis=1)


def rows_of_every_table() -> Rows:
    """The base company and everything that became known in the last instant before the as-of date."""
    return together(base(), news(CUT_OFF - INSTANT))


@pytest.fixture(scope="module")
def values() -> pd.DataFrame:
    """Features and facts of the company of `rows_of_every_table`."""
    return built(typed_inputs(rows_of_every_table()))


def test_the_order_of_input_rows_changes_nothing(values: pd.DataFrame) -> None:
    assert values["usage_growth"].notna().all()
    order = random.Random(1)
    shuffled = {name: order.sample(given, len(given)) for name, given in rows_of_every_table().items()}
    pd.testing.assert_frame_equal(built(typed_inputs(shuffled)), values, check_exact=True)


#: More rows than one thread of DuckDB takes at a time (122,880), in two orders; quantities have no exact binary form.
MANY_EVENTS = """
SELECT 'a' || (1 + i % 2) AS account_id, 'u' || (i * 7919 % 97) AS user_id,
       TIMESTAMP '2025-05-01' + to_minutes((i * 104729 % 300000)::BIGINT) AS occurred_at,
       ['used', 'used', 'gated_click', 'upgrade_attempt', 'workflow_started'][1 + i % 5] AS event_name,
       i::VARCHAR AS event_id, ['boards', 'reports', 'api', 'bots'][1 + i % 4] AS feature,
       (0.1 + i % 7)::DECIMAL(18, 6) AS quantity, NULL::TIMESTAMP AS recorded_at
FROM range(300000) AS t(i) ORDER BY {order}
"""


def test_the_number_of_threads_changes_nothing() -> None:
    def with_threads(threads: int, order: str) -> pd.DataFrame:
        inputs = typed_inputs(rows_of_every_table())
        inputs.con.raw_sql(f"SET threads = {threads}")
        inputs.con.raw_sql(f"CREATE TABLE many_events AS {MANY_EVENTS.format(order=order)}")
        inputs.tables["events"] = inputs.con.table("many_events")
        return built(inputs)

    expected = with_threads(1, "i")
    assert (expected["usage_growth"].notna() & (expected["seat_saturation"] > 0)).all()
    pd.testing.assert_frame_equal(with_threads(4, "hash(i)"), expected, check_exact=True)


def test_the_steps_of_the_model_are_the_thresholds_of_the_gates(values: pd.DataFrame) -> None:
    for metric in (m for m in METRICS if has_step(m)):
        step = values[reached_column(metric)]
        expected = at_threshold(metric, registry(), values, CONFIG, AS_OF)
        assert step.notna().any(), metric.name
        assert step.eq(1.0).equals(expected), metric.name
