"""The RevOps dashboard as one HTML file: no script, no request, the same bytes for the same data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any

from csql_ml.reports.catalogue import load
from csql_ml.reports.dashboard import page
from csql_ml.reports.render import compact_css, environment, html_bytes, inline, minified_css
from csql_ml.reports.texts import Texts

if TYPE_CHECKING:
    from csql_ml.config import Config


def render(data: Mapping[str, Any], read: Sequence[Mapping[str, Any]], config: Config, language: str) -> bytes:
    """The page.

    Parameters
    ----------
    data
        What ``csql measure --json`` prints.
    read
        Per experiment what ``csql poc read --json`` prints, or ``{"experiment", "complete_from"}`` while it runs.
    language
        ``en`` or a language with a catalogue.

    Raises
    ------
    UsageError
        There are no texts in the language.
    """
    texts = Texts(load(language), data["currency"])
    as_of = texts.date(date.fromisoformat(data["as_of"]))
    return html_bytes(
        environment(texts).get_template("dashboard.html.j2"),
        page=page(data, read, texts, config),
        language=texts.language,
        company=config.company.name,
        as_of=as_of,
        # There is no other page: the mark in the corner leads nowhere.
        root="#",
        style=inline(compact_css(minified_css("base.css") + minified_css("dashboard.css"))),
        script=None,
    )
