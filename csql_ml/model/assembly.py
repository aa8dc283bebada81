"""From a fitted estimator to a champion: its threshold, expected ARR, reference set and the record of its training.

* **The threshold of a model lets through as many accounts as the rules would** on the newest snapshot. A new model then
  changes who is a lead, never how many: that is a matter of the company's threshold and capacity, and a propensity cut
  of the model's own would silently inflate or dry up the pipeline.
* **The reference set comes from the newest snapshots**, labelled or not: an account is compared with others of its day.

Of very many accounts a draw is looked at for both: it settles them, and the time goes into learning.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from csql_ml.baseline.weighted_score import WeightedScore
from csql_ml.config import Config
from csql_ml.contract.tables import LEAD_TYPES
from csql_ml.model.bundle import Champion, reference_set
from csql_ml.model.distributions import Distributions, distributions
from csql_ml.model.estimator import PropensityClassifier
from csql_ml.model.money import money_facts
from csql_ml.model.peers import Exemplars, exemplars_of, peers_of
from csql_ml.model.reference import Estimator, metrics_of
from csql_ml.model.refits import Refits, refit, with_figures
from csql_ml.model.screening import MOST_COLUMNS
from csql_ml.model.training_data import TrainingData, periods
from csql_ml.model.validation import columns_of, weight_of
from csql_ml.model.verdict import Verdict


@dataclass(frozen=True, eq=False)
class Assembly:
    """What all champions of one training share.

    Parameters
    ----------
    rules
        The fitted weighted score.
    """

    data: TrainingData
    config: Config
    verdict: Verdict
    rules: WeightedScore

    def of_rules(self) -> Champion:
        """The weighted score as champion; its threshold is on the score."""
        return self._champion("rules", self.rules, self.config.baseline.threshold)

    def of_stack(self, stack: PropensityClassifier) -> Champion:
        """The stack as champion; its threshold is on the propensity."""
        newest = newest_rows(self.data.drawn(self.config.model.seed), 1)
        passing = int((self.rules.csql_score(newest) >= self.config.baseline.threshold).sum())
        champion = self._champion("stack", stack, threshold_for(stack.predict_proba(newest)[:, 1], passing))
        return replace(champion, refits=self._refits(champion, stack))

    def _refits(self, champion: Champion, stack: PropensityClassifier) -> Refits | None:
        """Bootstrap refits on the rows that the stack was fitted on, and what they say of its reasons."""
        known, settings = self.data.labelled(self.data.now), self.config.model
        label, accounts = known["label"].to_numpy(dtype=np.float64), known["account_id"].to_numpy()
        rows, weight = columns_of(known, self.data.columns), weight_of(known)
        found = refit(stack, rows, label, accounts, settings.refits, settings.seed, weight)
        if found is None:
            return None
        return with_figures(found, stack, *metrics_of(stack, champion.features), champion.reference.rows)

    def _champion(
        self, kind: Literal["rules", "stack"], estimator: WeightedScore | PropensityClassifier, threshold: float
    ) -> Champion:
        seen, settings = self.verdict.evidence, self.config.model
        # Of a very wide table a champion knows the columns that were chosen, and no others.
        wide = len(self.data.features) > MOST_COLUMNS
        whole = self.data.reading(set(estimator.encoder_.names)) if wide else self.data
        data = whole.drawn(settings.seed)
        newest = newest_rows(data, settings.reference_size)
        drawn = reference_set(estimator, data.features, newest[data.columns], settings.reference_size, settings.seed)
        over = threshold if kind == "stack" else None
        calibrated = kind == "stack" or self.rules.calibrated_
        return Champion(
            kind=kind,
            features=data.features,
            terms=estimator.terms_,
            weights=dict(data.weights),
            threshold=threshold,
            arr_share=arr_shares(whole, self.config),
            trained_as_of=data.now if calibrated else None,
            training={
                "snapshots": [d.isoformat() for d in whole.snapshots],
                "outcomes": seen.outcomes,
                "positives": seen.positives,
                "outcome": self.verdict.outcome,
                "reason": self.verdict.reason,
                "validated_in_time": self.verdict.in_time,
                "data_fingerprint": self.data.fingerprint(),
                "money": money_facts(whole, self.config),
            },
            estimator=estimator,
            reference=replace(
                drawn,
                distributions=self._distributions(data, estimator),
                peers=peers_of(_once(newest_rows(data, 1)), metrics_of(estimator, data.features)[0]),
                exemplars=self._exemplars(data, estimator, over),
            ),
        )

    def _exemplars(self, data: TrainingData, estimator: Estimator, threshold: float | None) -> Exemplars | None:
        """Accounts that expanded after a score above the threshold (of a propensity; None: that of the rules)."""
        labels = data.with_labels(data.now)
        newest = labels["as_of"] == max(labels["as_of"])
        rows = labels[(labels["label"] == 1) | newest].reset_index(drop=True)
        if threshold is None:
            over = self.rules.csql_score(rows[data.columns]) >= self.config.baseline.threshold
        else:
            over = estimator.predict_proba(rows[data.columns])[:, 1] >= threshold
        matrix = estimator.encoder_.matrix(rows[data.columns])
        return exemplars_of(rows, matrix, (rows["label"] == 1).to_numpy(), np.asarray(over), self.config.model.seed)

    def _distributions(self, data: TrainingData, estimator: Estimator) -> Distributions:
        """Of the newest snapshot that was learned from, each account once; without outcomes, of the newest one.

        The newest one is often that of the first run, which would then be compared with itself.
        """
        labels = data.labels_known(data.now)
        learned = labels.loc[labels["label"].notna(), "as_of"]
        frame = data.frame if learned.empty else data.frame[data.frame["as_of"] <= learned.max()]
        period = periods(frame["as_of"])
        newest = frame.loc[period == period.max()].drop_duplicates("account_id", keep="last")
        weighted = estimator.weighted_score_ if isinstance(estimator, PropensityClassifier) else estimator
        scores = {
            "propensity": estimator.predict_proba(newest[data.columns])[:, 1],
            "baseline_score": weighted.csql_score(newest[data.columns]),
        }
        return distributions(newest, metrics_of(estimator, data.features)[0], scores)


def _once(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.drop_duplicates("account_id", keep="last")


def newest_rows(data: TrainingData, least: int) -> pd.DataFrame:
    """The rows of the newest snapshots: as many whole ones as hold ``least`` rows, but at least one."""
    period = periods(data.frame["as_of"])
    sizes = period.value_counts().sort_index(ascending=False)
    enough = int((sizes.cumsum() < least).sum()) + 1
    return data.frame if enough >= len(sizes) else data.frame.loc[period.isin(sizes.index[:enough])]


def threshold_for(propensity: npt.NDArray[np.float64], passing: int) -> float:
    """The propensity cut that lets through about ``passing`` of the given accounts.

    Halfway between two neighbouring propensities, so that rounding cannot move an account across; among equal
    propensities the cut that comes nearest to the number. None or all of them pass where that is asked for.
    """
    distinct, counts = np.unique(propensity, return_counts=True)
    let_through = np.r_[np.cumsum(counts[::-1])[::-1], 0]  # with a cut below each distinct value, and above the last
    cuts = np.r_[distinct[0] / 2, (distinct[1:] + distinct[:-1]) / 2, (distinct[-1] + 1) / 2]
    return float(cuts[np.argmin(np.abs(let_through - passing))])


def arr_shares(data: TrainingData, config: Config) -> dict[str, float]:
    """Expected incremental ARR per lead type, as a share of today's ARR.

    The median over the company's own wins, each counted once though overlapping snapshots may see it several times;
    the configured share for types with fewer than ``handoff.min_wins_for_arr`` wins.
    """
    rows = data.with_labels(data.now)
    wins = rows[(rows["label"] == 1) & rows["amount"].notna() & (rows["arr"] > 0)]
    wins = wins.drop_duplicates(["account_id", "lead_type", "amount"])
    shares = (wins["amount"] / wins["arr"]).groupby(wins["lead_type"])
    enough = {t: float(s.median()) for t, s in shares if len(s) >= config.handoff.min_wins_for_arr}
    return {t: enough.get(t, float(getattr(config.handoff.arr_share, t))) for t in LEAD_TYPES}
