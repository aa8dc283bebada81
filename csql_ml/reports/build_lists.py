"""The pages with many accounts as plain dicts: team index, one index per portfolio, ledger of holds, nurture list."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from csql_ml.reports import wording as w
from csql_ml.reports.build_gaps import gap_note
from csql_ml.reports.build_score import SCORE_DIGITS, tenths
from csql_ml.reports.site import Site, account_path, portfolio_path, status_meaning

#: More rows than this are not put on one page: the browser would crawl.
ROW_LIMIT = 5000

_STATUS_ORDER = ("qualified", "held_for_risk", "not_yet", "ineligible")


class Row(NamedTuple):
    """What the lists need of one account; small, because all accounts of a run are held at once."""

    account_id: str
    name: str
    segment: str | None
    csm_id: str | None
    status: str | None
    lead_type: str | None
    band: str | None
    rank: int | None
    rank_in_portfolio: int | None
    propensity: float | None
    baseline_score: float | None
    arr: float | None
    expected_arr: float | None
    note: str
    detail: str


def list_row(account: Mapping[str, Any], site: Site) -> Row:
    """An account's row: its numbers and the one sentence that says most about its status."""
    return Row(
        account_id=account["account_id"],
        name=account.get("name") or account["account_id"],
        segment=account.get("segment"),
        csm_id=account.get("csm_id"),
        status=account.get("status"),
        lead_type=account.get("lead_type"),
        band=account.get("band"),
        rank=account.get("rank"),
        rank_in_portfolio=account.get("rank_in_portfolio"),
        propensity=account.get("propensity"),
        baseline_score=account.get("baseline_score"),
        arr=account.get("arr"),
        expected_arr=account.get("expected_arr"),
        note=_note(account, site),
        detail=_detail(account, site),
    )


def _note(account: Mapping[str, Any], site: Site) -> str:
    """Held: the risks. Not yet: the gates not passed. Not eligible: why not. Qualified: the strongest reason."""
    t, status = site.texts, account.get("status")
    if status == "held_for_risk":
        return "; ".join(w.risk_fact(t, r) for r in account["risks"])
    if status == "ineligible":
        return " ".join(w.word(t, w.INELIGIBLE, c) for c in account["ineligible_because"])
    if status == "not_yet":
        gates = [w.word(t, w.GATE, g.get("gate")) for g in account["gates"] if g.get("state") == "failed"]
        if gates:
            return t.gettext("Not passed: {gates}", gates=", ".join(gates))
        return t.gettext("Score too low") if site.run.champion_kind == "rules" else t.gettext("Propensity too low")
    speaking = (r for r in account["reasons"] if r.get("value") is not None and r.get("side") != "against")
    return next((site.facts.sentence(r) for r in speaking if site.facts.shown(str(r.get("metric")))), "")


def _detail(account: Mapping[str, Any], site: Site) -> str:
    """Held: what releases it. Not yet: the metrics below their thresholds."""
    if account.get("status") == "held_for_risk":
        return "; ".join(w.risk_release(site.texts, r) for r in account["risks"])
    if account.get("status") == "not_yet":
        return gap_note(account, site)
    return ""


def team_index(rows: Sequence[Row], site: Site) -> dict[str, Any]:
    """All accounts, best rank first; above `ROW_LIMIT` only the best."""
    page = _list("team", site.texts.gettext("All accounts"), _by_rank(rows), site)
    portfolios = _portfolios(rows, site)
    count = site.texts.ngettext("{n} portfolio", "{n} portfolios", len(portfolios))
    return {**page, "portfolios": portfolios, "portfolio_count": count}


def portfolio_index(csm_id: str | None, rows: Sequence[Row], site: Site) -> dict[str, Any]:
    """One portfolio, its best qualified accounts up to the capacity first."""
    t = site.texts
    title = t.gettext("Portfolio {csm}", csm=csm_id) if csm_id else t.gettext("Accounts without a CSM")
    ordered = sorted(rows, key=lambda r: (r.rank_in_portfolio is None, r.rank_in_portfolio or 0, r.account_id))
    qualified = [r for r in ordered if r.status == "qualified"]
    shortlist = qualified[: site.config.scoring.capacity_per_portfolio]
    page = _list("portfolio", title, ordered, site)
    return {**page, "shortlist": [_view(r, i, {}, site) for i, r in enumerate(shortlist, start=1)]}


def held_ledger(rows: Sequence[Row], site: Site) -> dict[str, Any]:
    """Every account held for risk, with what releases it."""
    held = [r for r in rows if r.status == "held_for_risk"]
    return _list("held", site.texts.gettext("Held for risk"), _by_rank(held), site)


def nurture_list(rows: Sequence[Row], site: Site) -> dict[str, Any]:
    """Every account that is not yet a lead, with what is missing; marketing nurtures it."""
    waiting = [r for r in rows if r.status == "not_yet"]
    return _list("nurture", site.texts.gettext("Nurture"), _by_rank(waiting), site)


def _by_rank(rows: Iterable[Row]) -> list[Row]:
    return sorted(rows, key=lambda r: (r.rank is None, r.rank or 0, r.account_id))


def _list(kind: str, title: str, rows: Sequence[Row], site: Site) -> dict[str, Any]:
    t, shown = site.texts, rows[:ROW_LIMIT]
    owners = sorted({r.csm_id for r in shown}, key=lambda c: (c is None, c or ""))
    numbers = {owner: i for i, owner in enumerate(owners)}
    limited = len(rows) > ROW_LIMIT
    return {
        "kind": kind,
        "title": title,
        # The ledger and the nurture list show one status only, and need the room for their sentences.
        "status_column": kind in ("team", "portfolio"),
        "score_column": kind != "held",
        "owner_column": kind != "portfolio",
        "count": t.ngettext("{n} account", "{n} accounts", len(rows)),
        "tiles": _tiles(rows, site),
        "limited": t.gettext(
            "This page shows the {shown} best-ranked of {total} accounts. The others stand in the portfolios.",
            shown=t.number(ROW_LIMIT),
            total=t.number(len(rows)),
        )
        if limited
        else None,
        "portfolios": [],
        "shortlist": [],
        "filters": _filters(shown, owners, site),
        "rows": [_view(r, _rank(kind, r), numbers, site) for r in shown],
    }


def _rank(kind: str, row: Row) -> int | None:
    return row.rank_in_portfolio if kind == "portfolio" else row.rank


def _tiles(rows: Sequence[Row], site: Site) -> list[dict[str, Any]]:
    """Accounts and expected ARR per status."""
    t = site.texts
    counts = Counter(r.status for r in rows)
    tiles = []
    for code in _STATUS_ORDER:
        expected = sum(r.expected_arr or 0.0 for r in rows if r.status == code)
        tiles.append(
            {
                "code": code,
                "word": w.word(t, w.STATUS, code),
                "meaning": status_meaning(code, site),
                "count": t.number(counts[code]),
                "expected": t.short_money(expected) if counts[code] else None,
            }
        )
    return tiles


def _filters(rows: Sequence[Row], owners: Sequence[str | None], site: Site) -> dict[str, list[tuple[str, str]]]:
    """Choices as value and word; only what occurs in the rows."""
    t = site.texts

    def present(words: Mapping[str, str], codes: set[str | None]) -> list[tuple[str, str]]:
        return [(code, t.gettext(message)) for code, message in words.items() if code in codes]

    return {
        "status": present(w.STATUS, {r.status for r in rows}),
        "type": present(w.LEAD_TYPE, {r.lead_type for r in rows}),
        "band": present(w.BAND, {r.band for r in rows}),
        "owner": [(str(i), site.owner(owner)) for i, owner in enumerate(owners)],
    }


def _view(row: Row, rank: int | None, owners: Mapping[str | None, int], site: Site) -> dict[str, Any]:
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


def _portfolios(rows: Sequence[Row], site: Site) -> list[dict[str, Any]]:
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
