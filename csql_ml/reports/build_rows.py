"""Rows, tiles and filters of the pages with many accounts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from csql_ml.reports import wording as w
from csql_ml.reports.build_score import SCORE_DIGITS, tenths
from csql_ml.reports.site import Site, account_path, portfolio_path, status_meaning

if TYPE_CHECKING:
    from csql_ml.reports.build_lists import Row

_STATUS_ORDER = ("qualified", "held_for_risk", "not_yet", "ineligible")


def tiles(rows: Sequence[Row], site: Site) -> list[dict[str, Any]]:
    """Accounts and expected ARR per status."""
    t = site.texts
    counts = Counter(r.status for r in rows)
    found = []
    for code in _STATUS_ORDER:
        expected = sum(r.expected_arr or 0.0 for r in rows if r.status == code)
        found.append(
            {
                "code": code,
                "word": w.word(t, w.STATUS, code),
                "meaning": status_meaning(code, site),
                "count": t.number(counts[code]),
                "expected": t.short_money(expected) if counts[code] else None,
            }
        )
    return found


def owner_numbers(rows: Sequence[Row]) -> dict[str | None, int]:
    """A number for every owner among the rows, by name; whoever has none comes last."""
    owners = sorted({r.csm_id for r in rows}, key=lambda c: (c is None, c or ""))
    return {owner: i for i, owner in enumerate(owners)}


def choices(rows: Sequence[Row], owners: Mapping[str | None, int], site: Site) -> dict[str, list[tuple[str, str]]]:
    """Choices as value and word; only what occurs in the rows."""
    t = site.texts

    def present(words: Mapping[str, str], codes: set[str | None]) -> list[tuple[str, str]]:
        return [(code, t.gettext(message)) for code, message in words.items() if code in codes]

    return {
        "status": present(w.STATUS, {r.status for r in rows}),
        "type": present(w.LEAD_TYPE, {r.lead_type for r in rows}),
        "band": present(w.BAND, {r.band for r in rows}),
        "owner": [(str(i), site.owner(owner)) for owner, i in owners.items()],
    }


def view(row: Row, rank: int | None, owners: Mapping[str | None, int], site: Site) -> dict[str, Any]:
    """A row as text, with the raw numbers the browser sorts by."""
    t = site.texts
    return {
        "id": row.account_id,
        "name": row.name,
        "path": account_path(row.account_id),
        "segment": row.segment,
        "owner": site.owner(row.csm_id),
        "owner_number": owners.get(row.csm_id, 0),
        "status": row.status if row.status in w.STATUS else "-",
        "status_word": w.word(t, w.STATUS, row.status),
        "type": row.lead_type if row.lead_type in w.LEAD_TYPE else "-",
        "type_word": w.word(t, w.LEAD_TYPE, row.lead_type) if row.lead_type else None,
        "band": row.band if row.band in w.BAND else "-",
        "band_word": w.word(t, w.BAND, row.band) if row.band else None,
        "rank": rank,
        "rank_text": None if rank is None else t.number(rank),
        "tenths": None if row.propensity is None else tenths(row.propensity),
        "propensity": None if row.propensity is None else t.tenths(tenths(row.propensity)),
        "score_value": _sortable(row.baseline_score),
        "score": None if row.baseline_score is None else t.number(row.baseline_score, SCORE_DIGITS),
        "arr_value": _sortable(row.arr),
        "arr": None if row.arr is None else t.money(row.arr),
        "expected_value": _sortable(row.expected_arr),
        "expected": None if row.expected_arr is None else t.money(row.expected_arr),
        "note": row.note,
        "detail": row.detail,
    }


def _sortable(value: float | None) -> str | None:
    """A number for the browser to sort by, in as few characters as that takes."""
    return None if value is None else f"{value:.1f}".removesuffix(".0")


def portfolio_lines(rows: Sequence[Row], site: Site) -> list[dict[str, Any]]:
    """One line per portfolio. Portfolios are uneven: sizes stand beside the counts."""
    t = site.texts
    groups: dict[str | None, list[Row]] = {}
    for row in rows:
        groups.setdefault(row.csm_id, []).append(row)
    lines = []
    for csm_id in sorted(groups, key=lambda c: (c is None, c or "")):
        statuses = Counter(r.status for r in groups[csm_id])
        expected = sum(r.expected_arr or 0.0 for r in groups[csm_id] if r.status == "qualified")
        lines.append(
            {
                "name": site.owner(csm_id),
                "path": portfolio_path(csm_id),
                "size": t.number(len(groups[csm_id])),
                "counts": [t.number(statuses[code]) for code in _STATUS_ORDER],
                "expected": t.money(expected),
            }
        )
    return lines
