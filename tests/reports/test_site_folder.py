"""The report folder appears whole or not at all; damaged runs are refused."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from csql_ml.config import Config
from csql_ml.errors import OutputError
from csql_ml.reports import ReportSummary, build_lists, report
from csql_ml.reports.folder import MARKER
from tests.reports.sample_run import accounts, plain_account, write_run

Write = Callable[..., ReportSummary]


def test_above_the_limit_the_index_goes_on_on_further_pages_and_says_so(
    sample: list[dict[str, Any]], write_site: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build_lists, "ROW_LIMIT", 20)
    folder = write_site(sample).index.parent
    for number, name in enumerate(("index.html", "index.2.html", "index.3.html", "index.4.html", "index.5.html")):
        html = (folder / name).read_text()
        first, last = 20 * number + 1, min(20 * number + 20, 90)
        on_it = {one["account_id"] for one in sample if first <= one["rank"] <= last}
        assert set(re.findall(r"account/(\w+)\.html", html)) == on_it
        assert f"This page holds accounts {first} to {last} of 90. Search, filters and sorting work within it." in html
        assert f'<a href="{name}" aria-current="page">{number + 1}</a>' in html
    assert not (folder / "index.6.html").exists()
    assert len(list((folder / "account").iterdir())) == 90


def test_an_earlier_report_is_replaced_whole(sample: list[dict[str, Any]], write_site: Write) -> None:
    folder = write_site(sample).index.parent
    assert write_site(sample[:5]).index.parent == folder
    assert len(list((folder / "account").iterdir())) == 5
    assert sorted(p.name for p in folder.parent.iterdir()) == ["run", "site"]


def test_an_empty_folder_is_taken(sample: list[dict[str, Any]], write_site: Write, tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    assert write_site(sample[:2]).index.is_file()
    assert (tmp_path / "site" / MARKER).is_file()


def test_a_folder_with_something_else_is_refused_untouched(write_site: Write, tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "thesis.txt").write_text("mine")
    with pytest.raises(OutputError, match="holds something that is not a report"):
        write_site(accounts(2))
    assert [p.name for p in (tmp_path / "site").iterdir()] == ["thesis.txt"]


def test_a_file_in_the_way_is_refused(write_site: Write, tmp_path: Path) -> None:
    (tmp_path / "site").write_text("mine")
    with pytest.raises(OutputError, match="is not a folder"):
        write_site(accounts(2))


def test_a_failure_on_the_way_leaves_the_earlier_report(
    sample: list[dict[str, Any]], write_site: Write, tmp_path: Path
) -> None:
    index = write_site(sample).index.read_bytes()
    broken = [*accounts(3), plain_account(propensity=0.999)]
    with pytest.raises(OutputError, match="do not add up"):
        write_site(broken)
    assert (tmp_path / "site" / "index.html").read_bytes() == index
    assert sorted(p.name for p in tmp_path.iterdir()) == ["run", "site"]


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="manifest"):
        report(tmp_path, tmp_path / "site", language="en", config=Config())


def test_a_changed_run_is_refused(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", accounts(2))
    with (run / "accounts.jsonl").open("a") as file:
        file.write("{}\n")
    with pytest.raises(OutputError, match="was changed after the run"):
        report(run, tmp_path / "site", language="en", config=Config())


@pytest.mark.parametrize(
    ("entries", "message"), [({"as_of": "yesterday"}, "as_of is not a date"), ({"as_of": None}, "as_of is not a date")]
)
def test_a_manifest_without_what_a_page_needs_is_refused(
    write_site: Write, entries: dict[str, Any], message: str
) -> None:
    with pytest.raises(OutputError, match=message):
        write_site(accounts(2), **entries)


@pytest.mark.parametrize("line", ["not json", "[]", "{}", json.dumps({"account_id": ""})])
def test_a_line_that_is_no_account_is_refused_by_number(tmp_path: Path, line: str) -> None:
    run = write_run(tmp_path / "run", accounts(1))
    content = (run / "accounts.jsonl").read_bytes() + line.encode() + b"\n"
    (run / "accounts.jsonl").write_bytes(content)
    manifest = json.loads((run / "manifest.json").read_text())
    manifest["sha256"]["accounts.jsonl"] = hashlib.sha256(content).hexdigest()
    (run / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(OutputError, match="line 2"):
        report(run, tmp_path / "site", language="en", config=Config())


def test_an_account_that_comes_twice_is_refused(write_site: Write) -> None:
    with pytest.raises(OutputError, match="acct_00000 stands twice"):
        write_site([*accounts(2), *accounts(1)])


def test_an_empty_run_is_an_empty_site(write_site: Write) -> None:
    summary = write_site([])
    assert summary.pages == 4
    assert "No account stands here in this run." in summary.index.read_text()
