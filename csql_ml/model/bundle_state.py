"""Champion <-> plain values and texts: what stands in the files of a bundle."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt

from csql_ml.baseline.score_card import PARTS, ScoreCard
from csql_ml.baseline.score_logit import ScoreLogit
from csql_ml.baseline.weighted_score import WeightedScore
from csql_ml.feature_matrix import FeatureEncoder
from csql_ml.metrics.definition import Feature, ScoreTerm
from csql_ml.model.distributions import Distributions
from csql_ml.model.estimator import PropensityClassifier
from csql_ml.model.linear_design import LinearDesign
from csql_ml.model.members import RidgeLogistic, SubScoreLogistic
from csql_ml.model.reference import Estimator, ReferenceSet
from csql_ml.model.stacking import Members, Stack
from csql_ml.model.trees import TreeBag

FloatArray = npt.NDArray[np.float64]
State = dict[str, Any]

FORMAT = 1
MAIN, REFERENCE = "bundle.json", "reference.json"
#: Not in bundles of earlier versions, which are read all the same.
DISTRIBUTIONS = "distributions.json"
#: Arrays of the reference set.
_ARRAYS = ("phi", "margin", "rows")


def to_files(
    facts: State, features: tuple[Feature, ...], estimator: Estimator, reference: ReferenceSet
) -> dict[str, bytes]:
    """Content of every file of the bundle but the checksums.

    Parameters
    ----------
    facts
        Kind, threshold and whatever else is plain.
    """
    score = estimator.logit_ if isinstance(estimator, WeightedScore) else estimator.stack_.members.score
    main: State = {
        **plain(facts),
        "format": FORMAT,
        "features": [asdict(f) for f in features],
        "terms": [asdict(t) for t in score.card.terms],
        "weights": dict(zip(PARTS, score.card.part_weights, strict=True)),
    }
    trees: dict[str, bytes] = {}
    if isinstance(estimator, PropensityClassifier):
        texts = estimator.stack_.members.trees.texts
        trees = {f"trees_{i:02d}.txt": text.encode() for i, text in enumerate(texts)}
        main["estimator"] = {**_stack_state(estimator), "trees": list(trees)}
    else:
        main["estimator"] = {**_score_state(score), "calibrated": estimator.calibrated_}
    files = {MAIN: to_json(main), REFERENCE: to_json({k: plain(getattr(reference, k)) for k in _ARRAYS}), **trees}
    if reference.distributions is not None:
        files[DISTRIBUTIONS] = to_json(reference.distributions.to_plain())
    return files


def from_files(files: Mapping[str, bytes]) -> State:
    """Arguments of the champion that `to_files` was given; any exception means that the content is damaged."""
    main, reference = json.loads(files[MAIN]), json.loads(files[REFERENCE])
    features = tuple(Feature(**f) for f in main["features"])
    terms = tuple(ScoreTerm(**t) for t in main["terms"])
    weights = {str(k): float(v) for k, v in main["weights"].items()}
    build = {"stack": _stack, "rules": _rules}[main["kind"]]
    day = main["trained_as_of"]
    return {
        "kind": main["kind"],
        "features": features,
        "terms": terms,
        "weights": weights,
        "threshold": float(main["threshold"]),
        "arr_share": {str(k): float(v) for k, v in main["arr_share"].items()},
        "trained_as_of": None if day is None else date.fromisoformat(day),
        "training": main["training"],
        "estimator": build(main["estimator"], files, features, terms, weights),
        # None reads as NaN.
        "reference": ReferenceSet(
            **{k: np.array(reference[k], dtype=float) for k in _ARRAYS}, distributions=_distributions(files)
        ),
    }


def _distributions(files: Mapping[str, bytes]) -> Distributions | None:
    return Distributions.from_plain(json.loads(files[DISTRIBUTIONS])) if DISTRIBUTIONS in files else None


def checksums(files: Mapping[str, bytes]) -> dict[str, str]:
    """SHA-256 of every file."""
    return {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}


def version_of(sums: Mapping[str, str]) -> str:
    """12 hexadecimal digits made of all checksums."""
    return hashlib.sha256(to_json(dict(sums))).hexdigest()[:12]


def to_json(value: Any) -> bytes:
    """Keys sorted, floats with all their digits."""
    return (
        json.dumps(value, sort_keys=True, ensure_ascii=False, allow_nan=False, separators=(",", ":")) + "\n"
    ).encode()


def plain(value: Any) -> Any:
    """A value as JSON has it: numpy to Python, dates to text, NaN and infinity to None."""
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, date):
        return value.isoformat()
    if value is None or isinstance(value, (str, bool, int)):
        return value
    raise TypeError(f"a bundle holds plain values only, found {type(value).__name__}")


def _score_state(logit: ScoreLogit) -> State:
    return {"slope": float(logit.slope), "intercept": float(logit.intercept), "centre": float(logit.centre)}


def _stack_state(estimator: PropensityClassifier) -> State:
    score, sub_scores, ridge, _ = estimator.stack_.members
    encoder, maturity = estimator.encoder_, estimator.maturity_
    return {
        "columns": list(encoder.names),
        "vocabularies": {k: list(v) for k, v in encoder.vocabularies.items()},
        "labels": [maturity.labels, maturity.positives],
        "stack": {"weights": list(estimator.stack_.weights), "intercept": float(estimator.stack_.intercept)},
        "score": _score_state(score),
        "sub_scores": {
            "coefficients": plain(sub_scores.coefficients),
            "means": plain(sub_scores.means),
            "intercept": float(sub_scores.intercept),
        },
        "ridge": {
            "design": {k: plain(v) for k, v in vars(ridge.design).items()},
            "coefficients": plain(ridge.coefficients),
            "intercept": float(ridge.intercept),
        },
    }


def _logit(state: State, card: ScoreCard) -> ScoreLogit:
    return ScoreLogit(card, float(state["slope"]), float(state["intercept"]), float(state["centre"]))


def _rules(
    state: State,
    files: Mapping[str, bytes],
    features: tuple[Feature, ...],
    terms: tuple[ScoreTerm, ...],
    weights: Mapping[str, float],
) -> WeightedScore:
    names = tuple(dict.fromkeys(t.feature for t in terms))
    logit = _logit(state, ScoreCard.bind(terms, weights, names))
    return WeightedScore.from_logit(logit, weights, calibrated=bool(state["calibrated"]))


def _stack(
    state: State,
    files: Mapping[str, bytes],
    features: tuple[Feature, ...],
    terms: tuple[ScoreTerm, ...],
    weights: Mapping[str, float],
) -> PropensityClassifier:
    encoder = FeatureEncoder(tuple(state["columns"]), {k: tuple(v) for k, v in state["vocabularies"].items()})
    card = ScoreCard.bind(terms, weights, encoder.names)
    sub, ridge = state["sub_scores"], state["ridge"]
    trees = TreeBag(tuple(files[name].decode() for name in state["trees"]))
    trees.check_width(len(encoder.names))
    members = Members(
        _logit(state["score"], card),
        SubScoreLogistic(card, np.array(sub["coefficients"]), np.array(sub["means"]), float(sub["intercept"])),
        RidgeLogistic(
            _design(ridge["design"]), np.array(ridge["coefficients"], dtype=float), float(ridge["intercept"])
        ),
        trees,
    )
    stack = Stack(members, tuple(float(w) for w in state["stack"]["weights"]), float(state["stack"]["intercept"]))
    labels = (int(state["labels"][0]), int(state["labels"][1]))
    return PropensityClassifier.from_stack(stack, encoder, features, weights, labels)


def _design(state: State) -> LinearDesign:
    numbers = np.array(state["numbers"], dtype=np.intp)
    reals = {k: np.array(state[k], dtype=float) for k in ("low", "high", "median", "mean", "scale")}
    return LinearDesign(
        numbers=numbers,
        skewed=np.array(state["skewed"], dtype=bool),
        **reals,
        indicators=np.array(state["indicators"], dtype=np.intp),
        categories=np.array(state["categories"], dtype=np.intp).reshape(-1, 2),
    )
