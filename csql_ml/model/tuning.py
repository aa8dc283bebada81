"""``csql train --tune``: search for other tree settings, and find out whether they pay.

Optuna's TPE sampler looks for the size and regularisation of the trees (`csql_ml.model.tree_shape`), beginning with
the fixed recipe, by the out-of-fold log loss of one LightGBM model; trials that start badly are pruned after a fold.
The search sees only what was known before the newest quarter with outcomes (with a single quarter: two thirds of the
accounts). What it finds is then judged on what it has not seen, whole stack against whole stack. **The tuned settings
are used only if the paired 90 % interval of the log loss lies entirely on their side**; in every other case the fixed
recipe wins, and the training says so.

The verdict on model and rules comes afterwards and uses the same newest quarter; where tuned settings won, it therefore
leans to the model a little.

A budget in trials gives the same result every time; one in time depends on the machine.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import expit

from csql_ml.config import Config
from csql_ml.errors import MissingExtraError, UsageError
from csql_ml.feature_matrix import FeatureEncoder
from csql_ml.labelled_rows import LabelledRows, labelled_rows
from csql_ml.model.account_folds import account_folds
from csql_ml.model.estimator import PropensityClassifier
from csql_ml.model.figures import Estimate, ScoredSet, log_loss, measure
from csql_ml.model.training_data import TrainingData
from csql_ml.model.tree_shape import TreeShape
from csql_ml.model.trees import TreeBag, TreeSettings, categorical_places
from csql_ml.model.validation import FEWEST, Progress

if TYPE_CHECKING:
    from optuna import Study, Trial

Floats = npt.NDArray[np.float64]

FOLDS = 3
#: Trials that a budget in time may hold at most.
MOST_TRIALS = 10_000
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}


@dataclass(frozen=True)
class Budget:
    """How long to search: seconds or trials, one of them."""

    seconds: float | None = None
    trials: int | None = None

    @classmethod
    def parse(cls, text: str) -> Budget:
        """``90s``, ``5m``, ``1h`` or ``30trials``.

        Raises
        ------
        UsageError
            It is none of these.
        """
        found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(s|m|h|trials?)\s*", text)
        if found is None or float(found[1]) <= 0 or (found[2].startswith("t") and not float(found[1]).is_integer()):
            raise UsageError(f"--tune: found {text!r}, expected a time (90s, 5m, 1h) or a number of trials (30trials)")
        if found[2].startswith("t"):
            return cls(trials=int(float(found[1])))
        return cls(seconds=float(found[1]) * _UNITS[found[2]])

    def __str__(self) -> str:
        return f"{self.trials:,} trials" if self.trials is not None else f"{self.seconds:,.0f} seconds"


@dataclass(frozen=True)
class Tuning:
    """What a search found, and whether it pays.

    Attributes
    ----------
    budget
        As given.
    trials, pruned
        Begun, and given up early.
    found
        The best settings of the search.
    gain
        Log loss of the stack with them minus that of the fixed recipe on outcomes the search has not seen; None where
        nothing better was found, or nothing was searched for want of outcomes.
    judged
        How many outcomes those are.
    """

    budget: str
    trials: int
    pruned: int
    found: TreeShape
    gain: Estimate | None = None
    judged: int = 0

    @property
    def pays(self) -> bool:
        """Whether the tuned settings are proven better."""
        return self.gain is not None and self.gain.high < 0

    @property
    def shape(self) -> TreeShape | None:
        """The settings to train with; None: the fixed recipe."""
        return self.found if self.pays else None

    def sentence(self) -> str:
        """The outcome in words."""
        if not self.trials:
            return "Tuning was left out: there are too few outcomes to search on and to judge what is found."
        searched = f"{self.trials:,} trials ({self.pruned:,} given up early) within {self.budget}"
        if self.gain is None:
            return f"Tuning did not pay: {searched} found nothing better, so the fixed recipe is used."
        by = f"{self.gain.value:+.4f} log loss (90 % interval {self.gain.low:+.4f} to {self.gain.high:+.4f})"
        on = f"on {self.judged:,} outcomes the search had not seen"
        if self.pays:
            return f"Tuning paid: {searched}; against the fixed recipe {by} {on}. Used: {self.found}."
        return f"Tuning did not pay: {searched}; the best settings differ by {by} {on}, so the fixed recipe is used."

    def to_dict(self) -> dict[str, Any]:
        """Everything as JSON-able values."""
        plain = {"budget": self.budget, "trials": self.trials, "pruned": self.pruned, "judged": self.judged}
        gain = self.gain.to_dict() if self.gain is not None else None
        return {**plain, "found": asdict(self.found), "gain": gain, "pays": self.pays, "sentence": self.sentence()}


def tune(data: TrainingData, config: Config, budget: Budget, on_progress: Progress | None = None) -> Tuning:
    """Search, then judge what was found; no trial where there are too few outcomes for either.

    Raises
    ------
    MissingExtraError
        Optuna is not installed.
    """
    try:
        import optuna
    except ImportError as error:
        raise MissingExtraError("csql train --tune", "tune") from error
    parted = _parted(data, config.model.seed)
    if parted is None:
        return Tuning(str(budget), 0, 0, TreeShape())
    seen, kept_back = parted
    clock = _Clock(budget)
    fixed = _chances(data, config, seen, kept_back, None)
    clock.reserve()
    study = _search(optuna, data, config, seen, clock, on_progress)
    pruned = len(study.get_trials(states=(optuna.trial.TrialState.PRUNED,)))
    best = study.best_trial
    done = Tuning(str(budget), len(study.trials), pruned, _shape(best.params))
    if best.number == 0:  # the fixed recipe itself
        return Tuning(done.budget, done.trials, done.pruned, TreeShape())
    tuned = _chances(data, config, seen, kept_back, done.found)
    gain = _gain(kept_back, {"tuned": tuned, "fixed": fixed}, config)
    return Tuning(done.budget, done.trials, done.pruned, done.found, gain, len(kept_back))


class _Clock:
    """The end of the search: a budget in time keeps back what judging its result will take."""

    def __init__(self, budget: Budget) -> None:
        self._began = time.monotonic()
        self._seconds = budget.seconds
        self.trials = budget.trials or MOST_TRIALS
        self._reserved = 0.0

    def reserve(self) -> None:
        """What was done so far will be done once more at the end."""
        self._reserved = 1.2 * (time.monotonic() - self._began)

    def over(self) -> bool:
        if self._seconds is None:
            return False
        return time.monotonic() - self._began > self._seconds - self._reserved


def _parted(data: TrainingData, seed: int) -> tuple[pd.DataFrame, pd.DataFrame] | None:
    """Outcomes to search on and outcomes kept back; None where one of them has too few of a class."""
    known = data.labelled(data.now)
    if known.empty:
        return None
    newest = max(known["period"])
    earlier = data.labelled(newest)
    earlier, later = earlier[earlier["as_of"] < newest], known[known["period"] == newest]
    if _enough(earlier) and _enough(later):
        return earlier, later
    if not _enough(known):
        return None
    won = known["label"].to_numpy(dtype=np.float64) == 1
    train, test = account_folds(won, known["account_id"].to_numpy(), 3, seed)[0]
    seen, kept_back = known.iloc[train], known.iloc[test]
    return (seen, kept_back) if _enough(seen) and _enough(kept_back) else None


def _enough(rows: pd.DataFrame) -> bool:
    positives = int((rows["label"] == 1).sum())
    return min(positives, len(rows) - positives) >= FEWEST * FOLDS


def _search(
    optuna: Any, data: TrainingData, config: Config, seen: pd.DataFrame, clock: _Clock, on_progress: Progress | None
) -> Study:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study: Study = optuna.create_study(
        sampler=optuna.samplers.TPESampler(seed=config.model.seed),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=0),
    )
    study.enqueue_trial(_params(TreeShape()))
    loss = _objective(optuna, data, config, seen, clock)
    for number in range(clock.trials):
        if number and clock.over():
            break
        if on_progress is not None:
            on_progress("tuning", number, clock.trials if clock.trials < MOST_TRIALS else number + 1)
        study.optimize(loss, n_trials=1)
    return study


def _objective(
    optuna: Any, data: TrainingData, config: Config, seen: pd.DataFrame, clock: _Clock
) -> Callable[[Trial], float]:
    """Out-of-fold log loss of one LightGBM model, reported fold by fold."""
    encoder = FeatureEncoder.learn(seen, data.features)
    accounts = seen["account_id"].to_numpy()
    rows = labelled_rows(encoder.matrix(seen), seen["label"].to_numpy(dtype=np.float64), None, accounts)
    splits = account_folds(rows.positive, rows.groups, FOLDS, config.model.seed)
    directions = tuple(f.direction for f in data.features)
    categorical = categorical_places(encoder.category_sizes)

    def loss(trial: Trial) -> float:
        settings = TreeSettings(directions, categorical, 1, config.model.seed, 1, _suggested(trial))
        losses: list[float] = []
        for step, (train, test) in enumerate(splits):
            losses.append(_fold_loss(rows, train, test, settings))
            trial.report(float(np.mean(losses)), step)
            # The first trial is the fixed recipe: it is always finished, as there must be something to compare with.
            if trial.number and step < FOLDS - 1 and (trial.should_prune() or clock.over()):
                raise optuna.TrialPruned
        return float(np.mean(losses))

    return loss


def _fold_loss(
    rows: LabelledRows, train: npt.NDArray[np.intp], test: npt.NDArray[np.intp], settings: TreeSettings
) -> float:
    margin = TreeBag.fit(rows.take(train), settings).margin(rows.matrix[test])
    return log_loss(rows.positive[test].astype(float), np.asarray(expit(margin)))


def _suggested(trial: Trial) -> TreeShape:
    """Settings within the tuned ranges, which hold the recipe's and those of `csql_ml.model.freer_trees`."""
    return _shape(
        {
            "leaves": trial.suggest_int("leaves", 3, 15),
            "learning_rate": trial.suggest_float("learning_rate", 0.02, 0.12, log=True),
            "rounds": trial.suggest_float("rounds", 0.5, 4.0, log=True),
            "min_data": trial.suggest_float("min_data", 0.5, 4.0, log=True),
            "lambda_l2": trial.suggest_float("lambda_l2", 1.0, 50.0, log=True),
            "feature_fraction": trial.suggest_float("feature_fraction", 0.3, 1.0),
            "path_smooth": trial.suggest_float("path_smooth", 0.0, 20.0),
            "max_bin": trial.suggest_categorical("max_bin", (31, 255)),
        }
    )


def _shape(params: dict[str, Any]) -> TreeShape:
    return TreeShape(depth=min(8, max(3, params["leaves"] - 2)), **params)


def _params(shape: TreeShape) -> dict[str, Any]:
    return {k: v for k, v in asdict(shape).items() if k not in ("depth", "bagging_fraction")}


def _chances(
    data: TrainingData, config: Config, seen: pd.DataFrame, kept_back: pd.DataFrame, shape: TreeShape | None
) -> Floats:
    """Propensities of the whole stack, trained on what was searched on."""
    model = config.model
    stack = PropensityClassifier(
        data.features, data.terms or None, data.weights, model.bags, model.shrinkage, model.seed, shape=shape
    )
    label = seen["label"].to_numpy(dtype=np.float64)
    stack.fit(seen[data.columns], label, groups=seen["account_id"].to_numpy())
    return np.asarray(stack.predict_proba(kept_back[data.columns])[:, 1])


def _gain(kept_back: pd.DataFrame, said: dict[str, Floats], config: Config) -> Estimate:
    rows = len(kept_back)
    scored = ScoredSet(
        label=kept_back["label"].to_numpy(dtype=np.float64),
        account=np.unique(kept_back["account_id"].to_numpy(dtype=str), return_inverse=True)[1].astype(np.int64),
        block=np.zeros(rows, dtype=np.int64),
        amount=np.full(rows, np.nan),
        propensity=said,
    )
    model = config.model
    figures = measure(scored, config.scoring.capacity_per_portfolio, model.bootstrap, model.seed, reference="fixed")
    return figures.gain["tuned"]["log_loss"]
