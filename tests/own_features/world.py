"""A feature table of one's own with a known rule behind its labels, and what is made of it once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from csql_ml import pipeline
from csql_ml.config import Config

DATES = [date(2025, 1, 1), date(2025, 4, 1), date(2025, 7, 1), date(2025, 10, 1), date(2026, 4, 1)]
NEWEST = DATES[-1]
CONFIG = """
model: {bags: 1, bootstrap: 40}
tracking: {enabled: false}
models_folder: models
"""


def world(accounts: int = 160, dates: list[date] | None = None, seed: int = 5) -> pd.DataFrame:
    """Expansions follow an interaction that no weighted score of single columns holds."""
    rng = np.random.default_rng(seed)
    frames = []
    for as_of in DATES if dates is None else dates:
        usage, plan = rng.normal(size=accounts), rng.choice(["Básico", "Größe L", "プロ"], accounts)
        chance = np.where((plan == "プロ") & (usage > 0), 0.85, np.where(plan == "Größe L", 0.35, 0.08))
        frames.append(
            pd.DataFrame(
                {
                    "account_id": [f"{i:05d}" for i in range(accounts)],
                    "as_of": as_of,
                    "label": (rng.random(accounts) < chance).astype(float),
                    "usage": usage.round(4),
                    "plan": plan,
                    "trial": rng.random(accounts) < 0.4,
                    "noise": rng.normal(size=accounts).round(4),
                    "state": rng.choice(["CA", "NY"], accounts),
                    "nothing": np.nan,
                    "csm_id": [f"csm{i % 4}" for i in range(accounts)],
                }
            )
        )
    frame = pd.concat(frames, ignore_index=True)
    newest = frame["as_of"] == max(frame["as_of"])
    return frame.assign(label=frame["label"].mask(newest)) if frame["as_of"].nunique() > 1 else frame


def settings(folder: Path, **sections: Any) -> Config:
    quick = {"model": {"bags": 1, "bootstrap": 20}, "tracking": {"enabled": False}, "models_folder": "models"}
    return Config(**{**quick, **sections, "home": folder})


@dataclass(frozen=True)
class Trained:
    folder: Path
    config: Config
    table: Path
    training: pipeline.Training
    said: list[str]


def text_table(folder: Path, text: str, name: str = "features.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


HEAD = "account_id,as_of,label,x\n"
ROW = "a1,2025-01-01,1,2.5\n"
