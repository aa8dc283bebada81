"""The pages with many accounts as plain dicts: team and portfolio indexes, ledger of holds, nurture list, advocates."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from sys import intern
from typing import Any, NamedTuple

from csql_ml.reports import wording as w
from csql_ml.reports.advocates import Values, advocacy_note, is_advocate
from csql_ml.reports.build_gaps import gap_note
from csql_ml.reports.build_rows import choices, owner_numbers, portfolio_lines, tiles, view
from csql_ml.reports.site import Site, part_path, portfolio_path
from csql_ml.reports.standup_site import sheet_path

#: More rows than this are not put on one page, because a filter would take too long: the list goes on on further pages.
ROW_LIMIT = 2000

Page = dict[str, Any]


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
    advocate: bool = False


def list_row(account: Mapping[str, Any], site: Site) -> Row:
    """An account's row: its numbers and the one sentence that says most about its status."""
    return Row(
        account_id=account["account_id"],
        name=account.get("name") or account["account_id"],
        segment=_shared(account.get("segment")),
        csm_id=_shared(account.get("csm_id")),
        status=_shared(account.get("status")),
        lead_type=_shared(account.get("lead_type")),
        band=_shared(account.get("band")),
        rank=account.get("rank"),
        rank_in_portfolio=account.get("rank_in_portfolio"),
        propensity=account.get("propensity"),
        baseline_score=account.get("baseline_score"),
        arr=account.get("arr"),
        expected_arr=account.get("expected_arr"),
        note=intern(_note(account, site)),
        detail=intern(_detail(account, site)),
        advocate=is_advocate(account),
    )


def _shared(text: str | None) -> str | None:
    """The text, held once however many rows have it."""
    return intern(text) if type(text) is str else text


def _note(account: Mapping[str, Any], site: Site) -> str:
    """Held: the risks. Not yet: the gates not passed. Not eligible: why not. Qualified: the strongest reason."""
    t, status = site.texts, account.get("status")
    if status == "held_for_risk":
        return t.joined(w.risk_fact(t, r) for r in account["risks"])
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
        return site.texts.joined(w.risk_release(site.texts, r) for r in account["risks"])
    if account.get("status") == "not_yet":
        return gap_note(account, site)
    return ""


def team_index(rows: Sequence[Row], site: Site) -> Iterator[Page]:
    """All accounts, best rank first."""
    portfolios = portfolio_lines(rows, site)
    count = site.texts.ngettext("{n} portfolio", "{n} portfolios", len(portfolios))
    for page in _pages("team", site.texts.gettext("All accounts"), "index.html", _by_rank(rows), site):
        yield {**page, "portfolios": portfolios, "portfolio_count": count} if page["first"] else page


def portfolio_index(csm_id: str | None, rows: Sequence[Row], site: Site) -> Iterator[Page]:
    """One portfolio, its best qualified accounts up to the capacity first."""
    t = site.texts
    title = t.gettext("Portfolio {csm}", csm=csm_id) if csm_id else t.gettext("Accounts without a CSM")
    ordered = sorted(rows, key=lambda r: (r.rank_in_portfolio is None, r.rank_in_portfolio or 0, r.account_id))
    qualified = [r for r in ordered if r.status == "qualified"]
    shortlist = qualified[: site.config.scoring.capacity_per_portfolio]
    for page in _pages("portfolio", title, portfolio_path(csm_id), ordered, site):
        best = [view(r, i, {}, site) for i, r in enumerate(shortlist, start=1)] if page["first"] else []
        yield {
            **page,
            "shortlist": best,
            "sheet": sheet_path(csm_id) if page["first"] and csm_id in (site.sheets or ()) else None,
        }


def held_ledger(rows: Sequence[Row], site: Site) -> Iterator[Page]:
    """Every account held for risk, with what releases it."""
    held = [r for r in rows if r.status == "held_for_risk"]
    return _pages("held", site.texts.gettext("Held for risk"), "held.html", _by_rank(held), site)


def nurture_list(rows: Sequence[Row], site: Site) -> Iterator[Page]:
    """Every account that is not yet a lead, with what is missing; marketing nurtures it."""
    waiting = [r for r in rows if r.status == "not_yet"]
    return _pages("nurture", site.texts.gettext("Nurture"), "nurture.html", _by_rank(waiting), site)


def advocates_list(rows: Sequence[Row], values: Values, site: Site) -> Iterator[Page]:
    """Every account that speaks well of the product, with how; marketing amplifies it.

    Parameters
    ----------
    values
        What is told of each; see `csql_ml.reports.advocates.advocacy_values`.
    """
    found = [r._replace(note=advocacy_note(r.account_id, values, site)) for r in rows if r.advocate]
    return _pages("advocates", site.texts.gettext("Advocates"), "advocates.html", _by_rank(found), site)


def _by_rank(rows: Iterable[Row]) -> list[Row]:
    return sorted(rows, key=lambda r: (r.rank is None, r.rank or 0, r.account_id))


def _pages(kind: str, title: str, path: str, rows: Sequence[Row], site: Site) -> Iterator[Page]:
    """The list in pages of `ROW_LIMIT` rows; an empty list is one page too."""
    counted = tiles(rows, site)
    for start in range(0, max(len(rows), 1), ROW_LIMIT):
        shown = rows[start : start + ROW_LIMIT]
        owners = owner_numbers(shown)
        yield {
            "kind": kind,
            "title": title,
            "path": part_path(path, start // ROW_LIMIT + 1),
            "first": start == 0,
            # Ledger and nurture list show one status only, and need the room for their sentences.
            "status_column": kind in ("team", "portfolio", "advocates"),
            "score_column": kind not in ("held", "advocates"),
            "owner_column": kind != "portfolio",
            "count": site.texts.ngettext("{n} account", "{n} accounts", len(rows)),
            "tiles": counted,
            "parts": _parts(path, start, len(rows), site),
            "portfolios": [],
            "shortlist": [],
            "sheet": None,
            "filters": choices(shown, owners, site),
            "rows": [view(r, _rank(kind, r), owners, site) for r in shown],
        }


def _parts(path: str, start: int, total: int, site: Site) -> dict[str, Any] | None:
    """A word about a list that goes on on further pages, and the way there; None where one page holds it all."""
    if total <= ROW_LIMIT:
        return None
    t = site.texts
    last = min(start + ROW_LIMIT, total)
    return {
        "note": t.gettext(
            "This page holds accounts {first} to {last} of {total}. Search, filters and sorting work within it.",
            first=t.number(start + 1),
            last=t.number(last),
            total=t.number(total),
        ),
        "links": [
            {"number": t.number(n + 1), "path": part_path(path, n + 1), "current": n == start // ROW_LIMIT}
            for n in range(-(-total // ROW_LIMIT))
        ],
    }


def _rank(kind: str, row: Row) -> int | None:
    return row.rank_in_portfolio if kind == "portfolio" else row.rank
