"""Champion <-> plain values and texts: what stands in the files of a bundle."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import date
from typing import Any, TypeVar

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
from csql_ml.model.peers import Exemplars, Peers
from csql_ml.model.reference import Estimator, ReferenceSet
from csql_ml.model.refits import Refit, Refits
from csql_ml.model.stacking import Members, Stack
from csql_ml.model.trees import TreeBag

FloatArray = npt.NDArray[np.float64]
State = dict[str, Any]
Part = TypeVar("Part")

FORMAT = 1
MAIN, REFERENCE = "bundle.json", "reference.json"
#: Not in bundles of earlier versions, which are read all the same.
DISTRIBUTIONS, PEERS, EXEMPLARS, REFITS = "distributions.json", "peers.json", "exemplars.json", "refits.json"
#: Arrays of the reference set.
_ARRAYS = ("phi", "margin", "rows")


def to_files(
    facts: State,
    features: tuple[Feature, ...],
    estimator: Estimator,
    reference: ReferenceSet,
    refits: Refits | None = None,
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
    beside = {DISTRIBUTIONS: reference.distributions, PEERS: reference.peers, EXEMPLARS: reference.exemplars}
    files |= {name: to_json(plain(part.to_plain())) for name, part in beside.items() if part is not None}
    return files if refits is None else files | _refit_files(refits)


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
            **{k: np.array(reference[k], dtype=float) for k in _ARRAYS},
            distributions=_read(files, DISTRIBUTIONS, Distributions.from_plain),
            peers=_read(files, PEERS, Peers.from_plain),
            exemplars=_read(files, EXEMPLARS, Exemplars.from_plain),
        ),
        "refits": _read(files, REFITS, lambda state: _refits(state, files, main, terms, weights)),
    }


def _read(files: Mapping[str, bytes], name: str, build: Callable[[State], Part]) -> Part | None:
    """What is made of a file that older bundles lack."""
    return build(json.loads(files[name])) if name in files else None


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
    encoder, maturity = estimator.encoder_, estimator.maturity_
    return {
        "columns": list(encoder.names),
        "vocabularies": {k: list(v) for k, v in encoder.vocabularies.items()},
        "labels": [maturity.labels, maturity.positives],
        "stack": _weights_state(estimator.stack_),
        **_members_state(estimator.stack_.members),
    }


def _weights_state(stack: Stack) -> State:
    return {"weights": [float(w) for w in stack.weights], "intercept": float(stack.intercept)}


def _members_state(members: Members) -> State:
    """All members but the trees, whose texts are files of their own."""
    score, sub_scores, ridge, _ = members
    return {
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
    stack = _weighed(state["stack"], _members(state, files, card, len(encoder.names)))
    labels = (int(state["labels"][0]), int(state["labels"][1]))
    return PropensityClassifier.from_stack(stack, encoder, features, weights, labels)


def _weighed(state: State, members: Members) -> Stack:
    return Stack(members, tuple(float(w) for w in state["weights"]), float(state["intercept"]))


def _members(state: State, files: Mapping[str, bytes], card: ScoreCard, columns: int) -> Members:
    sub, ridge = state["sub_scores"], state["ridge"]
    trees = TreeBag(tuple(files[name].decode() for name in state["trees"]))
    trees.check_width(columns)
    return Members(
        _logit(state["score"], card),
        SubScoreLogistic(card, np.array(sub["coefficients"]), np.array(sub["means"]), float(sub["intercept"])),
        RidgeLogistic(
            _design(ridge["design"]), np.array(ridge["coefficients"], dtype=float), float(ridge["intercept"])
        ),
        trees,
    )


def _refit_files(refits: Refits) -> dict[str, bytes]:
    """One file of numbers, and the trees of every refit."""
    texts = [r.stack.members.trees.texts for r in refits.refits]
    names = [[f"refit_{i:02d}_{k:02d}.txt" for k in range(len(t))] for i, t in enumerate(texts)]
    states = [
        {
            "stack": _weights_state(r.stack),
            "free": _weights_state(r.free),
            **_members_state(r.stack.members),
            "trees": of_refit,
        }
        for r, of_refit in zip(refits.refits, names, strict=True)
    ]
    trees = {name: text.encode() for n, t in zip(names, texts, strict=True) for name, text in zip(n, t, strict=True)}
    return {REFITS: to_json({"refits": states, "figures": plain(dict(refits.figures))}), **trees}


def _refits(
    state: State,
    files: Mapping[str, bytes],
    main: State,
    terms: tuple[ScoreTerm, ...],
    weights: Mapping[str, float],
) -> Refits:
    columns = tuple(main["estimator"]["columns"])
    card, found = ScoreCard.bind(terms, weights, columns), []
    for refit in state["refits"]:
        members = _members(refit, files, card, len(columns))
        found.append(Refit(_weighed(refit["stack"], members), _weighed(refit["free"], members)))
    return Refits(tuple(found), {str(k): float(v) for k, v in state["figures"].items()})


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
