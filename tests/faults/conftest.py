from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.jobs import MODULES
from tests.faults.small_files import CONFIG
from tests.faults.system_calls import Jobs
from tests.small_company import ACCOUNTS, CONTRACTS, FIRST_EVENT, rows, write_tables


@pytest.fixture(scope="module")
def jobs() -> Iterator[Jobs]:
    with Jobs("tests.faults.jobs", *MODULES) as found:
        yield found


@pytest.fixture
def company(tmp_path: Path) -> Path:
    """The configuration of a company of two accounts; everything is written below its ``out``."""
    write_tables(tmp_path, {"accounts": rows(ACCOUNTS), "contracts": rows(CONTRACTS), "events": rows(FIRST_EVENT)})
    (tmp_path / "c.yaml").write_text(CONFIG, encoding="utf-8")
    (tmp_path / "out").mkdir()
    return tmp_path / "c.yaml"
