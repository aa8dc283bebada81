"""The data scientist's report on one training: one self-contained page, in the company's language."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from csql_ml.metrics.faces import Spoken
from csql_ml.reports.catalogue import load
from csql_ml.reports.evidence_text import Facts
from csql_ml.reports.model_report_data import data_sections
from csql_ml.reports.model_report_judged import judged_sections
from csql_ml.reports.model_report_parts import Plain, Words
from csql_ml.reports.model_report_reasons import reason_sections
from csql_ml.reports.model_report_verdict import headline, level, sentences, tiles
from csql_ml.reports.render import compact_css, environment, html_bytes, inline, minified_css
from csql_ml.reports.texts import Texts


def page(facts: Plain, words: Words) -> dict[str, Any]:
    """Everything the page says, as plain values and drawn charts."""
    about, texts = facts["about"], words.texts
    sections = [*judged_sections(facts, words), *reason_sections(facts, words), *data_sections(facts, words)]
    return {
        "headline": headline(facts, words),
        "level": level(facts),
        "says": sentences(facts, words),
        "tiles": tiles(facts, words),
        "sections": sections,
        "told": about["told"]["version"],
        "champion": about["champion"]["version"],
        "rules": about["champion"]["kind"] == "rules",
        "assumed": about["assumed"],
        "rows": texts.number(about["rows"]),
        "fingerprint": about["fingerprint"],
    }


def render(facts: Plain, metrics: Mapping[str, Spoken], language: str, currency: str) -> bytes:
    """The page as one HTML file; the same facts give the same bytes.

    Parameters
    ----------
    facts
        As `csql_ml.model_report.facts` gives them; JSON does not change them.
    metrics
        Faces of the metrics by name; a column that is none of them keeps its name.
    language
        ``en`` or a language with a catalogue.
    """
    texts = Texts(load(language), currency)
    return html_bytes(
        environment(texts).get_template("model_report.html.j2"),
        page=page(facts, Words(texts, Facts(texts, metrics))),
        language=texts.language,
        company=facts["about"]["company"],
        as_of=texts.date(date.fromisoformat(facts["about"]["as_of"])),
        # There is no other page: the mark in the corner leads nowhere.
        root="#",
        style=inline(compact_css(minified_css("base.css") + minified_css("model_report.css"))),
        script=None,
    )
