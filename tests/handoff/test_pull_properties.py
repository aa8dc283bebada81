"""Whatever changes and pulls there are, in whatever order: the tables are those of pulls that nothing disturbed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import ibis
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from csql_ml.as_of import cut
from csql_ml.contract.tables import TABLES
from csql_ml.dated_rows import dated
from csql_ml.errors import DeliveryError
from csql_ml.handoff import pull as pull_module
from csql_ml.handoff.sink import TransientError
from tests.handoff.pulled_company import PulledCompany
from tests.handoff.scripted_sink import Killed

START = datetime(2026, 7, 1, 8, tzinfo=UTC)
STEPS = ("created", "accepted_at", "rejected_at", "opportunity_at", "closed_at", "touched")


@dataclass(frozen=True)
class Change:
    """Something happens to a record, some minutes after whatever happened before."""

    table: str
    number: int
    step: str
    minutes: int


@dataclass(frozen=True)
class Pull:
    """A pull, and what becomes of it: "fine", "twice", "away" (no answer at all), "full", or a crash at a step."""

    fate: str


CRASHES = ("write_file", "newest_rows", "write_state")
changes = st.builds(
    Change,
    st.sampled_from(["csqls", "opportunities"]),
    st.integers(0, 2),
    st.sampled_from(STEPS),
    st.sampled_from([0, 1, 4, 600, 5000]),
)
pulls = st.builds(Pull, st.sampled_from(["fine", "twice", "away", "full", *CRASHES]))
stories = st.lists(st.one_of(changes, changes, pulls), max_size=14)


def _told(company: PulledCompany, change: Change, now: datetime) -> None:
    at, values = now.isoformat().replace("+00:00", "Z"), {}
    if change.step in ("closed_at", "touched") or change.table == "csqls":
        values = {} if change.step in ("created", "touched") else {change.step: at}
    if change.step == "closed_at":
        values |= {"won": change.number == 1, "arr": 100.0 * change.number}
    key = f"k{change.number}" if change.table == "csqls" else None
    company.sales.note(change.table, f"R{change.number}", at, key=key, **values)  # type: ignore[arg-type]


def _dies(*_: Any, **__: Any) -> None:
    raise Killed


def _disturbed(company: PulledCompany, fate: str) -> None:
    """A pull that may come to nothing, as a user sees it."""
    with pytest.MonkeyPatch.context() as patch:
        if fate in CRASHES:
            patch.setattr(pull_module, fate, _dies)
            with suppress(Killed):  # where there is nothing to write, nothing happens while it is written
                company.pull()
        elif fate == "away":
            patch.setattr(company.crm, "outcomes", _away)
            with pytest.raises(DeliveryError):
                company.pull()
        else:
            company.sales.script = [fate] if fate == "twice" else []
            company.pull(full=fate == "full")


def _away(cursor: str) -> Any:
    raise TransientError("timeout")


def _played(
    company: PulledCompany, story: Sequence[Change | Pull], fates: Sequence[str]
) -> Iterator[tuple[datetime, str]]:
    """Play a story; where ``fates`` has one, the pull is disturbed by it. Yields each pull's time and fate."""
    now = START
    for step, fate in zip(story, fates, strict=True):
        if isinstance(step, Change):
            now += timedelta(minutes=step.minutes)
            _told(company, step, now)
        elif fate:
            _disturbed(company, fate)
            yield now, fate


@settings(max_examples=60)
@given(stories)
def test_any_story_ends_with_the_tables_of_undisturbed_pulls(story: list[Change | Pull]) -> None:
    # The rows of a crash are on the disk already, or come with the next pull: for the tables it is a pull, or none.
    story = [*story, Pull("fine")]
    disturbed = [step.fate if isinstance(step, Pull) else "" for step in story]
    with TemporaryDirectory() as home:
        real, ideal = PulledCompany(Path(home) / "real"), PulledCompany(Path(home) / "ideal")
        for company in (real, ideal):
            company.home.mkdir()
        stores = ("fine", "twice", "full", "newest_rows", "write_state")
        assert list(_played(real, story, disturbed))
        assert list(_played(ideal, story, ["fine" if fate in stores else "" for fate in disturbed]))
        assert real.bytes() == ideal.bytes()
        assert real.pull().counts == ideal.pull().counts


@cache
def _engine() -> Any:
    connection = ibis.duckdb.connect()
    connection.raw_sql("SET TimeZone = 'UTC'")
    return connection


def _known(folder: Path, table: str, as_of: date) -> list[dict[str, Any]]:
    """The rows of a folder that the contract's rule for versions shows a snapshot."""
    if not (folder / f"{table}.parquet").exists():
        return []
    rows = _engine().read_parquet(folder / f"{table}.parquet")
    times = {c.name: rows[c.name].cast("timestamp") for c in TABLES[table].columns if c.dtype == "timestamp"}
    seen = cut(TABLES[table], dated(TABLES[table], rows.mutate(**times), "UTC"), as_of)
    found: list[dict[str, Any]] = seen.order_by(TABLES[table].key[0]).to_pyarrow().to_pylist()
    return found


@settings(max_examples=20)
@given(stories)
def test_no_later_pull_changes_an_old_snapshot(story: list[Change | Pull]) -> None:
    with TemporaryDirectory() as home:
        company, seen = PulledCompany(Path(home)), []
        fates = [step.fate if isinstance(step, Pull) else "" for step in story]
        for when, fate in _played(company, story, fates):
            if fate in ("fine", "twice", "full"):  # the others may have brought nothing
                day = when.date()
                seen += [(t, day, _known(company.folder, t, day)) for t in ("csqls", "opportunities")]
        for table, day, before in seen:
            assert _known(company.folder, table, day) == before
