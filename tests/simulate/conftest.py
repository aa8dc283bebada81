from __future__ import annotations

import pytest

from tests.simulate.company_on_disk import Simulated, simulated


@pytest.fixture(scope="session")
def company(tmp_path_factory: pytest.TempPathFactory) -> Simulated:
    """300 accounts over 5 quarters."""
    return simulated(tmp_path_factory.mktemp("simulated") / "company")
