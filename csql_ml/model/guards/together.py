"""What columns say together: a small LightGBM model as a yardstick, never the one that is kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from csql_ml.model.figures import roc_auc
from csql_ml.model.guards.sample import FOLDS, Sample

FloatArray = npt.NDArray[np.float64]

_ROUNDS = 60
#: Rows that contributions are computed for; their mean needs no more.
_EXPLAINED = 2_000


def out_of_fold_auc(sample: Sample, columns: npt.NDArray[np.intp]) -> float:
    """ROC-AUC that a small model of some columns reaches on accounts it has not seen; .5 without columns."""
    if not len(columns):
        return 0.5
    matrix, said = sample.take(columns), np.zeros(len(sample.positive))
    for fold in range(FOLDS):
        test = sample.fold == fold
        if not test.any() or len(np.unique(sample.positive[~test])) < 2:
            continue
        model = _fitted(matrix[~test], sample.positive[~test], _categorical(sample, columns))
        said[test] = model.predict(matrix[test], raw_score=True, num_threads=1)
    return roc_auc(sample.positive.astype(np.float64), said)


def importance_shares(sample: Sample, columns: npt.NDArray[np.intp]) -> Mapping[str, float]:
    """Per metric its share of the mean absolute contribution (SHAP, in log-odds) to a small model of some columns."""
    matrix = sample.take(columns)
    model = _fitted(matrix, sample.positive, _categorical(sample, columns))
    rows = np.arange(0, len(sample.positive), max(1, len(sample.positive) // _EXPLAINED))
    parts = np.asarray(model.predict(matrix[rows], pred_contrib=True, num_threads=1))[:, :-1]
    names = [sample.features[c].metric for c in columns]
    place = {name: i for i, name in enumerate(dict.fromkeys(names))}
    by_metric = np.zeros((len(rows), len(place)))
    for column, name in enumerate(names):
        by_metric[:, place[name]] += parts[:, column]
    size = np.abs(by_metric - by_metric.mean(axis=0)).mean(axis=0)
    total = float(size.sum())
    return {name: float(size[i]) / total if total else 0.0 for name, i in place.items()}


def _categorical(sample: Sample, columns: npt.NDArray[np.intp]) -> list[int]:
    return [place for place, column in enumerate(columns) if sample.sizes[column]]


def _fitted(matrix: FloatArray, positive: npt.NDArray[np.bool_], categorical: list[int]) -> Any:
    import lightgbm as lgb

    parameters = {
        "objective": "binary",
        "num_leaves": 8,
        "learning_rate": 0.1,
        "min_data_in_leaf": int(np.clip(len(positive) / 20, 5, 40)),
        "lambda_l2": 5.0,
        "feature_fraction": 0.7,
        "max_bin": 31,
        "seed": 7,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": 1,
        "verbosity": -1,
    }
    names = [f"c{i}" for i in range(matrix.shape[1])]
    data = lgb.Dataset(
        matrix, label=positive.astype(float), feature_name=names, categorical_feature=categorical, params=parameters
    )
    return lgb.train(parameters, data, num_boost_round=_ROUNDS)
