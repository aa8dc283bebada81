"""The data scientist's page on one training: facts gathered here as plain values, words and drawings in `reports`."""

from __future__ import annotations

from csql_ml.company import Progress
from csql_ml.config import Config
from csql_ml.metrics import metrics_of
from csql_ml.model.champion import Champion
from csql_ml.model.training import Trained
from csql_ml.model.training_data import TrainingData
from csql_ml.model_report.facts import facts
from csql_ml.reports.model_report import render

__all__ = ["facts", "model_report"]


def model_report(
    trained: Trained,
    data: TrainingData,
    config: Config,
    before: Champion | None = None,
    on_progress: Progress | None = None,
) -> bytes:
    """The page on a training, in the company's language; the same training gives the same bytes.

    Parameters
    ----------
    data
        What it was made on.
    before
        The champion that was in force; None where there was none.
    """
    found = facts(trained, data, config, before, on_progress)
    return render(found, metrics_of(config), config.company.language, config.company.currency)
