"""What of the tree bag can be tuned; the defaults are the fixed recipe."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np


@dataclass(frozen=True)
class TreeShape:
    """Size and regularisation of the LightGBM models.

    Measured: on simulated companies trees as small and regularised as the defaults beat larger ones up to about 5,000
    labels; where a table says otherwise, `csql_ml.model.freer_trees` finds out.

    Attributes
    ----------
    leaves, depth
        Of one tree, at most.
    rounds
        Factor on `csql_ml.model.trees.boosting_rounds`.
    min_data
        Factor on the fewest rows of a leaf, n / 20 within 5 to 40.
    max_bin
        Steps that the values of a column are told apart by.
    """

    leaves: int = 4
    depth: int = 3
    learning_rate: float = 0.05
    rounds: float = 1.0
    min_data: float = 1.0
    lambda_l2: float = 10.0
    feature_fraction: float = 0.5
    bagging_fraction: float = 0.7
    path_smooth: float = 5.0
    max_bin: int = 31

    def parameters(self, n: int) -> dict[str, float | int]:
        """The settings by LightGBM's names, for ``n`` labels."""
        return {
            "num_leaves": self.leaves,
            "max_depth": self.depth,
            "learning_rate": self.learning_rate,
            "min_data_in_leaf": max(1, int(np.clip(n / 20, 5, 40) * self.min_data)),
            "lambda_l2": self.lambda_l2,
            "feature_fraction": self.feature_fraction,
            "bagging_fraction": self.bagging_fraction,
            "path_smooth": self.path_smooth,
            "max_bin": self.max_bin,
        }

    def __str__(self) -> str:
        return ", ".join(f"{name} {value:.3g}" for name, value in asdict(self).items())
