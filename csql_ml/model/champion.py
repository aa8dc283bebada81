"""The champion: what scores accounts, with everything needed to explain its scores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from csql_ml.baseline.score_card import PARTS
from csql_ml.baseline.weighted_score import WeightedScore
from csql_ml.errors import TrainingError
from csql_ml.metrics.definition import Feature, ScoreTerm
from csql_ml.model.bundle_state import checksums, to_files, version_of
from csql_ml.model.estimator import PropensityClassifier
from csql_ml.model.reference import Contributions, Estimator, ReferenceSet, contributions_of, in_chunks, metrics_of
from csql_ml.model.refits import Refits

FloatArray = npt.NDArray[np.float64]
Kind = Literal["rules", "stack"]


@dataclass(frozen=True, eq=False)
class Champion:
    """A trained model and the facts around it. `csql_ml.model.bundle` writes and reads it.

    Attributes
    ----------
    kind
        ``rules``: the weighted score decides; ``stack``: the propensity model does.
    features
        Feature columns with the metric each belongs to.
    terms, weights
        The weighted score; taken from the estimator, so that they are the ones in use.
    threshold
        From where an account qualifies: a CSQL score for rules, a propensity for the stack.
    arr_share
        Expected incremental ARR as a share of today's ARR, per lead type.
    trained_as_of
        Day of training; None for rules without labels.
    training
        Facts for readers (counts, verdict); plain values only.
    refits
        Bootstrap refits of the stack; None for rules, whose reasons are exact, and in older bundles.
    """

    kind: Kind
    features: tuple[Feature, ...]
    terms: tuple[ScoreTerm, ...]
    weights: Mapping[str, float]
    threshold: float
    arr_share: Mapping[str, float]
    trained_as_of: date | None
    training: Mapping[str, Any]
    estimator: Estimator = field(repr=False)
    reference: ReferenceSet = field(repr=False)
    refits: Refits | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        fitting = PropensityClassifier if self.kind == "stack" else WeightedScore
        if not isinstance(self.estimator, fitting):
            raise TrainingError(
                f"a champion of kind {self.kind} needs a {fitting.__name__}, found {type(self.estimator).__name__}; "
                "give the estimator that belongs to the kind"
            )
        if isinstance(self.estimator, PropensityClassifier):
            object.__setattr__(self, "features", self.estimator.features_)
        card = self.weighted_score.logit_.card
        object.__setattr__(self, "terms", card.terms)
        object.__setattr__(self, "weights", dict(zip(PARTS, card.part_weights, strict=True)))
        if self.reference.phi.shape[1] != len(self.metrics):
            raise TrainingError(
                f"the reference set has {self.reference.phi.shape[1]} metrics, the model {len(self.metrics)}; build it "
                "with reference_set from the same estimator and features"
            )

    @property
    def weighted_score(self) -> WeightedScore:
        """The baseline: the estimator itself, or the one inside the stack."""
        if isinstance(self.estimator, PropensityClassifier):
            return self.estimator.weighted_score_
        return self.estimator

    @property
    def metrics(self) -> tuple[str, ...]:
        """Metrics that explanations speak of."""
        return metrics_of(self.estimator, self.features)[0]

    @cached_property
    def files(self) -> dict[str, bytes]:
        """Content of the bundle's files; equal champions give equal bytes."""
        return to_files(
            {
                "kind": self.kind,
                "threshold": float(self.threshold),
                "arr_share": {k: float(v) for k, v in self.arr_share.items()},
                "trained_as_of": self.trained_as_of,
                "training": self.training,
            },
            self.features,
            self.estimator,
            self.reference,
            self.refits,
        )

    @cached_property
    def model_version(self) -> str:
        """Short hash of the bundle's content; equal models have equal versions."""
        return version_of(checksums(self.files))

    def propensity(self, frame: pd.DataFrame) -> FloatArray:
        """(n,) probability of an expansion.

        Raises
        ------
        FeatureError
            A column is absent or of the wrong type.
        """
        return in_chunks(frame, lambda rows: np.asarray(self.estimator.predict_proba(rows)[:, 1]))

    def baseline_score(self, frame: pd.DataFrame) -> FloatArray:
        """(n,) the CSQL score, 0 to 100."""
        return in_chunks(frame, self.weighted_score.csql_score)

    def contributions(self, frame: pd.DataFrame) -> Contributions:
        """Log-odds per metric of every row."""
        return contributions_of(self.estimator, self.features, frame)
