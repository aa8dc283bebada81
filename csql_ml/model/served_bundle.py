"""The model MLflow serves: a thin wrapper that loads the code-free bundle and scores with it.

MLflow runs this file when it loads the model ("models from code"), so nothing is ever unpickled. It gets one row per
account with the feature columns and answers with ``propensity`` (0 to 1) and ``baseline_score`` (0 to 100).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mlflow
import pandas as pd

from csql_ml.model.bundle import load


class ServedBundle(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
    """Scores feature rows with the bundle in the model's artifacts."""

    def load_context(self, context: Any) -> None:
        """Read and verify the bundle."""
        self.champion = load(Path(context.artifacts["bundle"]))

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """Propensity and score per row of ``model_input``, in its order."""
        return pd.DataFrame(
            {
                "propensity": self.champion.propensity(model_input),
                "baseline_score": self.champion.baseline_score(model_input),
            }
        )


mlflow.models.set_model(ServedBundle())
