"""What every test runs under: one thread, no telemetry, plain terminal, seeded randomness."""

from __future__ import annotations

import os

# Before numpy is imported: its thread pools read this once. Sums over several threads differ in their last bit.
os.environ.update(
    {
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "LOKY_MAX_CPU_COUNT": "2",
        "MPLBACKEND": "Agg",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "true",
        "COLUMNS": "120",
        "NO_COLOR": "1",
    }
)
# A developer's or a CI's own settings would change what commands print, or where runs are tracked.
for name in ("CI", "FORCE_COLOR", "GITHUB_ACTIONS", "PY_COLORS", "MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI"):
    os.environ.pop(name, None)

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, settings

from tests.tally import Tally

settings.register_profile(
    "project",
    derandomize=True,
    deadline=None,
    database=None,
    phases=[Phase.explicit, Phase.generate, Phase.target, Phase.shrink],
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("thorough", settings.get_profile("project"), derandomize=False, max_examples=1000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "project"))


@pytest.fixture(scope="session")
def project_root() -> Path:
    """The folder of pyproject.toml."""
    return Path(__file__).resolve().parent.parent


@pytest.fixture
def tally(request: pytest.FixtureRequest) -> Iterator[Tally]:
    """Counts for docs/reliability.md: what this test tries, and what of it goes well."""
    found = Tally(request.node.nodeid)
    yield found
    found.save()


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of the installed Chromium; browser tests fail without one, they never pass by being skipped."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if found := shutil.which(name):
            return found
    pytest.fail("browser tests need Chromium: apt-get install chromium, or run them with `make test-browser`")


@pytest.fixture(scope="session", autouse=True)
def _generators_are_seeded() -> Iterator[None]:
    """Whoever in csql_ml asks for a generator without a seed gets an error instead."""
    real = np.random.default_rng

    def seeded(seed: Any = None) -> np.random.Generator:
        caller = sys._getframe(1).f_globals.get("__name__", "")
        if seed is None and caller.split(".")[0] == "csql_ml":
            raise AssertionError(f"{caller} calls numpy.random.default_rng() without a seed")
        return real(seed)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(np.random, "default_rng", seeded)
        yield


def _is_scikit_learn_check(node: pytest.Item) -> bool:
    """Whether a test is one of ``parametrize_with_checks``; some of those shuffle with the global generator."""
    values = getattr(getattr(node, "callspec", None), "params", {}).values()
    return any(getattr(getattr(v, "func", v), "__module__", "") == "sklearn.utils.estimator_checks" for v in values)


@pytest.fixture(autouse=True)
def _global_randomness_is_untouched(request: pytest.FixtureRequest) -> Iterator[None]:
    """Numpy's global generator is nobody's: a draw from it makes results depend on what ran before."""
    np.random.seed(0)  # noqa: NPY002, TID251 - where a foreign check draws all the same, it draws the same
    before = np.random.get_state(legacy=False)["state"]  # noqa: NPY002
    yield
    after = np.random.get_state(legacy=False)["state"]  # noqa: NPY002
    unchanged = before["pos"] == after["pos"] and np.array_equal(before["key"], after["key"])
    if not unchanged and not _is_scikit_learn_check(request.node):
        pytest.fail("numpy's global random generator was used; pass numpy.random.default_rng(seed) along")
