"""The succession: whether a challenger replaces the model in force, or the rules come back.

A model once promoted is not dismissed because this quarter's challenger proved nothing. All three, the champion in
force, the challenger and the rules, are judged on the same accounts of the newest quarter with complete outcomes:

* A champion that is proven worse than the rules has failed. The challenger is **promoted** if it is proven better than
  the rules, as any first model must be; else the company **falls back** to the rules.
* Otherwise the challenger is **promoted** if it is proven better than the champion and not proven worse than the rules.
* In every other case the champion is **kept**.

*Proven* is what it is in `csql_ml.model.verdict`: the paired 90 % interval of the log loss decides, that of the
precision at capacity can veto.

The champion may have been trained after the first day of the judged quarter. Then it has learned from things that
happened within it: outcomes of earlier snapshots, whose horizons overlap, and perhaps the quarter's own. Accounts of
which it learned any such outcome are left out for everybody; challenger and rules are trained on what was known when
the champion was, so that nobody knows more than the others. Where too few accounts are left, nobody can be judged, and
the champion stays until a quarter that it has not seen is complete.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Literal

import pandas as pd

from csql_ml.config import Config
from csql_ml.errors import FeatureError
from csql_ml.model.champion import Champion
from csql_ml.model.figures import LOSSES, Estimate, Figures, measure
from csql_ml.model.succession_words import paragraph
from csql_ml.model.training_data import KEYS, TrainingData
from csql_ml.model.validation import FEWEST, Fitter, Validation, fit_on
from csql_ml.model.verdict import DECIDING, VETO

Outcome = Literal["promote", "keep", "fall_back"]
Reason = Literal[
    "better",
    "champion_failed",
    "rules_better",
    "same_model",
    "worse",
    "cannot_tell",
    "too_few_left",
    "cannot_score",
    "rolled_back",
]
CHAMPION, CHALLENGER, RULES = "champion", "challenger", "baseline"
#: The judged of a training by the names they have here.
_FITTED = {CHALLENGER: "model", RULES: "baseline"}


@dataclass(frozen=True)
class Trial:
    """What the champion, the challenger and the rules said about the same accounts.

    Parameters
    ----------
    quarter
        First day of the judged quarter: the newest with complete outcomes.
    known_on
        Challenger and rules were trained on what was known on this day.
    outcomes
        Complete outcomes of the quarter.
    judged, positives
        Those that are left to judge on, and how many of them expanded.
    figures
        Reference -> figures, with the paired differences to it; empty where too few are left.
    """

    quarter: date
    known_on: date
    outcomes: int
    judged: int
    positives: int
    figures: Mapping[str, Figures] = field(default_factory=dict, repr=False)

    def table(self) -> list[dict[str, Any]]:
        """One row per judged and figure: value, interval, paired differences to the rules and to the champion."""
        if not self.figures:
            return []
        rows = []
        for judged, figures in self.figures[RULES].of.items():
            for name, estimate in figures.items():
                row: dict[str, Any] = {"judged": judged, "figure": name, "less_is_better": name in LOSSES}
                row |= estimate.to_dict()
                for reference, measured in self.figures.items():
                    gain = measured.gain.get(judged, {}).get(name)
                    row[f"minus_{reference}"] = gain.to_dict() if gain else None
                rows.append(row)
        return rows

    def to_dict(self) -> dict[str, Any]:
        """Everything as JSON-able values."""
        plain = {k: v for k, v in vars(self).items() if k not in ("quarter", "known_on", "figures")}
        days = {"quarter": self.quarter.isoformat(), "known_on": self.known_on.isoformat()}
        return {**days, **plain, "figures": self.table()}


@dataclass(frozen=True)
class Succession:
    """Who follows the model in force, and why.

    Parameters
    ----------
    champion
        Version of the model that was in force.
    champion_day
        The day it was trained on.
    trial
        None where nothing was judged.
    """

    outcome: Outcome
    reason: Reason
    champion: str
    champion_day: date | None
    capacity: int
    trial: Trial | None = None

    def paragraph(self) -> str:
        """The decision in words a manager can read."""
        return paragraph(self)

    def to_dict(self) -> dict[str, Any]:
        """Everything as JSON-able values."""
        return {
            "outcome": self.outcome,
            "reason": self.reason,
            "paragraph": self.paragraph(),
            "champion": self.champion,
            "champion_trained_as_of": self.champion_day.isoformat() if self.champion_day else None,
            "trial": self.trial.to_dict() if self.trial else None,
        }


def succeed(
    data: TrainingData,
    config: Config,
    champion: Champion,
    challenger: Champion | None,
    fit: Mapping[str, Fitter],
    validation: Validation | None,
    *,
    proven: bool,
) -> Succession:
    """Judge the model in force against what was trained now.

    Parameters
    ----------
    champion
        The model in force.
    challenger
        What was trained now; None where there are too few outcomes to judge any model.
    validation
        Of the same training; its propensities are used where they are those that are needed.
    proven
        Whether the challenger is proven better than the rules by the training's verdict; decides where the champion
        cannot score the accounts of today.
    """

    def decided(outcome: Outcome, reason: Reason, trial: Trial | None = None) -> Succession:
        capacity = config.scoring.capacity_per_portfolio
        return Succession(outcome, reason, champion.model_version, champion.trained_as_of, capacity, trial)

    try:
        champion.propensity(data.frame.head(1))
    except FeatureError:
        return decided("promote" if proven else "fall_back", "cannot_score")
    if challenger is None:
        return decided("keep", "too_few_left")
    if challenger.model_version == champion.model_version:
        return decided("keep", "same_model")
    trial = hold_trial(data, config, champion, fit, validation)
    if trial is None or not trial.figures:
        return decided("keep", "too_few_left", trial)
    outcome, reason = _decision(trial.figures)
    return decided(outcome, reason, trial)


def rolled_back(champion: Champion, config: Config) -> Succession:
    """The champion stays, because what was trained now is a model that was rolled back."""
    capacity = config.scoring.capacity_per_portfolio
    return Succession("keep", "rolled_back", champion.model_version, champion.trained_as_of, capacity)


def hold_trial(
    data: TrainingData,
    config: Config,
    champion: Champion | None,
    fit: Mapping[str, Fitter],
    validation: Validation | None,
) -> Trial | None:
    """Judge champion, challenger and rules on the newest quarter with complete outcomes; None without any.

    Parameters
    ----------
    champion
        A model; where the rules are in force, None: they are the baseline.
    """
    known = data.labelled(data.now)
    if known.empty:
        return None
    quarter = max(known["period"])
    known_on = _champion_knew(champion, quarter, data.now)
    rows = known[known["period"] == quarter]
    left = rows[~rows["account_id"].isin(_learned_between(data, quarter, known_on))]
    counts = len(left), int(left["label"].sum())
    trial = Trial(quarter, known_on, len(rows), *counts)
    if min(counts[1], counts[0] - counts[1]) < FEWEST:
        return trial
    said = _fitted(data, left, quarter, known_on, fit, validation)
    if said is None:
        return trial
    if champion is not None:
        said[CHAMPION] = champion.propensity(left[data.columns])
    return Trial(quarter, known_on, len(rows), *counts, _figures(left, said, config))


def _champion_knew(champion: Champion | None, quarter: date, now: date) -> date:
    """The day up to which the champion knew what happened, but not before the quarter's first."""
    trained = champion.trained_as_of if champion is not None else None
    return min(max(quarter, trained or quarter), now)


def _learned_between(data: TrainingData, quarter: date, known_on: date) -> set[str]:
    """Accounts of which an outcome became complete after the quarter began and before the champion was trained."""
    if known_on <= quarter:
        return set()
    then = data.labelled(known_on)[KEYS]
    before = data.labelled(quarter)[KEYS].assign(before=True)
    learned = then.merge(before, on=KEYS, how="left")
    return set(learned.loc[learned["before"].isna(), "account_id"])


def _fitted(
    data: TrainingData,
    left: pd.DataFrame,
    quarter: date,
    known_on: date,
    fit: Mapping[str, Fitter],
    validation: Validation | None,
) -> dict[str, Any] | None:
    """What challenger and rules say, trained on what was known then; None where that is too little to train on."""
    if validation is not None and validation.in_time and known_on <= quarter:
        scored = validation.scored.drop_duplicates(KEYS)
        found = left[KEYS].merge(scored[[*KEYS, *(f"p_{n}" for n in _FITTED.values())]], on=KEYS, how="left")
        if found.notna().all(axis=None):
            return {name: found[f"p_{fitted}"].to_numpy(dtype=float) for name, fitted in _FITTED.items()}
    earlier = data.labelled(known_on)
    earlier = earlier[earlier["as_of"] < quarter]
    positives = int(earlier["label"].sum())
    if min(positives, len(earlier) - positives) < FEWEST:
        return None
    return {
        name: fit_on(earlier, data.columns, fit[fitted]).predict_proba(left[data.columns])[:, 1]
        for name, fitted in _FITTED.items()
    }


def _figures(left: pd.DataFrame, said: Mapping[str, Any], config: Config) -> dict[str, Figures]:
    keep = ["account_id", "as_of", "period", "portfolio", "label", "amount"]
    scored = left[keep].assign(repetition=0, **{f"p_{name}": p for name, p in said.items()})
    judged = tuple(n for n in (CHAMPION, CHALLENGER, RULES) if n in said)
    rows = Validation(scored, judged, (), (), in_time=True).scored_set()
    capacity, model = config.scoring.capacity_per_portfolio, config.model
    references = [r for r in (RULES, CHAMPION) if r in said]
    return {r: measure(rows, capacity, model.bootstrap, model.seed, reference=r) for r in references}


def _decision(figures: Mapping[str, Figures]) -> tuple[Outcome, Reason]:
    over_champion, over_rules = figures[CHAMPION].gain, figures[RULES].gain
    if _better(over_champion[RULES]):
        return ("promote", "champion_failed") if _better(over_rules[CHALLENGER]) else ("fall_back", "rules_better")
    if _better(over_champion[CHALLENGER]) and not _worse(over_rules[CHALLENGER]):
        return "promote", "better"
    return "keep", "worse" if _worse(over_champion[CHALLENGER]) else "cannot_tell"


def _better(gain: Mapping[str, Estimate]) -> bool:
    return gain[DECIDING].high < 0 and not gain[VETO].high < 0


def _worse(gain: Mapping[str, Estimate]) -> bool:
    return gain[DECIDING].low > 0 or gain[VETO].high < 0
