"""What Spark's workers do, without Spark: parts of a snapshot give the rows of the whole."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from csql_ml.batch_run import account_digests, digest_sum, dossier_of
from csql_ml.errors import BundleError
from csql_ml.handoff.lead import lead_of
from csql_ml.run_files import json_text
from csql_ml.scoring import INELIGIBLE, QUALIFIED, Scored, score_snapshot
from csql_ml.snapshots import Snapshot
from csql_ml.spark_scoring.job import Columns, Job
from csql_ml.spark_scoring.tasks import FINISHED, finish_task, finished_rows, score_task, scored_rows
from csql_ml.spark_scoring.wide_rows import ACCOUNT, CONTACTS, METRICS, snapshot_of, snapshots_of
from tests.snapshot_tables import AS_OF, CONFIG, champion, snapshot
from tests.snapshot_tables import METRICS as DEFINITIONS

ACCOUNTS = """
account_id | name   | csm_id | ae_id | seat_saturation | seat_saturation.active_users | upgrade_attempts | days_to_renewal | budget_expansion | tenure | open_high_severity_tickets | plan
a1         | Groß   | c1     | e7    | 0.9             | 9                            | 3                | 60              | 1                | 400    | 0                          | Pro
a2         |        | c1     |       | 0.9             |                              | 3                |                 |                  | 400    | 2                          |
a3         | Straße |        |       | 0.9             |                              | 3                |                 |                  | 3      | 0                          | Basic
a4         |        | c2     |       | 0.5             |                              | 0                | 200             | 0                | 400    | 0                          |
a5         |        | c2     |       | 0.5             |                              | 0                | 200             | 0                | 400    | 0                          |
"""  # noqa: E501
CONTACTS_OF = """
contact_id | account_id | role  | name | since_days_ago | last_engaged_days_ago
k1         | a1         | buyer | Bo   | 300            | 3
k2         | a1         | user  |      | 10             |
k3         | a4         | buyer | Eva  | 90             | 5
"""
WHOLE = snapshot(ACCOUNTS, CONTACTS_OF)
RUN = "run-1"


def job(**changes: Any) -> Job:
    facts = tuple(c for c in WHOLE.facts.columns if c != "account_id")
    texts = tuple(c for c in WHOLE.features.columns if WHOLE.features[c].dtype == object and c != "as_of")
    names = tuple(c for c in WHOLE.features.columns if c not in ("account_id", "as_of"))
    columns = Columns(names, facts, tuple(t for t in texts if t != "account_id"))
    sources = {"seat_saturation": (("contracts", None), ("events", 30))}
    made = Job(AS_OF, CONFIG, DEFINITIONS, sources, ("nps",), columns, champion())
    return replace(made, **changes)


def wide(places: list[int], contacts: bool = True) -> pa.Table:
    """Some accounts as the wide rows that Spark sends."""
    rows = []
    for i in places:
        account = WHOLE.features["account_id"][i]
        theirs = WHOLE.contacts[WHOLE.contacts["account_id"] == account]
        row = {
            "account_id": account,
            METRICS: _values(WHOLE.features, i) | _values(WHOLE.facts, i),
            ACCOUNT: _values(WHOLE.accounts, i),
            CONTACTS: [_values(theirs, p) for p in range(len(theirs))] or None,
        }
        rows.append(row if contacts else {k: v for k, v in row.items() if k != CONTACTS})
    return pa.Table.from_pylist(rows, schema=_schema(contacts))


def _values(frame: Any, row: int) -> dict[str, Any]:
    line = frame.iloc[row].to_dict()
    return {k: None if v != v or v is None else v for k, v in line.items() if k != "as_of"}


def _schema(contacts: bool) -> pa.Schema:
    made = job().columns
    numbers = {c: pa.float64() for c in (*made.features, *made.facts)}
    texts = {c: pa.string() for c in (*made.categories, "main_product", "plan_in_force", "account_id")}
    person = {c: pa.string() for c in ("contact_id", "account_id", "role", "name")}
    person |= {"since_days_ago": pa.int64(), "last_engaged_days_ago": pa.int64()}
    fields = {
        "account_id": pa.string(),
        METRICS: pa.struct(list((numbers | texts).items())),
        ACCOUNT: pa.struct([(c, pa.string()) for c in WHOLE.accounts.columns]),
        CONTACTS: pa.list_(pa.struct(list(person.items()))),
    }
    return pa.schema({k: v for k, v in fields.items() if contacts or k != CONTACTS})


class Sent:
    """Stands for a broadcast variable."""

    def __init__(self, value: bytes) -> None:
        self.value = value


def expected() -> tuple[Scored, list[dict[str, Any]]]:
    """The run as one machine makes it."""
    of = job()
    scored = score_snapshot(WHOLE, of.metrics, of.champion, CONFIG, RUN)
    dossier = dossier_of(WHOLE, scored, of.metrics, of.sources, of.champion, of.absent, CONFIG)
    return scored, list(dossier.records())


def on_workers(parts: list[list[int]]) -> pa.Table:
    """The run as tasks make it, with the places that `ranked` gives."""
    payload = Sent(job().to_bytes())
    scored = [b for places in parts for b in score_task(payload, iter(wide(places).to_batches()))]  # type: ignore[arg-type]
    rows = pa.Table.from_batches(scored).sort_by("account_id")
    table = expected()[0].scores
    n = len(table)
    ahead = np.rint((1.0 - table["percentile"].to_numpy()) * n).astype(np.int64)
    for name, values in (
        ("ahead", ahead),
        ("rank", table["rank"]),
        ("rank_in_portfolio", table["rank_in_portfolio"]),
    ):
        rows = rows.append_column(name, pa.array(np.asarray(values, dtype=np.int64)))
    return pa.Table.from_batches(finish_task(payload, RUN, n, iter(rows.to_batches())))  # type: ignore[arg-type]


@settings(max_examples=10)
@given(st.permutations(range(5)), st.integers(1, 5))
def test_parts_scored_apart_are_the_run_of_one_machine(order: list[int], size: int) -> None:
    parts = [order[i : i + size] for i in range(0, 5, size)]
    finished = on_workers(parts)
    scored, records = expected()
    assert finished.schema == FINISHED
    scores = finished.select(scored.scores.columns.tolist()).to_pandas()
    for column in scores.columns:
        left, right = scores[column].tolist(), scored.scores[column].tolist()
        assert (
            left == pytest.approx(right, abs=1e-12, nan_ok=True) if column in _FLOATS else _plain(left) == _plain(right)
        )
    found = [json.loads(text) for text in finished.column("record").to_pylist()]
    assert found == [_near(json.loads(json_text(r))) for r in records]


_FLOATS = ("propensity", "baseline_score", "percentile", "expected_arr")


def _plain(values: list[Any]) -> list[Any]:
    return [None if v != v else v for v in values]


def _near(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _near(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_near(v) for v in value]
    return pytest.approx(value, abs=1e-12) if isinstance(value, float) else value


def test_explanations_stand_beside_their_account() -> None:
    finished = on_workers([[0, 2, 4], [1, 3]])
    explained = expected()[0].explanations
    for account, reasons in zip(
        finished.column("account_id").to_pylist(), finished.column("explanations").to_pylist(), strict=True
    ):
        theirs = explained[explained["account_id"] == account]
        assert [r["metric"] for r in reasons] == theirs["metric"].tolist()
        assert [r["points"] for r in reasons] == pytest.approx(theirs["points"].tolist(), abs=1e-12)
        assert [r["rank"] for r in reasons] == list(range(len(reasons)))


def test_leads_are_those_of_the_qualified() -> None:
    finished = on_workers([[0, 1, 2, 3, 4]])
    of = job()
    leads = dict(zip(finished.column("account_id").to_pylist(), finished.column("lead").to_pylist(), strict=True))
    qualified = {
        r["account_id"]: lead_of(r, of.champion, RUN, CONFIG, WHOLE) for r in expected()[1] if r["status"] == QUALIFIED
    }
    assert qualified
    assert {a: json.loads(text) for a, text in leads.items() if text} == json.loads(json_text(qualified))


def test_the_standing_of_some_is_ineligible_and_last() -> None:
    finished = on_workers([[0, 1], [2, 3, 4]]).to_pylist()
    last = max(finished, key=lambda row: row["rank"])
    assert last["status"] == INELIGIBLE
    assert {row["band"] for row in finished} <= {"high", "medium", "low"}


def test_digests_add_up_to_those_of_the_whole() -> None:
    rows = [scored_rows(snapshot_of(wide(p), job().columns, AS_OF), job()) for p in ([4, 0], [3, 1, 2])]
    digests = [d for batch in rows for d in batch.column("digest").to_pylist()]
    assert digest_sum(digests) == digest_sum(account_digests(_as_computed(WHOLE)))


def _as_computed(made: Snapshot) -> Snapshot:
    """With the types that a company's snapshots have."""
    return snapshot_of(wide(list(range(len(made.features)))), job().columns, AS_OF)


@pytest.mark.parametrize(("rows", "sizes"), [(0, []), (1, [1]), (4, [2, 2]), (5, [2, 3])])
def test_no_account_is_left_alone(rows: int, sizes: list[int]) -> None:
    batches = wide(list(range(rows))).to_batches(max_chunksize=1)
    made = list(snapshots_of(iter(batches), job().columns, AS_OF, most=2))
    assert [len(s.features) for s in made] == sizes
    assert [a for s in made for a in s.features["account_id"]] == WHOLE.features["account_id"].tolist()[:rows]


def test_a_company_without_contacts_has_none() -> None:
    made = snapshot_of(wide([0, 1], contacts=False), job().columns, AS_OF)
    assert made.contacts.empty
    records = [json.loads(r) for r in scored_rows(made, job()).column("record").to_pylist()]
    assert [r["stakeholders"] for r in records] == [[], []]


def test_empty_batches_of_spark_are_passed_over() -> None:
    finished = list(on_workers([[0, 1, 2, 3, 4]]).slice(0, 0).to_batches())
    assert list(finish_task(Sent(job().to_bytes()), RUN, 5, iter(finished))) == []  # type: ignore[arg-type]


# --- job --------------------------------------------------------------------------------------------------------------


def test_a_job_read_from_bytes_is_the_one_sent() -> None:
    sent = job()
    read = Job.from_bytes(sent.to_bytes())
    assert read.champion.model_version == sent.champion.model_version
    assert (read.as_of, read.columns, read.absent) == (sent.as_of, sent.columns, sent.absent)
    assert [m.name for m in read.metrics] == [m.name for m in sent.metrics]
    assert read.config.model_dump() == CONFIG.model_dump() | read.config.model_dump(
        include={"data", "tracking", "spark"}
    )


def test_passwords_and_formulas_stay_on_the_driver() -> None:
    data = CONFIG.data.model_copy(update={"database": "postgres://me:secret@db/company"})
    content = job(config=CONFIG.model_copy(update={"data": data})).to_bytes()
    assert b"secret" not in content
    read = Job.from_bytes(content)
    with pytest.raises(TypeError, match="computed before"):
        read.metrics[0].formula(None)  # type: ignore[arg-type]


def test_another_version_on_the_workers_is_refused() -> None:
    state = json.loads(job().to_bytes())
    with pytest.raises(BundleError, match=r"csql_ml .* runs on a Spark worker and 9\.9\.9 on the driver"):
        Job.from_bytes(json.dumps(state | {"version": "9.9.9"}).encode())


def test_a_champion_damaged_on_its_way_is_refused() -> None:
    state = json.loads(job().to_bytes())
    state["bundle"]["bundle.json"] = state["bundle"]["bundle.json"].replace("50.0", "51.0")
    with pytest.raises(BundleError, match="run the job again"):
        Job.from_bytes(json.dumps(state).encode())


def test_standings_of_a_batch_go_into_every_file() -> None:
    of = job()
    batch = scored_rows(snapshot_of(wide([0, 1]), of.columns, AS_OF), of)
    table = pa.Table.from_batches([batch])
    for name, values in (("ahead", [1, 0]), ("rank", [2, 1]), ("rank_in_portfolio", [2, 1])):
        table = table.append_column(name, pa.array(values, pa.int64()))
    rows = finished_rows(table.to_batches()[0], of, RUN, 2).to_pylist()
    assert [(r["rank"], r["percentile"], r["run_id"]) for r in rows] == [(2, 0.5, RUN), (1, 1.0, RUN)]
    assert [json.loads(r["record"])["rank"] for r in rows] == [2, 1]
