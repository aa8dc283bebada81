"""The verdict: every reason, on propensities made for it, and what it says in words and numbers."""

from __future__ import annotations

import json
from datetime import date

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, logit

from csql_ml.config import Config
from csql_ml.model.figures import FIGURES
from csql_ml.model.validation import Fold, Validation
from csql_ml.model.verdict import Evidence, decide, without_judging

CONFIG = Config.model_validate(
    {"model": {"bootstrap": 100, "min_positives": 20}, "scoring": {"capacity_per_portfolio": 5}}
)
DAYS = (date(2024, 1, 1), date(2024, 4, 1))


def validation(
    accounts=400, *, model=1.0, baseline=1.0, signal=1.0, model_noise=0.0, seed=3, in_time=True
) -> Validation:
    """``model`` and ``baseline`` say how much of the true log-odds each of them sees (1 = all, 0 = none)."""
    rng = np.random.default_rng(seed)
    rows = accounts * len(DAYS)
    z = signal * rng.normal(size=rows)
    label = (rng.random(rows) < expit(z - 1)).astype(float)
    rate = logit(label.mean())
    frame = pd.DataFrame(
        {
            "account_id": [f"A{i:04d}" for i in range(accounts)] * len(DAYS),
            "as_of": [d for d in DAYS for _ in range(accounts)],
            "period": [d for d in DAYS for _ in range(accounts)],
            "portfolio": [f"csm{i % 8}" for i in range(accounts)] * len(DAYS),
            "label": label,
            "amount": np.where(label == 1, rng.lognormal(8, 1, rows), np.nan),
            "repetition": 0,
            "seen": True,
            "p_model": expit(model * (z - 1) + (1 - model) * rate + model_noise * rng.normal(size=rows)),
            "p_baseline": expit(baseline * (z - 1) + (1 - baseline) * rate),
        }
    )
    fold = Fold("2024-01-01", 300, 90, rows, int(label.sum()), {"model": 0.5}, {"model": float("nan")})
    return Validation(frame, ("model", "baseline"), (fold,), (), in_time)


def verdict(config=CONFIG, **how):
    return decide(validation(**how), config, Evidence(outcomes=1100, positives=350, accounts=400))


def test_a_model_that_sees_more_is_promoted():
    found = verdict(model=1.0, baseline=0.5, signal=1.5)
    assert (found.outcome, found.reason, found.promoted) == ("promote", None, True)
    assert found.figures.gain["model"]["log_loss"].high < 0
    assert found.paragraph().startswith(
        "The model replaces the rules. On 800 held-out outcomes of 400 accounts (272 positive, snapshots from "
        "2024-01-01 to 2024-04-01), its log loss differs from that of the rules by -0.0"
    )
    assert "Of the 5 accounts per portfolio that a CSM would work, " in found.paragraph()
    assert "not validated in time" not in found.paragraph()


def test_a_model_with_added_noise_is_worse_than_the_rules():
    found = verdict(model_noise=1.5, signal=1.5)
    assert (found.outcome, found.reason) == ("keep", "worse_than_rules")
    assert "above zero is worse, and the whole interval is" in found.paragraph()


def test_the_top_of_the_list_has_a_veto():
    """Better log loss over all rows, but middling accounts stand at the very top."""
    made = validation(model=1.0, baseline=0.2, signal=1.5, accounts=1500)
    said = made.scored["p_model"]
    middling = said[said.between(0.45, 0.5)].index
    made.scored.loc[middling, "p_model"] = said.max() + 0.001
    made.scored["p_model"] = made.scored["p_model"].clip(upper=0.85) + made.scored.index.isin(middling) * 0.01
    found = decide(made, CONFIG, Evidence(3000, 900, 1500))
    assert found.figures.gain["model"]["log_loss"].high < 0
    assert found.figures.gain["model"]["precision_at_k"].high < 0
    assert found.reason == "worse_than_rules"
    assert "at the top of the list" in found.paragraph()


def test_noise_on_both_sides_is_no_usable_signal():
    found = verdict(model=0.0, baseline=0.0, model_noise=0.05)
    assert (found.outcome, found.reason) == ("keep", "no_usable_signal")
    assert "neither the model nor the rules" in found.paragraph()
    assert found.more_outcomes is None


def test_equal_models_cannot_be_told_apart():
    found = verdict(model=1.0, baseline=0.97, model_noise=0.2, signal=1.0)
    assert (found.outcome, found.reason) == ("keep", "cannot_tell")
    assert "cannot be told yet" in found.paragraph()


def test_the_outcomes_asked_for_do_settle_it():
    """A small true gain: too few outcomes say how many more are needed, and so many more prove it in most worlds."""
    small = [verdict(accounts=60, model=1.0, baseline=0.5, signal=1.2, seed=s) for s in range(12)]
    asked = [v.more_outcomes for v in small if v.reason == "cannot_tell" and v.more_outcomes]
    assert len(asked) >= 4
    enough = (120 + int(np.median(asked))) // 2
    proven = [verdict(accounts=enough, model=1.0, baseline=0.5, signal=1.2, seed=50 + s).promoted for s in range(12)]
    assert sum(proven) >= 8


def test_a_gain_too_small_to_matter_asks_for_no_more_outcomes():
    found = verdict(accounts=6000, model=1.0, baseline=1.0, model_noise=0.004)
    assert found.reason == "cannot_tell"
    assert found.more_outcomes is None
    assert "will hardly change this" in found.paragraph()


def test_not_in_time_is_a_caveat_and_no_reason():
    found = verdict(model=1.0, baseline=0.5, signal=1.5, in_time=False)
    assert found.promoted
    assert "It was not validated in time" in found.paragraph()
    assert found.to_dict()["validated_in_time"] is False


@pytest.mark.parametrize(("kept", "reason"), [(1, "too_few_positives"), (0, "too_few_negatives")])
def test_a_test_set_with_hardly_any_of_one_class_is_not_judged(kept, reason):
    made = validation()
    rows = made.scored
    few = rows[rows["label"] == kept].head(4).index.union(rows[rows["label"] != kept].index)
    small = Validation(rows.loc[few], made.judged, made.folds, (), True)
    found = decide(small, CONFIG, Evidence(1100, 350, 400))
    assert (found.outcome, found.reason, found.figures) == ("keep", reason, None)
    assert f"Only {len(few)} of them ({int(rows.loc[few, 'label'].sum())} positive)" in found.paragraph()


def test_no_labels_says_which_day_to_wait_for():
    found = without_judging("no_labels", CONFIG, wait_until=date(2026, 10, 1))
    assert found.paragraph() == (
        "The rules are used, because no outcome is complete yet. Outcomes are complete from 2026-10-01 on: train "
        "again then."
    )
    assert found.to_dict()["wait_until"] == "2026-10-01"
    assert found.table() == []


def test_too_few_positives_says_how_many_there_are():
    said = without_judging("too_few_positives", CONFIG, Evidence(61, 12, 58)).paragraph()
    assert "61 outcomes of 58 accounts are complete, 12 of them positive" in said
    assert "from 20 positive" in said


def test_the_table_has_every_figure_and_the_paired_difference():
    table = verdict(model=1.0, baseline=0.5).table()
    assert [(r["judged"], r["figure"]) for r in table] == [(m, f) for m in ("model", "baseline") for f in FIGURES]
    by_name = {(r["judged"], r["figure"]): r for r in table}
    model, rules = by_name["model", "log_loss"], by_name["baseline", "log_loss"]
    assert model["difference_value"] == pytest.approx(model["value"] - rules["value"])
    assert rules["difference_value"] is None
    assert model["less_is_better"]
    assert not by_name["model", "roc_auc"]["less_is_better"]


def test_everything_fits_strict_json():
    for found in (verdict(), without_judging("no_labels", CONFIG)):
        text = json.dumps(found.to_dict(), allow_nan=False)
        assert json.loads(text)["outcome"] == "keep"


def test_repetitions_do_not_count_as_outcomes():
    made = validation(in_time=False)
    twice = pd.concat([made.scored, made.scored.assign(repetition=1)], ignore_index=True)
    found = decide(Validation(twice, made.judged, made.folds, (), False), CONFIG, Evidence(800, 260, 400))
    once = decide(made, CONFIG, Evidence(800, 260, 400))
    assert found.evidence == once.evidence
    assert found.figures.of["model"]["log_loss"].error == pytest.approx(once.figures.of["model"]["log_loss"].error)
    assert found.figures.of["model"]["precision_at_k"].value == once.figures.of["model"]["precision_at_k"].value
