"""Everything the model report says, as plain values: what JSON can hold, no words but names.

Figures are taken from the training's own results and not computed a second time, so that page, card and JSON agree.
A part that does not exist is ``{"absent": code}``; the page says why.
"""

from __future__ import annotations

from typing import Any

import pandas as pd

from csql_ml.company import Progress
from csql_ml.config import Config
from csql_ml.model.champion import Champion
from csql_ml.model.training import Trained
from csql_ml.model.training_data import STATES, TrainingData
from csql_ml.model_report.changes import changes, drift
from csql_ml.model_report.curves import curves, gains
from csql_ml.model_report.learning import learning_curve
from csql_ml.model_report.reasons import reasons

Plain = dict[str, Any]


def facts(
    trained: Trained,
    data: TrainingData,
    config: Config,
    before: Champion | None = None,
    on_progress: Progress | None = None,
) -> Plain:
    """The facts of one training.

    Parameters
    ----------
    before
        The champion that was in force; None where there was none.
    """
    told = told_of(trained)
    return {
        "about": _about(trained, told, data, config),
        "verdict": trained.verdict.to_dict() | {"min_positives": config.model.min_positives},
        "succession": trained.succession.to_dict() if trained.succession else None,
        "gains": gains(trained.verdict.figures),
        "curves": curves(trained.validation),
        "calibration": trained.calibration.to_dict() if trained.calibration else None,
        "learning": learning_curve(trained, data, config, on_progress),
        "maturity": trained.maturity.to_dict() if trained.maturity else None,
        "reasons": reasons(told),
        "stability": dict(told.refits.figures) if told.refits is not None else {},
        "funnel": _funnel(trained.label_funnel),
        "selection": trained.selection.to_dict() if trained.selection else None,
        "suspects": [s.to_dict() | {"excluded": s.feature in trained.excluded} for s in trained.suspects],
        "drift": drift(before, data),
        "changes": changes(before, told, data),
    }


def told_of(trained: Trained) -> Champion:
    """Whose reasons are shown: the model trained now, champion or challenger, where there is one."""
    challenger = trained.challenger
    return challenger if challenger is not None and challenger.kind == "stack" else trained.champion


def _about(trained: Trained, told: Champion, data: TrainingData, config: Config) -> Plain:
    champion = trained.champion
    return {
        "company": config.company.name,
        "as_of": data.now.isoformat(),
        "champion": {"kind": champion.kind, "version": champion.model_version},
        "told": {"kind": told.kind, "version": told.model_version},
        "kept": trained.kept,
        "promoted": trained.promoted,
        "assumed": champion.trained_as_of is None,
        "stage": config.labels.stage,
        "repetitions": config.model.bootstrap,
        "rows": len(data.frame),
        "fingerprint": data.fingerprint(),
        "terms": bool(data.terms),
        "tuning": None if trained.tuning is None else {"trials": trained.tuning.trials, "pays": trained.tuning.pays},
        "features": [
            {"name": f.name, "metric": f.metric, "direction": f.direction, "categorical": f.categorical}
            for f in told.features
        ],
        "columns": len(data.features),
    }


def _funnel(funnel: pd.DataFrame) -> list[Plain]:
    return [
        {
            "as_of": row["as_of"].isoformat(),
            **{name: int(row[name]) for name in ("accounts", *STATES)},
            "rate": None if pd.isna(row["positive_rate"]) else float(row["positive_rate"]),
        }
        for row in funnel.to_dict("records")
    ]
