"""Reasons that change at an unchanged score, told apart by whether their facts moved."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pytest

from csql_ml.config import Config
from csql_ml.monitoring.reasons import Churn, churn, findings
from csql_ml.monitoring.run_values import read_values
from tests.monitoring.small_runs import write_run

APRIL, JULY = date(2026, 4, 1), date(2026, 7, 1)
COUNT = 40
CONFIG = Config()
SEATS = np.linspace(0.2, 0.9, COUNT)
STRONG, WEAK = np.full(COUNT, 0.2), np.full(COUNT, 0.1)


def compared(folder: Path, **now: object) -> Churn:
    """A run in which seats were the main reason, and one that differs as given."""
    metrics = {"seats": SEATS, "growth": SEATS[::-1]}
    before = write_run(folder / "before", APRIL, metrics, points={"seats": STRONG, "growth": WEAK})
    later = {"metrics": metrics, "points": {"seats": WEAK, "growth": STRONG}, **now}
    after = write_run(folder / "after", JULY, **later)  # type: ignore[arg-type]
    return churn(read_values(after, 10_000, 1), read_values(before, 10_000, 1), CONFIG)


def test_another_reason_without_another_fact_is_the_models_doing(tmp_path: Path) -> None:
    found = compared(tmp_path)
    assert (found.shared, found.unchanged, found.main.value, found.unfounded.value) == (COUNT, COUNT, 1.0, 1.0)
    assert (found.kept, found.swaps) == (1.0, (("seats", "growth", COUNT),))
    (finding,) = findings(found, CONFIG)
    assert (finding.code, finding.level) == ("reasons_churn", "alarm")


def test_another_reason_because_a_fact_moved_is_no_alarm(tmp_path: Path) -> None:
    moved = {"seats": SEATS * 0.5, "growth": SEATS[::-1] + 1}
    found = compared(tmp_path, metrics=moved)
    assert (found.main.value, found.unfounded.value) == (1.0, 0.0)
    assert findings(found, CONFIG)[0].level == "fine"


def test_accounts_whose_score_moved_are_not_compared(tmp_path: Path) -> None:
    propensity = np.linspace(0.05, 0.4, COUNT) + np.where(np.arange(COUNT) < 30, 0.02, 0.0)
    found = compared(tmp_path, propensity=propensity)
    assert (found.shared, found.unchanged) == (COUNT, 10)
    assert findings(found, CONFIG)[0].code == "reasons_few"


def test_what_speaks_against_is_no_reason_and_a_lost_reason_counts(tmp_path: Path) -> None:
    found = compared(tmp_path, points={"seats": -STRONG, "growth": -WEAK})
    assert (found.main.value, found.kept, found.swaps) == (1.0, 0.0, (("seats", "", COUNT),))


def test_the_same_reasons_are_kept(tmp_path: Path) -> None:
    found = compared(tmp_path, points={"seats": STRONG, "growth": WEAK}, model_version="m2")
    assert (found.main.value, found.kept, found.same_model) == (0.0, 1.0, False)
    assert findings(None, CONFIG)[0].code == "reasons_no_earlier"


def test_a_run_of_many_accounts_is_drawn_from(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", JULY, {"seats": SEATS, "plan": ["Pro", "Basic"] * (COUNT // 2)})
    some, all_of_it = read_values(folder, 10, 1), read_values(folder, COUNT, 1)
    assert (some.accounts, len(some.scores), len(some.numbers["seats"])) == (COUNT, 10, 10)
    places = [int(a[1:]) - 1 for a in some.scores["account_id"]]
    assert some.numbers["seats"].tolist() == pytest.approx(SEATS[places].tolist())
    assert some.texts["plan"].tolist() == all_of_it.texts["plan"][places].tolist()
    assert (some.is_text("plan"), some.is_text("seats"), "reference" in some.numbers) == (True, False, False)
