"""A run's identity: the same for the same content however it is cut, another one for any difference."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from csql_ml.batch_run import (
    account_digests,
    digest_sum,
    input_fingerprint,
    inputs_of,
    part_of,
    reference_places,
    run_id_of,
    write_run,
)
from csql_ml.model.bundle import reference_set
from csql_ml.run_files import EXPLANATIONS_SCHEMA, SCORES_SCHEMA
from csql_ml.scoring import score_snapshot
from csql_ml.snapshots import Snapshot
from tests.snapshot_tables import AS_OF, CONFIG, FEATURES, METRICS, champion, features, snapshot

ACCOUNTS = """
account_id | name   | seat_saturation | upgrade_attempts | segment | seat_saturation.active_users
a1         | Groß   | 0.5             | 1                | smb     | 5
a2         |        | 0.9             | 4                |         |
a3         | Straße |                 | 0                | smb     | 7
"""
CONTACTS = """
contact_id | account_id | role  | name | since_days_ago | last_engaged_days_ago
k1         | a1         | buyer | Bo   | 300            | 3
k2         | a1         | user  |      | 10             |
k3         | a3         | buyer | Eva  | 90             | 5
"""


@pytest.fixture
def made() -> Snapshot:
    return snapshot(ACCOUNTS, CONTACTS)


def changed(frame: pd.DataFrame, row: int, column: str, value: Any) -> pd.DataFrame:
    other = frame.copy()
    other[column] = [value if i == row else v for i, v in enumerate(other[column].tolist())]
    return other


# --- fingerprint ------------------------------------------------------------------------------------------------------


@settings(max_examples=20)
@given(st.permutations(range(3)), st.integers(0, 3))
def test_a_snapshot_and_its_parts_in_any_order_have_one_sum(order: list[int], cut: int) -> None:
    whole = snapshot(ACCOUNTS, CONTACTS)
    parts = [part_of(whole, places) for places in (order[:cut], order[cut:])]
    total = sum(digest_sum(account_digests(part)) for part in parts)
    assert inputs_of(3, total, CONFIG, {}) == input_fingerprint(whole, CONFIG, {})


@pytest.mark.parametrize(
    ("frame", "column", "value"),
    [
        ("features", "seat_saturation", 0.5000000000000001),
        ("features", "seat_saturation", np.nan),
        ("features", "segment", "SMB"),
        ("facts", "seat_saturation.active_users", 6.0),
        ("facts", "main_product", None),
        ("accounts", "name", "Gross"),
        ("contacts", "since_days_ago", 301),
    ],
)
def test_any_other_value_is_another_fingerprint(made: Snapshot, frame: str, column: str, value: Any) -> None:
    other = replace(made, **{frame: changed(getattr(made, frame), 0, column, value)})
    assert input_fingerprint(other, CONFIG, {}) != input_fingerprint(made, CONFIG, {})


def test_what_belongs_to_one_account_counts_for_no_other(made: Snapshot) -> None:
    swapped = replace(made, facts=made.facts.iloc[[2, 1, 0]].reset_index(drop=True))
    assert input_fingerprint(swapped, CONFIG, {}) != input_fingerprint(made, CONFIG, {})
    moved = replace(made, contacts=changed(made.contacts, 0, "account_id", "a2"))
    assert input_fingerprint(moved, CONFIG, {}) != input_fingerprint(made, CONFIG, {})


def test_types_of_an_engine_and_the_order_of_contacts_do_not_count(made: Snapshot) -> None:
    """A column of whole numbers is int64 on one engine and float64 on another; zero has a sign on neither."""
    people = made.contacts.iloc[::-1].reset_index(drop=True).astype({"name": "str"})
    other = replace(made, facts=made.facts.astype({"licensed_seats": "int64"}), contacts=people)
    other.facts["modules_mask"] = -0.0
    assert input_fingerprint(other, CONFIG, {}) == input_fingerprint(made, CONFIG, {})


def test_settings_and_notes_count_and_places_do_not(made: Snapshot) -> None:
    usual = input_fingerprint(made, CONFIG, {})
    elsewhere = CONFIG.model_copy(update={"engine": "spark", "models_folder": CONFIG.models_folder / "other"})
    assert input_fingerprint(made, elsewhere, {}) == usual
    assert input_fingerprint(made, CONFIG, {"absent": ["nps"]}) != usual
    strict = CONFIG.model_copy(update={"baseline": CONFIG.baseline.model_copy(update={"threshold": 60.0})})
    assert input_fingerprint(made, strict, {}) != usual
    assert run_id_of(AS_OF, "m1", usual) != run_id_of(AS_OF, "m2", usual)


# --- rows -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("accounts", [5, 30])
def test_the_reference_accounts_are_those_drawn_from_all(accounts: int) -> None:
    lines = "\n".join(f"a{i:02d} | {i / 100} | {i % 3}" for i in range(accounts))
    table = features(f"account_id | seat_saturation | upgrade_attempts\n{lines}")
    config = CONFIG.model_copy(update={"model": CONFIG.model.model_copy(update={"reference_size": 20})})
    estimator = champion().estimator
    drawn = reference_set(estimator, FEATURES, table, 20, config.model.seed)
    places = reference_places(accounts, config)
    again = reference_set(estimator, FEATURES, table.iloc[places], 20, config.model.seed)
    np.testing.assert_array_equal(drawn.rows, again.rows)
    np.testing.assert_array_equal(drawn.phi, again.phi)
    assert len(places) == min(accounts, 20)


def test_a_column_in_which_everything_is_missing_keeps_its_type(made: Snapshot, tmp_path: Any) -> None:
    scored = score_snapshot(made, METRICS, champion(), CONFIG, "run")
    nobody = replace(scored, scores=scored.scores.assign(lead_type=None, csm_id=None))
    manifest = write_run(tmp_path, nobody, [], [], {"run_id": "run"})
    assert pq.read_schema(tmp_path / "scores.parquet") == SCORES_SCHEMA
    assert pq.read_schema(tmp_path / "explanations.parquet") == EXPLANATIONS_SCHEMA
    assert manifest["rows"]["scores.parquet"] == sum(manifest["counts"].values()) == 3
