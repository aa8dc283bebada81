"""A training with everything around it: suspects before, who was worked and what it means after."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from csql_ml.config import Config
from csql_ml.model.bundle import Champion
from csql_ml.model.guards import Suspect, guard
from csql_ml.model.selection import selection, weighed, worked_weights
from csql_ml.model.training import Trained, train
from csql_ml.model.training_data import TrainingData
from csql_ml.model.tuning import Budget, tune
from csql_ml.model.validation import Progress


def checked_training(
    data: TrainingData,
    config: Config,
    on_progress: Progress | None = None,
    previous: Champion | None = None,
    refused: Collection[str] = (),
    *,
    strict: bool = False,
    noted: Sequence[Suspect] = (),
    budget: Budget | None = None,
) -> tuple[Trained, TrainingData]:
    """As `csql_ml.model.training.train`, with guards and the steps of selection.

    Parameters
    ----------
    strict
        Leave suspects out.
    noted
        Suspects found while the columns were read.
    budget
        Of a search for other tree settings (`csql_ml.model.tuning`); None: the fixed recipe.

    Returns
    -------
    Trained, TrainingData
        The training, and the data it was made on: without suspects where ``strict``, with weights where the
        configuration asks for them (``model.selection``).
    """
    if on_progress is not None:
        on_progress("looking for columns that know the outcome", 0, 1)
    settings = config.model
    guarded = guard(data, strict=strict, trusted=settings.trusted, noted=noted, seed=settings.seed)
    weights = worked_weights(guarded.data, settings.seed)
    applied = settings.selection == "inverse_propensity"
    data = weighed(guarded.data, weights) if applied else guarded.data
    tuning = None if budget is None else tune(data, config, budget, on_progress)
    trained = train(data, config, on_progress, previous, refused, tuning)
    found = selection(data, trained.validation, weights, applied=applied)
    return replace(trained, suspects=guarded.suspects, excluded=guarded.excluded, selection=found, tuning=tuning), data
