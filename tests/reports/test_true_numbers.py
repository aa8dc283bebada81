"""Every number of an account page is the run's own, over random models and accounts; what is shown adds up."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from csql_ml.baseline.weighted_score import WeightedScore
from csql_ml.batch_run import dossier_of, write_run
from csql_ml.config import Config
from csql_ml.explain.evidence import source_of
from csql_ml.metrics import registry
from csql_ml.metrics.definition import Feature, Metric, ScoreTerm
from csql_ml.model.bundle import Champion, reference_set
from csql_ml.model.estimator import PropensityClassifier
from csql_ml.reports import report
from csql_ml.reports.catalogue import load
from csql_ml.reports.evidence_text import Facts
from csql_ml.reports.texts import Texts
from csql_ml.scoring import score_snapshot
from csql_ml.snapshots import Snapshot
from tests.reports.reading import Page, account_page
from tests.snapshot_tables import AS_OF, METRICS, snapshot

EN = Texts(load("en"), "USD")
WORDS = Facts(EN, registry())
#: Metrics of every unit, some held back from reports, with the range values are drawn from.
RANGES = {
    "seat_saturation": (0.0, 1.2),
    "usage_growth": (-0.9, 2.0),
    "upgrade_attempts": (0, 6),
    "days_to_renewal": (1, 400),
    "usage_growth_streak": (0, 5),
    "engagement_score": (0.0, 100.0),
    "tickets": (0, 30),
    "roi_milestones": (0, 3),
    "next_product_clear": (0, 1),
}
#: Earlier values, which pages show and models do not see.
EARLIER = {"seat_saturation_previous": (0.0, 1.2), "upgrade_attempts_previous": (0, 6), "tickets_previous": (0, 30)}
PARTS = ("engagement", "fit", "intent")
CONFIG = Config(company={"currency": "USD"})


@pytest.fixture(autouse=True, scope="module")
def _sample_metrics() -> Any:
    """These pages are about the real metrics, not about those of the sample."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("csql_ml.reports.evidence_text.registry", registry)
        yield


def accounts(seed: int, count: int, prefix: str = "a") -> Snapshot:
    """A snapshot of accounts with random values, one value in six missing."""
    rng = np.random.default_rng(seed)
    ranges = RANGES | EARLIER
    lines = ["account_id | " + " | ".join(ranges)]
    for number in range(count):
        cells = []
        for low, high in ranges.values():
            drawn = rng.integers(low, high + 1) if isinstance(low, int) else round(rng.uniform(low, high), 4)
            cells.append("" if rng.random() < 1 / 6 else str(drawn))
        lines.append(f"{prefix}{number:03d} | " + " | ".join(cells))
    return snapshot("\n".join(lines))


def features_of(metrics: Sequence[Metric]) -> tuple[Feature, ...]:
    return tuple(Feature(m.name, m.name, m.direction) for m in metrics)


@st.composite
def weighted_scores(draw: st.DrawFn) -> Champion:
    """The rules with random terms, ramps and weights, compared with random accounts."""
    names = draw(st.lists(st.sampled_from(sorted(RANGES)), min_size=1, max_size=9, unique=True))
    terms = []
    for number, name in enumerate(names):
        low, high = RANGES[name]
        start = draw(st.floats(low, (low + high) / 2))
        end = draw(st.floats(start + (high - low) / 10, high))
        terms.append(ScoreTerm(name, PARTS[number % 3], start, end, draw(st.floats(0.1, 3))))
    weights = {part: draw(st.floats(0.1, 1)) for part in PARTS}
    estimator = WeightedScore.from_prior(tuple(terms), weights)
    return champion_of(estimator, features_of([registry()[n] for n in names]), tuple(terms), weights, draw)


def champion_of(
    estimator: Any, features: tuple[Feature, ...], terms: tuple[ScoreTerm, ...], weights: dict[str, float], draw: Any
) -> Champion:
    reference = reference_set(estimator, features, accounts(draw(st.integers(0, 99)), 12, "r").features)
    kind = "stack" if isinstance(estimator, PropensityClassifier) else "rules"
    shares = {"upsell": 0.2, "cross_sell": 0.25, "referral": 0.1}
    return Champion(kind, features, terms, weights, 0.2, shares, date(2025, 1, 1), {}, estimator, reference)


@pytest.fixture(scope="module")
def fitted() -> list[PropensityClassifier]:
    """Two stacks with trees and interactions, fitted to random outcomes."""
    metrics = [registry()[name] for name in RANGES]
    terms = (
        ScoreTerm("seat_saturation", "engagement", 0.0, 1.0, 1.0),
        ScoreTerm("upgrade_attempts", "intent", 0.0, 4.0, 1.0),
    )
    weights = {"engagement": 0.5, "fit": 0.0, "intent": 0.5}
    found = []
    for seed in (1, 2):
        frame = accounts(seed, 240).features
        margin = frame["seat_saturation"].fillna(0.5) * 3 + frame["upgrade_attempts"].fillna(1) * 0.5 - 3
        won = np.random.default_rng(seed).random(len(frame)) < 1 / (1 + np.exp(-margin.astype(float)))
        model = PropensityClassifier(features_of(metrics), terms, weights, bags=2).fit(frame, won)
        model.stack_ = replace(model.stack_, weights=(0.3, 0.2, 0.3, 0.3))
        found.append(model)
    return found


def site_of(champion: Champion, company: Snapshot, folder: Path) -> tuple[Path, pd.DataFrame, pd.DataFrame]:
    """Score, explain, write the run and its site; the site's folder, the explanations and the scores."""
    run = folder / "run"
    run.mkdir(parents=True)
    scored = score_snapshot(company, METRICS, champion, CONFIG, "run")
    sources = {m.name: source_of(m, CONFIG) for m in METRICS}
    records = list(dossier_of(company, scored, METRICS, sources, champion, (), CONFIG).records())
    about = {"run_id": "r", "as_of": AS_OF.isoformat(), "champion_kind": champion.kind, "labels_seen": True}
    write_run(run, scored, records, [], about)
    site = report(run, folder / "site", language="en", config=CONFIG).index.parent
    return site, pd.read_parquet(run / "explanations.parquet"), pd.read_parquet(run / "scores.parquet")


def check(champion: Champion, company: Snapshot, folder: Path) -> int:
    """Compare every account's page with the run; how many reasons were compared."""
    site, explanations, scores = site_of(champion, company, folder)
    reasons = 0
    for _, score in scores.iterrows():
        page = account_page(site, score)
        own = explanations[explanations["account_id"] == score["account_id"]].set_index("metric")
        assert EN.tenths(round(1000 * score["propensity"])) in page.section("Propensity to expand")
        if not pd.isna(score["baseline_score"]):
            assert EN.number(score["baseline_score"]) in page.section("Propensity to expand")
        reasons += check_sum(page, own, score["propensity"])
        check_evidence(page, own)
    return reasons


def check_sum(page: Page, own: pd.DataFrame, propensity: float) -> int:
    """The table from the typical account to this one: each part is the run's, and the parts add up as shown."""
    table = re.search(r"<table class=sum>.*?</table>", page.html, re.DOTALL)
    assert table
    shown = re.findall(r"<th scope=row>([^<]+)<td>([^<]+)", table[0])
    (_, first), *parts, (_, total) = [(label, tenths_of(text)) for label, text in shown]
    assert first + sum(points for _, points in parts) == total == round(1000 * propensity)
    assert abs(first - 1000 * own.at["reference", "points"]) < 1
    names = {WORDS.label(name): name for name in own.index}
    *reasons, (_, rest) = parts
    told = [names[label] for label, _ in reasons]
    for name, (_, points) in zip(told, reasons, strict=True):
        assert abs(points - 1000 * own.at[name, "points"]) < 1
        assert WORDS.shown(name)
    others = own.drop(index=["reference", *told])["points"].sum()
    assert abs(rest - 1000 * others) < 1
    return len(told)


def tenths_of(text: str) -> int:
    return round(10 * float(re.sub(r"[%+±]", "", text).replace("\N{MINUS SIGN}", "-")))


def check_evidence(page: Page, own: pd.DataFrame) -> None:
    """Value and earlier value beside each reason are those of the explanations."""
    names = {WORDS.label(name): name for name in own.index}
    for item in re.findall(r"<dl>(.*?)</dl>", page.html, re.DOTALL):
        told = dict(re.findall(r"<dt>([^<]+?) ?<dd>([^<]+?) *(?=<dt>|$)", item))
        name = names[told["Metric"]]
        value, previous = own.at[name, "value"], own.at[name, "previous_value"]
        unit = registry()[name].unit
        assert told["Now"] == EN.quantity(None if pd.isna(value) else value, unit)
        assert ("Before" in told) == (not pd.isna(previous))
        assert pd.isna(previous) or told["Before"] == EN.quantity(previous, unit)


@settings(max_examples=6, suppress_health_check=[HealthCheck.too_slow])
@given(champion=weighted_scores(), seed=st.integers(0, 10_000))
def test_every_number_of_a_page_of_the_rules_is_the_runs(
    champion: Champion, seed: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    check(champion, accounts(seed, 5), tmp_path_factory.mktemp("rules"))


@settings(max_examples=4, suppress_health_check=[HealthCheck.too_slow])
@given(which=st.integers(0, 1), seed=st.integers(0, 10_000), data=st.data())
def test_every_number_of_a_page_of_a_model_is_the_runs(
    fitted: list[PropensityClassifier],
    which: int,
    seed: int,
    data: st.DataObject,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    model = fitted[which]
    champion = champion_of(model, model.features, model.terms, dict(model.weights), data.draw)
    assert check(champion, accounts(seed, 6), tmp_path_factory.mktemp("model")) > 0
