"""Over every kind of page at once: nothing bypasses the catalogues, nothing is formatted by hand, names stay text."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from csql_ml.metrics import registry
from csql_ml.reports.catalogue import PSEUDO_LANGUAGE
from csql_ml.reports.filenames import page_name
from tests.reports.every_page import EARLIER, LONG, SAMPLE, SCRIPT, EveryPage
from tests.reports.reading import Page
from tests.reports.sample_run import METRICS
from tests.reports.test_site_words import data_words, unmarked

KINDS = {
    "site/index",
    "site/account",
    "site/csm",
    "site/held",
    "dashboard",
    "monitor",
    "push",
    "digest/index",
    "digest/csm",
}
#: Names of the made-up company's data, of runs, models and configuration keys.
NAMES = {
    *(
        "CSQL",
        "Example & Co",
        "Example",
        "run-1",
        "run-2",
        "run-7f3a",
        "model-1",
        "2026-07-01-a1b2",
        "m1",
        "r1",
        "poc-1",
    ),
    *("poc-2", "CSM-1", "AE-1", "Pro", "plan", "Basic", "files", LONG, SCRIPT, "old", "asked in writing"),
}


@pytest.fixture(autouse=True, scope="module")
def _sample_metrics() -> None:
    """Unlike the tests beside it, this one shows the real metrics: their sentences are to be translated."""


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> EveryPage:
    return EveryPage(tmp_path_factory.mktemp("every"))


@pytest.fixture(scope="module")
def pseudo(pages: EveryPage) -> Path:
    return pages.write(PSEUDO_LANGUAGE)


def outside(text: str, words: list[str]) -> str:
    """What of a text neither went through a catalogue nor is a name."""
    rest = unmarked(text)
    for word in words:
        rest = rest.replace(word, "")
    return rest


def all_names() -> list[str]:
    mine = {f"{word}{i}" for word in ("Account A", "A") for i in range(8)} | {
        "Account A<script>",
        "A<script>",
        f"Account {LONG}",
    }
    ids = {page_name(one["account_id"]).removesuffix(".html") for one in SAMPLE}
    unknown = {name for name in METRICS if name not in registry()}
    return sorted({*unknown, *data_words(SAMPLE), *data_words(EARLIER), *NAMES, *mine, *ids}, key=len, reverse=True)


def test_every_kind_of_page_is_there(pseudo: Path) -> None:
    written = {p.relative_to(pseudo).with_suffix("").as_posix() for p in pseudo.rglob("*.html")}
    assert all(any(name.startswith(kind) for name in written) for kind in KINDS)


def test_no_word_and_no_number_bypasses_the_catalogues(pseudo: Path) -> None:
    words = all_names()
    for path in sorted(pseudo.rglob("*.html")):
        page = Page.of(path)
        for text in (*page.texts, *page.spoken):
            rest = re.sub(r"^\d{4}$", "", outside(text, words))
            assert not re.search(r"[A-Za-z]{2,}|\d", rest), (path.relative_to(pseudo).as_posix(), text)


def test_no_word_and_no_number_of_a_digest_in_markdown_does(pseudo: Path) -> None:
    words = all_names()
    found = sorted((pseudo / "digest").rglob("*.md"))
    assert len(found) > 1
    for path in found:
        for line in path.read_text(encoding="utf-8").splitlines():
            rest = outside(re.sub(r"\\(.)", r"\1", line), words)
            assert not re.search(r"[A-Za-z]{2,}|\d", rest), (path.name, line)


@pytest.mark.parametrize("language", ["de", "es", "fr"])
def test_names_are_text_in_every_language(pages: EveryPage, language: str) -> None:
    folder = pages.write(language)
    for path in sorted(folder.rglob("*.html")):
        page = Page.of(path)
        assert ("lang", language) in page.attributes
        assert "onmouseover" not in dict(page.attributes)
        allowed = 1 if path.is_relative_to(folder / "site") and page.inline["script"] else 0
        assert page.tags.count("script") == allowed, path
        assert "img" not in page.tags
        assert not re.search(r"\{\w+\}|\bNone\b|\bnan\b", page.text.replace("{name}", "")), path


def test_no_english_sentence_is_left_on_a_german_page(pages: EveryPage) -> None:
    """Words that German does not have."""
    folder = pages.write("de")
    english = re.compile(r"\b(?:the|with|of|and|from|this|not|before|is|are|has|accounts were|by|what|why)\b")
    for path in sorted(folder.rglob("*.html")):
        for text in (*Page.of(path).texts, *Page.of(path).spoken):
            assert not english.search(text), (path.name, text)
