"""One small site, written once for the tests of a folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from csql_ml.config import Config
from csql_ml.reports import ReportSummary, evidence_text, report
from tests.reports.sample_run import METRICS, accounts, write_run


@pytest.fixture(autouse=True, scope="module")
def _sample_metrics() -> Any:
    """The site knows the sample's metrics, whatever the registry holds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evidence_text, "registry", lambda: METRICS)
        yield


@pytest.fixture
def write_site(tmp_path: Path) -> Callable[..., ReportSummary]:
    """Writes a site of the given accounts: ``write_site(records, language=..., manifest entries ...)``."""

    def write(records: list[dict[str, Any]], language: str = "en", config: Config | None = None, **entries: Any) -> Any:
        run = write_run(tmp_path / "run", records, **entries)
        return report(run, tmp_path / "site", language=language, config=config or Config())

    return write


@pytest.fixture(scope="session")
def sample() -> list[dict[str, Any]]:
    """Accounts of every status, the first ten with hostile names."""
    return accounts(90, seed=3, csms=4)


@pytest.fixture(scope="module")
def site(sample: list[dict[str, Any]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the English site of ``sample``."""
    folder = tmp_path_factory.mktemp("site")
    run = write_run(folder / "run", sample)
    return report(run, folder / "site", language="en", config=Config()).index.parent
