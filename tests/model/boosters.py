"""LightGBM models of small companies, rows that training never showed, and what LightGBM says of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import lightgbm as lgb
import numpy as np

from csql_ml.model.decision_answers import ZERO
from csql_ml.model.tree_tables import TreeTables

COLUMNS, CATEGORY = 5, 4
QUIET = {"objective": "binary", "verbosity": -1, "num_threads": 1, "deterministic": True, "force_row_wise": True}


def company(seed: int, rows: int = 150) -> tuple[np.ndarray, np.ndarray]:
    """Numbers with zeros and gaps, one column of codes; each column matters."""
    rng = np.random.default_rng(seed)
    matrix = rng.normal(size=(rows, COLUMNS)).round(1)
    matrix[:, CATEGORY] = rng.integers(0, 40, rows)
    signal = matrix[:, 0] - matrix[:, 1] * matrix[:, 2] + (matrix[:, CATEGORY] % 3 == 1)
    matrix[:, :2][rng.random((rows, 2)) < 0.2] = np.nan
    matrix[:, 2:4][rng.random((rows, 2)) < 0.2] = 0.0
    return matrix, signal + rng.normal(size=rows) > 0


def trained(seed: int = 1, rounds: int = 12, **parameters: Any) -> str:
    """A model of trees with at most `MOST_QUESTIONS` decisions, unless the parameters say otherwise."""
    matrix, won = company(seed)
    data = lgb.Dataset(matrix, label=won.astype(float), categorical_feature=[CATEGORY], free_raw_data=False)
    chosen = {"num_leaves": 4, "min_data_in_leaf": 5, "min_data_per_group": 5, "cat_smooth": 1.0, "seed": seed}
    return str(lgb.train({**QUIET, **chosen, **parameters}, data, num_boost_round=rounds).model_to_string())


def from_lightgbm(texts: tuple[str, ...], matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean log-odds and SHAP values as LightGBM computes them."""
    models = [lgb.Booster(model_str=text) for text in texts]
    margin, parts = np.zeros(len(matrix)), np.zeros(matrix.shape)
    for model in models:
        margin += model.predict(matrix, raw_score=True)
        parts += model.predict(matrix, pred_contrib=True)[:, :-1]
    return margin / len(models), parts / len(models)


def unusual(seed: int, rows: int = 60) -> np.ndarray:
    """Rows with what training never showed: gaps and zeros everywhere, tiny numbers, unseen and broken codes."""
    rng = np.random.default_rng(seed)
    matrix, _ = company(seed + 1, rows)
    odd = [np.nan, 0.0, -0.0, ZERO, -ZERO, 1e-36, -1e-36, 1e300, -1e300, np.inf, -np.inf]
    some = rng.random(matrix.shape) < 0.25
    matrix[some] = rng.choice(odd, int(some.sum()))
    codes = rng.random(rows) < 0.5
    matrix[codes, CATEGORY] = rng.choice([-1.0, -0.5, 0.5, 3.7, 39.0, 40.0, 64.0, 1e6, np.nan], int(codes.sum()))
    return matrix


def with_table_spoilt(tables: TreeTables, group: int, pattern: int) -> TreeTables:
    first, *others = tables.groups[group].tables
    spoilt = first.copy()
    spoilt[pattern] += 1e-6
    groups = list(tables.groups)
    groups[group] = replace(groups[group], tables=(spoilt, *others))
    return replace(tables, groups=tuple(groups))
