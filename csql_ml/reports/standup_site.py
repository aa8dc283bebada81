"""The weekly stand-up's sheets inside the CSM site: who is new, changed and due, linked to the account pages."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from csql_ml.reports.site import STANDUP_FOLDER
from csql_ml.reports.standup_words import part_page, part_path

if TYPE_CHECKING:
    from csql_ml.reports.render import Renderer


def sheet_pages(data: Mapping[str, Any], renderer: Renderer, known: Collection[str]) -> Iterator[tuple[str, bytes]]:
    """Path inside the report and content of every sheet: the team's, then one per CSM.

    Parameters
    ----------
    data
        From `csql_ml.standup.digest`.
    known
        Ids of the accounts that have a page.
    """
    texts = renderer.site.texts
    team = part_page(data, data["team"], texts, team=True)
    yield f"{STANDUP_FOLDER}/index.html", renderer.sheet(team, root="../", known=known)
    for part in data["csms"]:
        page = part_page(data, part, texts, team=False)
        yield sheet_path(part["csm"]), renderer.sheet(page, root="../../", known=known)


def sheet_path(csm_id: str | None) -> str:
    """Path of a CSM's sheet inside the report."""
    return f"{STANDUP_FOLDER}/{part_path(csm_id)}.html"
