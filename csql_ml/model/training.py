"""From labelled snapshots to a verdict and a champion.

The steps: labels complete now -> validation on later snapshots -> verdict -> final fit on all complete labels ->
champion and challenger. Where the rules are in force, the champion is the stack if it was promoted, else the weighted
score. Where a model is in force already, it stays unless the succession says otherwise (`csql_ml.model.succession`).

All rows weigh the same, though overlapping snapshots of one account resemble each other. Measured on fresh accounts
after training on 60, 150 and 400 accounts with 1 to 8 overlapping snapshots each (10 seeds, log loss times 10,000
against equal weights, in brackets the standard error): weights of 1 / sqrt(rows of the account) gave +3 (15), +2 (6),
-5 (4); weights of 1 / rows +51 (31), +24 (12), -1 (8). Nothing is gained, and few labels are hurt. What must not count
several times is the account as *evidence*: folds keep accounts together, intervals resample accounts.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from csql_ml.baseline.score_logit import learn_terms
from csql_ml.baseline.weighted_score import WeightedScore
from csql_ml.config import Config
from csql_ml.errors import TrainingError
from csql_ml.feature_matrix import FeatureEncoder
from csql_ml.metrics.definition import ScoreTerm
from csql_ml.model.assembly import Assembly
from csql_ml.model.bundle import Champion
from csql_ml.model.calibration import Calibration, calibration_in_time
from csql_ml.model.estimator import PropensityClassifier
from csql_ml.model.guards.suspicion import Suspect
from csql_ml.model.maturity import Maturity
from csql_ml.model.plain_logistic import logistic_comparison
from csql_ml.model.screening import screen_of
from csql_ml.model.selection import Selection
from csql_ml.model.succession import Succession, rolled_back, succeed
from csql_ml.model.training_data import STATES, TrainingData
from csql_ml.model.tree_shape import TreeShape
from csql_ml.model.validation import FEWEST, Fitter, Progress, Validation, fit_on, validate
from csql_ml.model.verdict import Evidence, Reason, Verdict, decide, without_judging

if TYPE_CHECKING:
    from csql_ml.model.tuning import Tuning

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Trained:
    """The result of a training.

    Parameters
    ----------
    champion
        What `csql score` uses from now on.
    challenger
        The stack, where it was trained and not promoted.
    verdict
        The stack against the rules.
    label_funnel
        One row per snapshot: accounts, positive, negative, open, unobserved, positive_rate (of those with an outcome).
    succession
        The stack and the rules against the model that was in force; None where the rules were.
    validation
        The judged rows; None where nothing was judged.
    suspects, excluded
        Columns that may know the outcome (`csql_ml.model.guards`), and those of them that were left out (--strict).
    tuning
        What a search for tree settings found; None where none was asked for.
    selection
        Who was worked, accepted and won, and what a correction for it changes.
    calibration
        What later snapshots say of the stack's calibration, and whether a calibrator stands on top of it; None where
        they cannot say.
    """

    champion: Champion
    challenger: Champion | None
    verdict: Verdict
    label_funnel: pd.DataFrame = field(repr=False)
    succession: Succession | None = None
    validation: Validation | None = field(default=None, repr=False)
    suspects: tuple[Suspect, ...] = ()
    excluded: tuple[str, ...] = ()
    tuning: Tuning | None = None
    selection: Selection | None = None
    calibration: Calibration | None = None

    @property
    def promoted(self) -> bool:
        """Whether a model trained now is the champion."""
        return self.succession.outcome == "promote" if self.succession else self.verdict.promoted

    @property
    def kept(self) -> bool:
        """Whether the champion is the model that was in force before."""
        return self.succession is not None and self.succession.outcome == "keep"

    @property
    def maturity(self) -> Maturity | None:
        """How far the stack trained now, champion or challenger, has moved from the rules; None without one."""
        for made in (self.champion, self.challenger):
            if made is not None and isinstance(made.estimator, PropensityClassifier):
                return made.estimator.maturity_
        return None

    def paragraph(self) -> str:
        """Why it is the champion, in words a manager can read."""
        return self.succession.paragraph() if self.succession else self.verdict.paragraph()


def train(
    data: TrainingData,
    config: Config,
    on_progress: Progress | None = None,
    previous: Champion | None = None,
    refused: Collection[str] = (),
    tuning: Tuning | None = None,
) -> Trained:
    """Train, judge and choose the champion.

    Parameters
    ----------
    on_progress
        ``on_progress(step, done, of)``, called before each step.
    previous
        The champion in force, if any.
    refused
        Versions that were taken out of force by a rollback: they do not come back by themselves.
    tuning
        What a search for tree settings found (`csql_ml.model.tuning.tune`); used where it pays.

    Raises
    ------
    TrainingError
        The table is empty, or there are neither outcomes nor terms of a weighted score.
    """
    if data.frame.empty:
        raise TrainingError("the training table has no rows; expected one per account and snapshot: check the inputs")
    known, funnel = data.labelled(data.now), label_funnel(data)
    fit = fitters(data, config, tuning.shape if tuning is not None else None)
    verdict, validation = _judge(data, known, config, fit, on_progress)
    assembly = Assembly(data, config, verdict, _rules(data, known, config, fit["baseline"]))
    calibration = None if validation is None else calibration_in_time(validation)
    facts: dict[str, Any] = {"calibration": calibration}
    stack = None
    if verdict.figures is not None:
        if on_progress is not None:
            on_progress("final model", 0, 1)
        stack = assembly.of_stack(_calibrated(fit_on(known, data.columns, fit["model"]), calibration))
    if previous is not None and stack is not None and stack.model_version in refused:
        return Trained(previous, stack, verdict, funnel, rolled_back(previous, config), validation, **facts)
    if previous is None or previous.kind == "rules":
        if stack is not None and verdict.promoted:
            return Trained(stack, None, verdict, funnel, None, validation, **facts)
        return Trained(assembly.of_rules(), stack, verdict, funnel, None, validation, **facts)
    if on_progress is not None:
        on_progress("judging the champion in force", 0, 1)
    found = succeed(data, config, previous, stack, fit, validation, proven=verdict.promoted)
    heir = {"keep": previous, "promote": stack, "fall_back": None}[found.outcome] or assembly.of_rules()
    other = None if stack is None or heir.model_version == stack.model_version else stack
    return Trained(heir, other, verdict, funnel, found, validation, **facts)


def _calibrated(stack: PropensityClassifier, found: Calibration | None) -> PropensityClassifier:
    return stack if found is None or not found.applied else stack.recalibrated(found.slope, found.intercept)


def fitters(data: TrainingData, config: Config, shape: TreeShape | None = None) -> dict[str, Fitter]:
    """How each judged model is trained: the stack, a plain logistic regression, the calibrated weighted score.

    Parameters
    ----------
    shape
        Tuned settings of the stack's trees; None: the fixed recipe.
    """
    model = config.model

    def fit_model(X: pd.DataFrame, y: Floats, accounts: npt.NDArray[Any], weight: Floats | None) -> Any:
        classifier = PropensityClassifier(
            features=data.features,
            terms=data.terms or None,
            weights=data.weights,
            bags=model.bags,
            shrinkage=model.shrinkage,
            random_state=model.seed,
            shape=shape,
        )
        return classifier.fit(X, y, sample_weight=weight, groups=accounts)

    def fit_logistic(X: pd.DataFrame, y: Floats, accounts: npt.NDArray[Any], weight: Floats | None) -> Any:
        return logistic_comparison(data.features, model.seed).fit(X, y, weight)

    def fit_baseline(X: pd.DataFrame, y: Floats, accounts: npt.NDArray[Any], weight: Floats | None) -> Any:
        terms = data.terms or _learned_terms(data, X, y)
        return WeightedScore(terms, data.weights, config.baseline.prior_rate).fit(X, y, weight)

    return {"model": fit_model, "logistic": fit_logistic, "baseline": fit_baseline}


def label_funnel(data: TrainingData) -> pd.DataFrame:
    """Accounts per snapshot and label state, as known now.

    The positive rate is missing where no negative is known yet: early wins alone are no rate.
    """
    rows = data.with_labels(data.now)
    counts = pd.crosstab(rows["as_of"], rows["state"]).reindex(columns=list(STATES), fill_value=0)
    funnel = counts.rename_axis(columns=None).reset_index()
    funnel.insert(1, "accounts", counts.sum(axis=1).to_numpy())
    decided = (funnel["positive"] + funnel["negative"]).where(funnel["negative"] > 0)
    funnel["positive_rate"] = (funnel["positive"] / decided).astype("float64")
    return funnel


def _judge(
    data: TrainingData, known: pd.DataFrame, config: Config, fit: dict[str, Fitter], on_progress: Progress | None
) -> tuple[Verdict, Validation | None]:
    evidence = Evidence(len(known), int(known["label"].sum()), int(known["account_id"].nunique()))
    reason = _too_few(evidence, config.model.min_positives)
    if reason is not None:
        return without_judging(reason, config, evidence, data.mature_from), None
    validation = validate(data, config, fit, on_progress)
    return decide(validation, config, evidence), validation


def _too_few(evidence: Evidence, needed: int) -> Reason | None:
    if not evidence.outcomes:
        return "no_labels"
    if evidence.positives < needed:
        return "too_few_positives"
    return "too_few_negatives" if evidence.outcomes - evidence.positives < needed else None


def _rules(data: TrainingData, known: pd.DataFrame, config: Config, fit: Fitter) -> WeightedScore:
    """The weighted score: its probabilities from the labels where there are enough, else from the expected rate.

    A feature table without terms has no score to start from; it is learned from whatever outcomes there are.
    """
    positives = int(known["label"].sum())
    fewest = min(positives, len(known) - positives)
    if fewest >= (config.model.min_positives if data.terms else FEWEST):
        fitted: WeightedScore = fit_on(known, data.columns, fit)
        return fitted
    if not data.terms:
        raise TrainingError(
            f"found {positives} positive and {len(known) - positives} negative complete outcomes and no terms of a "
            f"weighted score; expected at least {FEWEST} of each: wait for more outcomes, or name the score's terms"
        )
    return WeightedScore.from_prior(data.terms, data.weights, config.baseline.prior_rate)


def _learned_terms(data: TrainingData, X: pd.DataFrame, y: Floats) -> tuple[ScoreTerm, ...]:
    """A plain score for a feature table that came without one, learned from the training rows alone."""
    encoder, features = FeatureEncoder.learn(X, data.features), data.features
    matrix, won, weight = encoder.matrix(X), y == 1, np.ones(len(y))
    if (screen := screen_of(matrix, encoder.category_sizes)) is not None:
        chosen = screen.strongest(None, won, weight)
        matrix, features = matrix[:, chosen], tuple(features[i] for i in chosen)
    names, directions = [f.name for f in features], [f.direction for f in features]
    numeric = [not f.categorical for f in features]
    return learn_terms(matrix, names, won, weight, directions, numeric, len(data.features))
