"""Who was worked: outcomes exist only where somebody acted, so worked accounts are no sample of all accounts.

Three steps lie between an account and a win: it is worked, a lead of it is accepted, the lead is won. Their rates stand
beside the headline (`steps`); what is still open is censored: it counts neither as reached nor as failed, and the
interval holds whatever becomes of it.

The correction (``model.selection: inverse_propensity``) weights every worked account by how many accounts like it there
are per worked one: P(worked) / P(worked | columns), learned by a logistic regression with folds that never part an
account, and clipped to `LARGEST_WEIGHT` either way (Cole and Hernan 2008: stabilised and truncated weights). It can
only speak for accounts that could have been worked, and knows only the columns there are; therefore it is off by
default and figures are reported both ways.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold

from csql_ml.model.figures import ScoredSet, roc_auc
from csql_ml.model.plain_logistic import logistic_comparison
from csql_ml.model.training_data import KEYS, TrainingData
from csql_ml.model.validation import WEIGHT, Validation

Floats = npt.NDArray[np.float64]
Step = Literal["worked", "accepted", "won"]

LARGEST_WEIGHT = 5.0
#: Fewer worked or unworked accounts than this say nothing about who is worked.
FEWEST = 30
_FOLDS = 5
_COVERAGE = 0.9


@dataclass(frozen=True)
class StepRate:
    """One step of selection.

    Attributes
    ----------
    of, reached, open
        Account-snapshots that stood before the step, those that took it, and those of which it is not known yet.
    value
        ``reached`` of those that are decided; None where nothing is.
    low, high
        90 % interval (Wilson) of the final rate, whatever becomes of the open ones.
    """

    step: Step
    of: int
    reached: int
    open: int
    value: float | None
    low: float | None
    high: float | None

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {name: getattr(self, name) for name in ("step", "of", "reached", "open", "value", "low", "high")}


@dataclass(frozen=True, eq=False)
class Weights:
    """Inverse propensities of having been worked.

    Attributes
    ----------
    of
        ``account_id, as_of`` and `WEIGHT`; one row per worked account-snapshot.
    auc
        How well the columns tell who was worked, out of fold; .5: worked accounts are like the others.
    effective
        Worked rows that so unequal weights are worth: (sum w)^2 / sum w^2.
    clipped
        Share of weights at either limit.
    """

    of: pd.DataFrame = field(repr=False)
    auc: float
    effective: float
    clipped: float


@dataclass(frozen=True, eq=False)
class Selection:
    """What is known about who was worked.

    Attributes
    ----------
    steps
        Worked, accepted, won.
    weights
        None where there is nothing to correct: everybody was worked, or too few of either kind.
    figures
        Judged model -> figure -> (among worked accounts, as if all had been worked); empty without weights.
    applied
        Whether the model was trained with the weights.
    """

    steps: tuple[StepRate, ...]
    weights: Weights | None
    figures: Mapping[str, Mapping[str, tuple[float, float]]]
    applied: bool

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        found = self.weights
        return {
            "applied": self.applied,
            "steps": [s.to_dict() for s in self.steps],
            "weights": None
            if found is None
            else {"auc": found.auc, "effective_rows": found.effective, "clipped_share": found.clipped},
            "figures": {
                name: {f: {"worked": one, "all": other} for f, (one, other) in of.items()}
                for name, of in self.figures.items()
            },
        }


def steps(labels: pd.DataFrame) -> tuple[StepRate, ...]:
    """Rates of the three steps.

    Parameters
    ----------
    labels
        As `csql_ml.labels.LabelBook.known` gives them; nothing is said where the columns of the steps are absent.
    """
    if not {"worked", "accepted", "won"} <= set(labels.columns) or not labels["worked"].notna().any():
        return ()
    asked = labels[labels["worked"].notna()]
    worked = asked[asked["worked"] == 1]
    accepted = worked[worked["accepted"] == 1]
    return tuple(
        _rate(step, rows[step].to_numpy(dtype=np.float64))
        for step, rows in (("worked", asked), ("accepted", worked), ("won", accepted))
    )


def _rate(step: Any, taken: Floats) -> StepRate:
    count, reached, waiting = len(taken), int((taken == 1).sum()), int(np.isnan(taken).sum())
    if not count:
        return StepRate(step, 0, 0, 0, None, None, None)
    value = reached / (count - waiting) if count > waiting else None
    return StepRate(
        step, count, reached, waiting, value, _wilson(reached, count)[0], _wilson(reached + waiting, count)[1]
    )


def _wilson(reached: int, of: int) -> tuple[float, float]:
    from scipy.stats import norm

    z = float(norm.ppf((1 + _COVERAGE) / 2))
    share = reached / of
    centre, spread = share + z * z / (2 * of), z * np.sqrt(share * (1 - share) / of + z * z / (4 * of * of))
    return max(0.0, float((centre - spread) / (1 + z * z / of))), min(1.0, float((centre + spread) / (1 + z * z / of)))


def worked_weights(data: TrainingData, seed: int = 7) -> Weights | None:
    """Inverse propensities of the worked rows; None where nothing can be learned about who is worked."""
    labels = data.labels_known(data.now)
    if "worked" not in labels.columns:
        return None
    asked = labels.loc[labels["worked"].notna(), [*KEYS, "worked"]]
    rows = data.frame.merge(asked, on=KEYS, how="inner", validate="one_to_one", sort=False)
    worked = rows["worked"].to_numpy(dtype=np.float64)
    if min(worked.sum(), (1 - worked).sum()) < FEWEST:
        return None
    chance = _out_of_fold(rows, worked, data, seed)
    if chance is None:
        return None
    here = worked == 1
    free = worked.mean() / chance[here]
    weight = np.clip(free, 1 / LARGEST_WEIGHT, LARGEST_WEIGHT)
    weight = weight / weight.mean()
    return Weights(
        of=rows.loc[here, KEYS].assign(**{WEIGHT: weight}).reset_index(drop=True),
        auc=roc_auc(worked, chance),
        effective=float(weight.sum() ** 2 / (weight**2).sum()),
        clipped=float(((free < 1 / LARGEST_WEIGHT) | (free > LARGEST_WEIGHT)).mean()),
    )


def _out_of_fold(rows: pd.DataFrame, worked: Floats, data: TrainingData, seed: int) -> Floats | None:
    """P(worked | columns) from models that did not see the account; None where the folds lack a class."""
    columns = [f.name for f in data.features]
    chance = np.full(len(rows), np.nan)
    folds = StratifiedGroupKFold(_FOLDS, shuffle=True, random_state=seed)
    for train, test in folds.split(rows, worked, rows["account_id"]):
        if len(np.unique(worked[train])) < 2:
            return None
        model = logistic_comparison(data.features, seed).set_params(C=0.1)
        model.fit(rows.iloc[train][columns], worked[train])
        chance[test] = model.predict_proba(rows.iloc[test][columns])[:, 1]
    return np.asarray(np.clip(chance, 1e-3, 1.0))


def weighed(data: TrainingData, weights: Weights | None) -> TrainingData:
    """The training table with `WEIGHT`; rows without a weight of their own weigh 1."""
    if weights is None:
        return data
    frame = data.frame.drop(columns=WEIGHT, errors="ignore").merge(weights.of, on=KEYS, how="left", sort=False)
    return replace(data, frame=frame.assign(**{WEIGHT: frame[WEIGHT].fillna(1.0)}))


def selection(
    data: TrainingData, validation: Validation | None, weights: Weights | None, *, applied: bool
) -> Selection:
    """Steps, and the judged figures among worked accounts beside those for all.

    Parameters
    ----------
    validation
        The judged rows; None where nothing was judged.
    weights
        As `worked_weights` gave them.
    applied
        Whether the model was trained with them.
    """
    found = _side_by_side(validation, weights) if validation is not None and weights is not None else {}
    return Selection(steps(data.labels_known(data.now)), weights, found, applied and weights is not None)


def _side_by_side(validation: Validation, weights: Weights) -> dict[str, dict[str, tuple[float, float]]]:
    rows = validation.scored.merge(weights.of, on=KEYS, how="left", sort=False)
    weight = rows[WEIGHT].fillna(1.0).to_numpy(dtype=np.float64)
    scored = validation.scored_set()
    if not scored.rows:
        return {}
    return {name: _both_ways(scored, name, weight) for name in validation.judged}


def _both_ways(scored: ScoredSet, name: str, weight: Floats) -> dict[str, tuple[float, float]]:
    label, said = scored.label, scored.propensity[name]
    safe = np.clip(said, 1e-15, 1 - 1e-15)
    losses = -np.where(label == 1, np.log(safe), np.log1p(-safe))
    return {
        "rate": (float(label.mean()), float(np.average(label, weights=weight))),
        "mean_propensity": (float(said.mean()), float(np.average(said, weights=weight))),
        "roc_auc": (roc_auc(label, said), _weighted_auc(label, said, weight)),
        "log_loss": (float(losses.mean()), float(np.average(losses, weights=weight))),
    }


def _weighted_auc(label: Floats, said: Floats, weight: Floats) -> float:
    """Share of the weight of pairs in the right order; equal propensities count half."""
    _, place = np.unique(said, return_inverse=True)
    won, lost = (np.bincount(place, weights=weight * of) for of in (label, 1 - label))
    pairs = won.sum() * lost.sum()
    below = np.cumsum(lost) - lost
    return float((won * (below + lost / 2)).sum() / pairs) if pairs else float("nan")
