"""The rollup kept on disk: what is looked at, what is built again, and what a crash or a second run finds."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from csql_ml import activity
from csql_ml.activity import folder as folders
from csql_ml.activity import manifest as manifests
from csql_ml.activity.event_rows import EventRows
from csql_ml.errors import OutputError
from tests.activity.event_files import EventCompany, Opened, assert_same, company, day_files
from tests.small_company import ACCOUNTS, rows, small_company, write_tables

__all__ = ["company"]

MAY = """
account_id | user_id | occurred_at      | event_name | feature | event_id
a1         | u1      | 2025-05-01 10:00 | used       | boards  | e1
a1         | u2      | 2025-05-02 10:00 | used       | reports | e2
a2         | u1      | 2025-05-02 11:00 | used       | boards  | e3
"""
JUNE = """
account_id | user_id | occurred_at      | event_name | feature | event_id
a1         | u1      | 2025-06-01 10:00 | used       | boards  | e4
"""


def days_that_differ(before: Opened, after: Opened) -> set[date | None]:
    old, new = day_files(before.manifest), day_files(after.manifest)
    return {day for day in old.keys() | new.keys() if old.get(day) != new.get(day)}


def test_a_file_that_did_not_change_is_not_read(company: EventCompany) -> None:
    company.write("may", MAY)
    assert company.update().days_built == 2
    assert company.update().days_built == 0
    company.write("june", JUNE)
    last = company.update()
    assert last.days_built == 1
    assert company.read == [["may"], [], ["june"]]
    assert_same(last, company.at_once())


def test_a_file_that_was_only_touched_changes_nothing(company: EventCompany) -> None:
    company.write("may", MAY)
    before = company.update()
    company.touch("may")
    after = company.update()
    assert (company.read[-1], after.days_built) == (["may"], 0)
    assert before.manifest.files() == after.manifest.files()


def test_late_and_corrected_rows_touch_only_their_own_days(company: EventCompany) -> None:
    company.write("may", MAY)
    company.write("june", JUNE)
    before = company.update()
    company.write("june", JUNE + "a2 | u1 | 2025-05-01 12:00 | used | boards | e9\n")
    late = company.update()
    assert (late.days_built, days_that_differ(before, late)) == (1, {date(2025, 5, 1)})
    company.write("may", MAY.replace("u2 ", "u3 "))
    corrected = company.update()
    assert (corrected.days_built, days_that_differ(late, corrected)) == (1, {date(2025, 5, 2)})
    assert_same(corrected, company.at_once())


def test_rows_that_move_to_another_file_change_nothing(company: EventCompany) -> None:
    company.write("may", MAY)
    company.write("june", JUNE)
    company.update()
    company.remove("may")
    company.write("june", MAY + JUNE.split("\n", 2)[2])
    moved = company.update()
    assert moved.days_built == 0
    assert_same(moved, company.at_once())


def test_a_file_that_is_gone_takes_its_days_with_it(company: EventCompany) -> None:
    company.write("may", MAY)
    company.write("june", JUNE)
    company.update()
    company.remove("may")
    after = company.update()
    assert set(after.manifest.days) == {date(2025, 6, 1)}
    assert len(list(activity.store_path(company.config).glob("day=*"))) == 1
    assert_same(after, company.at_once())


def test_an_id_of_several_days_counts_on_the_day_it_was_known_first(company: EventCompany) -> None:
    company.write("may", MAY)
    company.update()
    again = "account_id|user_id|occurred_at|event_name|feature|event_id|recorded_at\n"
    company.write("again", again + "a1|u1|2025-04-01 10:00|used|boards|e1|2025-04-02")
    moved = company.update()
    assert moved.days_built == 2
    assert set(moved.rollup["day"].astype(str)) == {"2025-04-01", "2025-05-02"}
    assert_same(moved, company.at_once())
    company.remove("again")
    back = company.update()
    assert back.days_built == 1, "the partner day is built again, though its own rows are the same"
    assert set(back.rollup["day"].astype(str)) == {"2025-05-01", "2025-05-02"}
    assert_same(back, company.at_once())


def test_events_of_an_account_that_appears_later_are_there(company: EventCompany) -> None:
    company.write("may", MAY + "new | u1 | 2025-05-02 11:00 | used | boards | e8\n")
    before = company.update()
    assert [(p.kind, p.rows, p.examples) for p in before.report.problems] == [("unknown_account", 1, ("new",))]
    assert_same(before, company.at_once())
    write_tables(company.folder, {"accounts": rows(ACCOUNTS + "new | New | 2025-01-01 | smb | Retail | c1 | e1\n")})
    after = company.update()
    assert (after.days_built, after.report.problems) == (0, ())
    assert_same(after, company.at_once())


def test_another_definition_builds_everything_again_in_place(company: EventCompany) -> None:
    company.write("may", MAY)
    company.update()
    company.sections = {"signals": {"core_features": ["reports"]}}
    changed = company.update()
    assert changed.days_built == 2
    assert_same(changed, company.at_once())
    on_disk = {
        p.relative_to(activity.store_path(company.config)).as_posix()
        for p in activity.store_path(company.config).glob("*=*/*")
    }
    assert on_disk == changed.manifest.files()


def test_companies_that_share_a_folder_do_not_share_a_rollup(company: EventCompany) -> None:
    other = company.config.model_copy(
        update={"data": company.config.data.model_copy(update={"folder": Path("elsewhere")})}
    )
    assert activity.store_path(other) != activity.store_path(company.config)
    assert activity.store_path(other).parent == activity.store_path(company.config).parent


def test_columns_that_come_later_count_from_then_on(company: EventCompany) -> None:
    company.columns = ("account_id", "user_id", "occurred_at", "event_name")
    company.write("may", MAY)
    company.update()
    company.columns = (*company.columns, "event_id", "quantity")
    company.write("june", JUNE)
    later = company.update()
    assert later.days_built == 3, "an id or a quantity may change what any day counts"
    assert_same(later, company.at_once())


# --- what can go wrong ------------------------------------------------------------------------------------------------


class Crash(BaseException):
    """The process is gone."""


def _crash_at(number: int, monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """Stop before the n-th change of the folder; returns how many there were."""
    made = [0]

    def counted(do: Callable[..., Any]) -> Callable[..., Any]:
        def done(*arguments: Any, **named: Any) -> Any:
            if made[0] == number:
                raise Crash
            made[0] += 1
            return do(*arguments, **named)

        return done

    monkeypatch.setattr(Path, "replace", counted(Path.replace))
    monkeypatch.setattr(Path, "unlink", counted(Path.unlink))
    monkeypatch.setattr(Path, "write_bytes", counted(Path.write_bytes))
    return lambda: made[0]


def _read_old(company: EventCompany, before: Opened) -> None:
    """Everything that the old manifest names is still there, if it is still in force."""
    found = manifests.read(activity.store_path(company.config))
    held = folders.Folder(activity.store_path(company.config))
    assert found.days == before.manifest.days or not (before.manifest.days.items() <= found.days.items())
    for state in found.days.values():
        assert held.holds(state.rollup)
        assert held.holds(state.keys)


def test_a_crash_at_any_moment_leaves_a_rollup_that_the_next_run_repairs(company: EventCompany, tmp_path: Path) -> None:
    company.write("may", MAY)
    before = company.update()
    store = activity.store_path(company.config)
    shutil.copytree(store, tmp_path / "before")
    company.write("may", MAY.replace("u2 ", "u3 "))
    company.write("june", JUNE)
    whole = company.at_once()
    crashes = 0
    with company.inputs() as (warehouse, inputs):
        for number in range(100):
            shutil.rmtree(store)
            shutil.copytree(tmp_path / "before", store)
            with pytest.MonkeyPatch.context() as patch:
                _crash_at(number, patch)
                try:
                    company.update_in(warehouse, inputs)
                    break
                except Crash:
                    crashes += 1
            _read_old(company, before)
            assert_same(company.update_in(warehouse, inputs), whole)
    assert crashes > 8, "files of two days, a month's accounts, the manifest, and what is removed"


@pytest.mark.parametrize("pattern", ["day=*/rollup-*", "day=*/keys-*", "month=*/*", "manifest.json"])
@pytest.mark.parametrize("harm", ["removed", "cut off"])
def test_files_that_are_damaged_are_made_again(company: EventCompany, pattern: str, harm: str) -> None:
    company.write("may", MAY)
    whole = company.update()
    file = min(activity.store_path(company.config).glob(pattern))
    content = file.read_bytes()
    file.unlink()
    if harm == "cut off":
        file.write_bytes(content[:-9])
    repaired = company.update()
    assert repaired.days_built > 0
    assert repaired.manifest == whole.manifest
    assert_same(repaired, company.at_once())


def test_a_second_run_waits_and_says_for_whom(company: EventCompany) -> None:
    company.write("may", MAY)
    company.update()
    held = folders.Folder(activity.store_path(company.config))
    with (
        held.locked(),
        company.inputs() as (warehouse, inputs),
        pytest.raises(OutputError, match=r"is being written by process \d+ on .*; run the command again"),
        activity.open_store(warehouse, company.config, inputs.tables, patience=0.01),
    ):
        pass
    assert company.update().days_built == 0


def test_files_stay_as_long_as_a_run_reads_them(company: EventCompany) -> None:
    company.write("may", MAY)
    with (
        company.inputs() as (warehouse, inputs),
        activity.open_store(warehouse, company.config, inputs.tables) as opened,
    ):
        before = opened.table.count().execute()
        company.write("may", JUNE)
        company.update()
        assert opened.table.count().execute() == before == 3
    company.write("may", MAY)
    after = company.update()
    store = activity.store_path(company.config)
    assert {p.relative_to(store).as_posix() for p in store.glob("*=*/*")} == after.manifest.files()


def test_what_a_run_that_died_was_reading_is_forgotten(company: EventCompany) -> None:
    company.write("may", MAY)
    old = company.update().manifest
    readers = activity.store_path(company.config) / "readers"
    (readers / "host-1-0.json").write_text(f'["{min(old.files())}"]')
    company.write("may", JUNE)
    company.update()
    assert list(readers.glob("*.json")) == []
    assert len(list(activity.store_path(company.config).glob("day=*"))) == 1


def test_a_folder_that_cannot_be_made_is_named(company: EventCompany) -> None:
    company.write("may", MAY)
    (company.folder / "activity").write_text("a file")
    with pytest.raises(OutputError, match=r"activity folder .* cannot be written: .*; give activity_folder"):
        company.update()


def test_the_lock_is_free_afterwards(company: EventCompany) -> None:
    company.write("may", MAY)
    company.update()
    with FileLock(activity.store_path(company.config) / ".lock", timeout=0) as lock:
        assert lock.is_locked


# --- what stops -------------------------------------------------------------------------------------------------------


def test_events_without_a_required_column_stop_as_in_a_check(company: EventCompany) -> None:
    company.columns = ("account_id", "user_id", "event_name")
    company.write("may", MAY)
    kept = company.update()
    assert kept.report == company.at_once().report
    assert [p.kind for p in kept.report.problems] == ["absent_column"]


@pytest.mark.parametrize("events", ["", "a1 | u1 | someday | used | boards | e1\nzz | u1 | 2025-05-01 | used | | e2\n"])
def test_events_of_which_none_can_be_used_stop_as_in_a_check(company: EventCompany, events: str) -> None:
    company.write("may", MAY.split("\na1", 1)[0] + "\n" + events)
    kept = company.update()
    assert kept.report == company.at_once().report
    assert kept.report.problems[-1].action == "stop"


def test_a_company_opens_with_the_kept_rollup_and_its_report(tmp_path: Path) -> None:
    events = MAY.replace("a2         | u1      | 2025-05-02", "zz         | u1      | 2025-05-02")
    with small_company(tmp_path, {"events": events}) as opened:
        (report,) = (r for r in opened.inputs.reports if r.name == "events")
        assert (report.read, report.kept) == (4, 3)
        assert "event_id" in opened.inputs.present_columns["events"]
        assert "events" not in opened.inputs.tables
        assert opened.builder.first_day == date(2025, 1, 2)


# --- numbers that stand for texts -------------------------------------------------------------------------------------


def test_two_people_with_the_same_hash_are_told_apart(company: EventCompany, monkeypatch: pytest.MonkeyPatch) -> None:
    company.write("may", MAY)
    monkeypatch.setattr(
        EventRows,
        "_hash",
        lambda self, one, other, salt: f"CASE WHEN {salt} < 2 THEN 7::UBIGINT ELSE hash({one}, {other}) END",
    )
    assert_same(company.update(), company.at_once())


def test_two_ids_with_the_same_key_only_cost_work(company: EventCompany, monkeypatch: pytest.MonkeyPatch) -> None:
    company.write("may", MAY + "a1 | u1 | 2025-05-01 11:00 | used | boards | e1\n")
    monkeypatch.setattr("csql_ml.activity.event_rows._key_of", lambda text: f"{7 << 17}::UBIGINT")
    found = company.update()
    assert [p.kind for p in found.report.problems] == ["conflicting_duplicate"]
    assert found.manifest.pairs == {(date(2025, 5, 1), date(2025, 5, 2))}
    assert_same(found, company.at_once())


def test_days_are_not_partners_where_only_half_of_a_key_is_the_same(
    company: EventCompany, monkeypatch: pytest.MonkeyPatch
) -> None:
    company.write("may", MAY)
    monkeypatch.setattr("csql_ml.activity.event_rows._key_of", lambda text: f"({7 << 17} | (hash({text}) & 131071))")
    found = company.update()
    assert found.manifest.pairs == frozenset()
    assert_same(found, company.at_once())
    company.write("june", JUNE)
    later = company.update()
    assert later.days_built == 3, "of keys on disk no more than a half is known: that only costs work"
    assert_same(later, company.at_once())
