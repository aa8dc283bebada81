"""The whole main job on a simulated company."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from csql_ml import config as configuration
from csql_ml import pipeline
from csql_ml.company import Progress
from csql_ml.model.saving import Training
from csql_ml.pipeline import Run
from csql_ml.reports import ReportSummary, report
from csql_ml.simulate import END, simulate, write_config


@dataclass(frozen=True)
class Demo:
    """What the demo made."""

    config: Path
    training: Training
    run: Run
    report: ReportSummary


def run_demo(
    out: Path,
    *,
    accounts: int = 600,
    quarters: int = 8,
    seed: int = 7,
    on_progress: Progress | None = None,
) -> Demo:
    """Simulate, train, score and report into ``out``; bundles and cards go to ``models`` beside it."""
    say = on_progress or (lambda step, done, of: None)
    simulate(
        out / "data",
        accounts=accounts,
        quarters=quarters,
        seed=seed,
        on_progress=lambda step, share: say(f"simulating: {step}", round(share * 100), 100),
    )
    path = write_config(out / "config.yaml", folder="data", models_folder="../models")
    config = configuration.load(path)
    training = pipeline.train_champion(config, None, say)
    run = pipeline.score(config, END, out / "run", None, say)
    say("writing the report", 0, 1)
    pages = report(out / "run", out / "report", language=config.company.language, config=config)
    return Demo(path, training, run, pages)
