"""Nothing in the data or around the page becomes code."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from csql_ml.reports import ReportSummary
from tests.reports.reading import Page, account_page, hash_source
from tests.reports.sample_run import HOSTILE_NAMES, plain_account

Write = Callable[..., ReportSummary]


def test_the_security_policy_names_exactly_the_inline_code(site: Path) -> None:
    for path in site.rglob("*.html"):
        page = Page.of(path)
        [style], scripts = page.inline["style"], page.inline["script"]
        allowed = "".join(hash_source(s) for s in scripts) or "'none'"
        assert f"style-src {hash_source(style)};" in page.policy
        assert f"script-src {allowed};" in page.policy
        assert page.policy.startswith("default-src 'none';")
        assert "unsafe" not in page.policy


def test_pages_name_no_other_place_and_hold_no_inline_handlers(site: Path) -> None:
    for path in site.rglob("*.html"):
        page = Page.of(path)
        assert not [link for link in page.links if re.match(r"\w+:(?!,$)|//", link)]
        names = {name for name, _ in page.attributes}
        assert "style" not in names
        assert not [name for name in names if name.startswith("on")]
        assert not {"img", "iframe", "object", "b:script"} & set(page.tags)
        assert not re.search(r"url\(|@import", page.inline["style"][0])


@pytest.mark.parametrize("number", range(len(HOSTILE_NAMES)))
def test_a_hostile_name_is_text(site: Path, sample: list[dict[str, Any]], number: int) -> None:
    one, name = sample[number], HOSTILE_NAMES[number].replace("\x00", "\ufffd")
    page = account_page(site, one)
    assert name in page.texts
    assert page.tags.count("script") == 0
    index = Page.of(site / "index.html")
    assert name in index.texts
    assert index.tags.count("script") == 1


def test_hostile_values_stay_text_everywhere(write_site: Write) -> None:
    evil = '"><script>alert(1)</script>'
    one = plain_account(csm_id=evil, ae_id=evil, segment=evil, industry=evil, plan=evil, region=evil, product=evil)
    one |= {"status": evil, "band": evil, "lead_type": evil, "account_id": evil, "absent_sources": [evil]}
    one["reasons"][0] |= {"metric": "plan", "value": evil, "unit": "category", "source": evil}
    one["hypothesis"] |= {"product": evil, "type": evil}
    one["gates"] = [{"gate": evil, "state": evil, "because": [evil]}]
    one["risks"] = [{"risk": evil, "value": 1, "limit": 1}]
    one["stakeholders"] = [{"role": evil, "name": evil}]
    folder = write_site([one], company=evil).index.parent
    for path in folder.rglob("*.html"):
        page = Page.of(path)
        assert page.tags.count("script") == len(page.inline["script"])
        assert "alert(1)" not in "".join(page.inline["script"])
        assert {name for name, _ in page.attributes} <= set(ALLOWED_ATTRIBUTES)


ALLOWED_ATTRIBUTES = re.findall(
    r"\S+",
    """
    aria-current aria-hidden aria-label autocomplete charset class content cx cy d data-o data-sort data-status data-t
    data-text data-v dir dy height hidden href http-equiv id lang name placeholder r rel role rx scope spellcheck
    text-anchor type value viewbox width x y
    """,
)
