"""The site of a sample of accounts, as the browser tests open it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from csql_ml import standup
from csql_ml.config import Config
from csql_ml.reports import evidence_text, report
from tests.reports.sample_run import METRICS, earlier_accounts, write_run


def written_sites(folder: Path, sample: Sequence[dict[str, Any]]) -> dict[str, Path]:
    """Folders of one site per language, English and the pseudo language, each with an earlier run and the stand-up."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evidence_text, "registry", lambda: METRICS)
        return _written(folder, sample)


def _written(folder: Path, sample: Sequence[dict[str, Any]]) -> dict[str, Path]:
    run = write_run(folder / "run", sample)
    old = write_run(folder / "old", earlier_accounts(sample, 1), as_of="2026-06-01")
    config = Config(delivery={"outbox": folder / "outbox.sqlite"})
    return {
        language: report(
            run,
            folder / language,
            language=language,
            config=config,
            earlier=[old],
            standup=standup.digest(config, run, old, language=language),
        ).index.parent
        for language in ("en", "qps")
    }
