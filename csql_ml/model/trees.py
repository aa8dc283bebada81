"""The bag of small, monotone LightGBM models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import lightgbm as lgb
import numpy as np
import numpy.typing as npt

from csql_ml.labelled_rows import LabelledRows
from csql_ml.model.tree_shape import TreeShape
from csql_ml.model.tree_tables import TreeTables, tabled
from csql_ml.model.tree_text import read_trees

FloatArray = npt.NDArray[np.float64]

#: Tables are made for log-odds once as many rows were asked about as a model's text has pages of so many bytes: until
#: then making them takes longer than LightGBM takes.
_PAGE = 40
_MANY_COLUMNS = 100


@dataclass(frozen=True)
class TreeSettings:
    """What does not depend on the data."""

    directions: tuple[int, ...]
    categorical: tuple[int, ...]
    bags: int
    seed: int
    n_threads: int
    shape: TreeShape = field(default_factory=TreeShape)


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
        rounds = max(1, round(boosting_rounds(len(rows.positive)) * settings.shape.rounds))
        models = [
            lgb.train({**fixed, "seed": settings.seed * 1009 + bag}, data, num_boost_round=rounds)
            for bag in range(settings.bags)
        ]
        return cls(tuple(m.model_to_string(num_iteration=-1) for m in models), settings.n_threads)

    @cached_property
    def _models(self) -> tuple[lgb.Booster, ...]:
        return tuple(lgb.Booster(model_str=text) for text in self.texts)

    @cached_property
    def _tables(self) -> tuple[TreeTables, tuple[int, ...]]:
        """Tables of the models whose trees all have them, and their places among the models."""
        read = [read_trees(text) for text in self.texts]
        found = {place: trees for place, trees in enumerate(read) if trees is not None and all(map(tabled, trees))}
        return TreeTables.of(list(found.values())), tuple(found)

    def _predicted(self, place: int, matrix: FloatArray, **what: bool) -> FloatArray:
        return np.asarray(self._models[place].predict(matrix, num_threads=self.n_threads, **what))

    def _mean_margin(self, matrix: FloatArray, known: Mapping[int, FloatArray]) -> FloatArray:
        """Mean over the models, in their order; those not known are LightGBM's."""
        total = np.zeros(len(matrix))
        for place in range(len(self.texts) if len(matrix) else 0):  # LightGBM refuses no rows
            total += known[place] if place in known else self._predicted(place, matrix, raw_score=True)
        return total / len(self.texts)

    def _mean_parts(self, matrix: FloatArray, total: FloatArray, known: Sequence[int]) -> FloatArray:
        """Add the models not known to the total of those that are, and divide by their number."""
        for place in sorted(set(range(len(self.texts) if len(matrix) else 0)) - set(known)):
            total += self._predicted(place, matrix, pred_contrib=True)[:, :-1]
        total /= len(self.texts)
        return total

    def margin(self, matrix: FloatArray) -> FloatArray:
        """(n,) mean log-odds; to the last bit the same from tables and from LightGBM."""
        if "_tables" not in vars(self):
            asked = vars(self)["_asked"] = vars(self).get("_asked", 0) + len(matrix)
            if asked * _PAGE < max(map(len, self.texts)):
                return self._mean_margin(matrix, {})
        tables, places = self._tables
        return self._mean_margin(matrix, dict(zip(places, tables.margins(matrix), strict=True)))

    def parts(self, matrix: FloatArray) -> FloatArray:
        """(n, columns) mean SHAP values in log-odds: from tables, or LightGBM's ``pred_contrib`` where there are none.

        A row's values are the same whatever rows are given with it.
        """
        tables, places = self._tables
        return self._mean_parts(matrix, tables.parts(matrix), places)

    def margin_and_parts(self, matrix: FloatArray) -> tuple[FloatArray, FloatArray]:
        """`margin` and `parts` in one pass."""
        tables, places = self._tables
        margins, total = tables.both(matrix)
        known = dict(zip(places, margins, strict=True))
        return self._mean_margin(matrix, known), self._mean_parts(matrix, total, places)

    @cached_property
    def base(self) -> float:
        """Mean expected log-odds over the training rows of each tree."""
        blank = np.full((1, self._models[0].num_feature()), np.nan)
        total = 0.0
        for place in range(len(self.texts)):
            total += float(self._predicted(place, blank, pred_contrib=True)[0, -1])
        return total / len(self.texts)

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
    """The shape, and what is never tuned."""
    return {
        "objective": "binary",
        **settings.shape.parameters(n),
        "bagging_freq": 1,
        "monotone_constraints": list(settings.directions),
        "feature_pre_filter": False,
        "deterministic": True,
        # Histograms are the same; of many columns they are quicker made one by one.
        "force_col_wise" if len(settings.directions) > _MANY_COLUMNS else "force_row_wise": True,
        "num_threads": settings.n_threads,
        "data_random_seed": settings.seed,
        "verbosity": -1,
    }


def categorical_places(category_sizes: Sequence[int]) -> tuple[int, ...]:
    """Columns that hold category codes."""
    return tuple(i for i, size in enumerate(category_sizes) if size)
