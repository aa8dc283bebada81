"""A page's style sheet holds the rules it has use for, and no others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from csql_ml.reports.render import compact_css, minified_css
from csql_ml.reports.used_rules import UsedRules, classes, used_rules
from tests.reports.reading import Page, account_page


@pytest.mark.parametrize(
    ("css", "used", "left"),
    [
        (".a{top:0}.b{top:1px}", {"a"}, ".a{top:0}"),
        ("p,.b p,.a.c{top:0}", {"a", "c"}, "p,.a.c{top:0}"),
        ("@media print{.b{top:0}p{top:0}}", set(), "@media print{p{top:0}}"),
        ('.a::before{content:".b"}', {"a"}, '.a::before{content:".b"}'),
    ],
)
def test_a_selector_needs_all_its_classes(css: str, used: set[str], left: str) -> None:
    assert used_rules(css, used) == left


def test_every_class_of_a_page_keeps_its_rules(site: Path, sample: list[dict[str, Any]]) -> None:
    """What the whole style sheet says about a page, the page's own says too."""
    css = minified_css("base.css") + minified_css("account.css")
    for one in sample[:12]:
        page = account_page(site, one)
        assert len(page.inline["style"]) == 1
        left_out = UsedRules(css).of(page.html)
        assert used_rules(css, classes(page.html)) == left_out
        assert compact_css(left_out)[:400] == page.inline["style"][0][:400]
        assert ".notice" not in page.inline["style"][0]
        assert f".{one['status']} .pill" in page.inline["style"][0]


def test_text_that_looks_like_a_tag_names_no_class() -> None:
    assert classes("<p class=a>&lt;p class=b&gt; class=c</p>") == {"a"}


def test_a_property_nobody_asks_for_is_dropped_and_one_with_a_fallback_stays() -> None:
    assert compact_css(":root{--one:1px;--two:2px}p{top:var(--one)}") == "p{top:1px}"
    assert "--a:50%" in compact_css(".w{--w:50%}p{width:var(--w,0%)}")


def test_pages_of_one_kind_share_their_style(site: Path, sample: list[dict[str, Any]]) -> None:
    styles = {Page.of(site / "account" / f"{one['account_id']}.html").inline["style"][0] for one in sample}
    assert len(styles) < len(sample)
