"""The digest's folder: pages and Markdown in which nothing of the data is markup, all words through the catalogues."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from csql_ml.errors import OutputError
from csql_ml.reports.standup_page import write_digest
from csql_ml.reports.standup_words import CHANGE, MOST_SHOWN
from csql_ml.standup import CHANGES, digest
from tests.handoff.small_run import config
from tests.reports.reading import Page, hash_source
from tests.reports.test_dashboard import unmarked
from tests.test_standup import BEFORE, a_run, given_account, lead, write_run

EVIL = "<script>alert(1)</script> [x](http://evil) **bold** | a\nb"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A digest with every kind of change, two that wait and one that is due."""
    home = tmp_path_factory.mktemp("digest")
    before = {"A1": "qualified", "A2": "held", "A3": "not_yet", "A4": "cooldown", "A5": "qualified", "A6": "qualified"}
    before |= {"A7": "qualified"}
    now = {"A1": "qualified", "A2": "not_yet", "A3": "held", "A4": "qualified", "A5": "in_work", "A8": "qualified"}
    earlier = a_run(home / "1", before, BEFORE)
    return digest(config(home, capacity=3), a_run(home / "2", now, "2026-07-20"), earlier)


def written(data: dict[str, Any], folder: Path, language: str = "en") -> Path:
    write_digest(data, folder, language)
    return folder


def test_every_kind_of_change_has_its_words() -> None:
    assert tuple(CHANGE) == CHANGES


def test_page_markdown_and_json_say_the_same(data: dict[str, Any], tmp_path: Path) -> None:
    folder = written(data, tmp_path / "out")
    assert json.loads((folder / "digest.json").read_text(encoding="utf-8")) == data
    text, plain = Page.of(folder / "index.html").text, (folder / "digest.md").read_text(encoding="utf-8")
    counts = data["team"]["counts"]
    assert counts["overdue"] == 1
    assert counts["released_from_risk"] == 1
    assert counts["taken_up"] == 1
    assert counts["dropped_out"] == 2
    for said in (text, plain):
        for word in ("Overdue", "To hand over", "Released from risk", "Cooled down", "14 days overdue", "Jul 6, 2026"):
            assert word in said
    assert "| CSM-1 | 3 | 0 |" in plain
    assert "## Dropped out (2)" in plain


def test_one_page_per_csm_links_back(data: dict[str, Any], tmp_path: Path) -> None:
    folder = written(data, tmp_path / "out")
    links = [link for link in Page.of(folder / "index.html").links if link.startswith("csm/")]
    assert len(links) == len(data["csms"]) == 1
    page = Page.of(folder / links[0])
    assert "../index.html" in page.links
    assert "3 of 3 open leads, room for 0" in page.text
    assert (folder / links[0]).with_suffix(".md").is_file()


def test_the_same_digest_has_the_same_bytes(data: dict[str, Any], tmp_path: Path) -> None:
    first, second = (written(data, tmp_path / name) for name in ("a", "b"))
    for path in first.rglob("*.*"):
        assert path.read_bytes() == (second / path.relative_to(first)).read_bytes()


def test_nothing_of_the_data_is_markup(tmp_path: Path) -> None:
    accounts = [given_account("A1", "qualified", name=EVIL, csm_id=EVIL)]
    run = write_run(tmp_path / "run", [lead("A1", csm_id=EVIL, ae_id=EVIL, product=EVIL)], accounts=accounts)
    folder = written(digest(config(tmp_path), run), tmp_path / "out")
    for path in folder.rglob("*.html"):
        page = Page.of(path)
        assert not {"script", "b:script"} & set(page.tags)
        assert EVIL.replace("\n", " ") in page.text.replace("\n", " ")
    for path in folder.rglob("*.md"):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"(?<!\\)<script|(?<!\\)\]\(|(?<!\\)\*\*bold", text)
        for row in (line for line in text.splitlines() if line.startswith("| ") and "script" in line):
            assert len(re.findall(r"(?<!\\)\|", row)) == 10


def test_pages_name_no_other_place(data: dict[str, Any], tmp_path: Path) -> None:
    for path in written(data, tmp_path / "out").rglob("*.html"):
        page = Page.of(path)
        assert page.policy.startswith("default-src 'none';")
        assert f"style-src {hash_source(page.inline['style'][0])};" in page.policy
        assert not [link for link in page.links if re.match(r"\w+:(?!,$)|//", link)]
        assert "style" not in {name for name, _ in page.attributes}


def test_no_text_bypasses_the_catalogues(data: dict[str, Any], tmp_path: Path) -> None:
    folder = written({**data, "team": spoken(data["team"])}, tmp_path / "out", "qps")
    page = Page.of(folder / "index.html")
    plain = [re.sub(r"\\(.)", r"\1", line) for line in (folder / "digest.md").read_text(encoding="utf-8").splitlines()]
    for text in (*page.texts, *page.spoken, *plain):
        rest = re.sub(r"Account A\d|A\d|CSM-1|AE-1|Pro\b|CSQL|Example & Co|run-2", "", unmarked(text))
        assert not re.search(r"[A-Za-z]{2,}", re.sub(r"csm/[\w-]+", "", rest)), text


def spoken(part: dict[str, Any]) -> dict[str, Any]:
    """Without the notes: the digest made them in its own language."""
    quiet = {name: [{**e, "note": "", "detail": ""} for e in part[name]] for name in ("changes", "offers", "waiting")}
    return {**part, **quiet}


def test_long_lists_are_cut_and_say_so(data: dict[str, Any], tmp_path: Path) -> None:
    (offer, *_) = data["team"]["offers"]
    many = [{**offer, "account_id": f"B{i}", "name": f"B{i}"} for i in range(MOST_SHOWN + 3)]
    page = Page.of(written({**data, "team": {**data["team"], "offers": many}}, tmp_path / "out") / "index.html")
    assert "3 more stand in the JSON" in page.text
    assert f"B{MOST_SHOWN - 1}" in page.text
    assert f"B{MOST_SHOWN}" not in page.text


def test_a_folder_of_something_else_is_left_alone(data: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("x")
    with pytest.raises(OutputError, match="holds something that is not a report"):
        write_digest(data, tmp_path / "mine", "en")
