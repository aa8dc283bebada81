"""The bag of small, monotone LightGBM models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import lightgbm as lgb
import numpy as np
import numpy.typing as npt

from csql_ml.labelled_rows import LabelledRows

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class TreeSettings:
    """What does not depend on the data."""

    directions: tuple[int, ...]
    categorical: tuple[int, ...]
    bags: int
    seed: int
    n_threads: int


@dataclass(frozen=True)
class TreeBag:
    """Mean of the log-odds of several LightGBM models.

    Attributes
    ----------
    texts
        The models as LightGBM text; prediction starts from these, so that a bundle holds exactly what was judged.
    n_threads
        Threads for prediction; the result does not depend on it.
    """

    texts: tuple[str, ...]
    n_threads: int = field(default=1, compare=False)

    @classmethod
    def fit(cls, rows: LabelledRows, settings: TreeSettings) -> TreeBag:
        """Train the bag; each model draws its own rows and columns."""
        fixed = _fixed_parameters(settings, len(rows.positive))
        # Columns go by number: LightGBM refuses names that JSON would quote.
        names = [f"c{i}" for i in range(rows.matrix.shape[1])]
        data = lgb.Dataset(
            rows.matrix,
            label=rows.positive.astype(float),
            weight=rows.weight,
            feature_name=names,
            categorical_feature=list(settings.categorical),
            params=fixed,
            free_raw_data=False,
        )
        rounds = boosting_rounds(len(rows.positive))
        models = [
            lgb.train({**fixed, "seed": settings.seed * 1009 + bag}, data, num_boost_round=rounds)
            for bag in range(settings.bags)
        ]
        return cls(tuple(m.model_to_string(num_iteration=-1) for m in models), settings.n_threads)

    @cached_property
    def _models(self) -> tuple[lgb.Booster, ...]:
        return tuple(lgb.Booster(model_str=text) for text in self.texts)

    def _mean(self, matrix: FloatArray, width: int, **what: bool) -> FloatArray:
        total = np.zeros((len(matrix), width))
        if not len(matrix):
            return total
        for model in self._models:
            total += np.asarray(model.predict(matrix, num_threads=self.n_threads, **what)).reshape(total.shape)
        return total / len(self._models)

    def margin(self, matrix: FloatArray) -> FloatArray:
        """(n,) mean log-odds."""
        return self._mean(matrix, 1, raw_score=True)[:, 0]

    def parts(self, matrix: FloatArray) -> FloatArray:
        """(n, columns) mean SHAP values in log-odds (LightGBM's ``pred_contrib``)."""
        return self._mean(matrix, matrix.shape[1] + 1, pred_contrib=True)[:, :-1]

    @cached_property
    def base(self) -> float:
        """Mean expected log-odds over the training rows of each tree."""
        blank = np.full((1, self._models[0].num_feature()), np.nan)
        return float(self._mean(blank, blank.shape[1] + 1, pred_contrib=True)[0, -1])

    def check_width(self, columns: int) -> None:
        """Raise ValueError unless every model reads ``columns`` columns."""
        if not self._models or any(m.num_feature() != columns for m in self._models):
            raise ValueError(f"the trees do not read {columns} columns")

    def __getstate__(self) -> dict[str, Any]:
        return {"texts": self.texts, "n_threads": self.n_threads}

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            object.__setattr__(self, name, value)


def boosting_rounds(n: int) -> int:
    """60 rounds up to 200 labels, growing with the logarithm to 200 rounds at 5,000."""
    growth = np.log(max(n, 1) / 200) / np.log(5000 / 200)
    return round(60 + 140 * float(np.clip(growth, 0.0, 1.0)))


def _fixed_parameters(settings: TreeSettings, n: int) -> dict[str, Any]:
    """Measured settings: trees this small and regularised beat larger ones up to about 5,000 labels."""
    return {
        "objective": "binary",
        "num_leaves": 4,
        "max_depth": 3,
        "learning_rate": 0.05,
        "min_data_in_leaf": int(np.clip(n / 20, 5, 40)),
        "lambda_l2": 10.0,
        "feature_fraction": 0.5,
        "bagging_fraction": 0.7,
        "bagging_freq": 1,
        "max_bin": 31,
        "path_smooth": 5.0,
        "monotone_constraints": list(settings.directions),
        "feature_pre_filter": False,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": settings.n_threads,
        "data_random_seed": settings.seed,
        "verbosity": -1,
    }


def categorical_places(category_sizes: Sequence[int]) -> tuple[int, ...]:
    """Columns that hold category codes."""
    return tuple(i for i, size in enumerate(category_sizes) if size)
