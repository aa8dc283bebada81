"""The CSM site: team and portfolio indexes, a page per account, ledger of holds, nurture list, advocates, stand-up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from csql_ml.config import Config
from csql_ml.errors import OutputError
from csql_ml.reports import build_lists as lists
from csql_ml.reports.advocates import advocacy_values
from csql_ml.reports.build import account_page
from csql_ml.reports.catalogue import load
from csql_ml.reports.evidence_text import facts_of
from csql_ml.reports.folder import replaced_whole
from csql_ml.reports.history import open_history
from csql_ml.reports.render import Renderer
from csql_ml.reports.run_folder import Run, open_run
from csql_ml.reports.site import ACCOUNT_FOLDER, PORTFOLIO_FOLDER, STANDUP_FOLDER, Site, account_path
from csql_ml.reports.standup_site import sheet_pages
from csql_ml.reports.texts import Texts

INDEX = "index.html"

#: Called with how many account pages are written and how many there will be.
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class ReportSummary:
    """What was written. ``largest_account_page`` and ``size`` are in bytes."""

    pages: int
    index: Path
    accounts: int
    portfolios: int
    largest_account_page: int
    size: int


def report(
    run: Path,
    out: Path,
    *,
    language: str,
    config: Config,
    earlier: Sequence[Path] = (),
    standup: Mapping[str, Any] | None = None,
    on_progress: Progress | None = None,
) -> ReportSummary:
    """Write the CSM site of a scoring run.

    Parameters
    ----------
    run
        Folder of a run (``csql score --out``); without earlier runs nothing else is read.
    out
        Folder of the site. An earlier report there is replaced, anything else is refused.
    language
        ``en`` or a language with a catalogue in ``csql_ml/reports/locale``.
    config
        Weights, capacity, bands and response times that the pages quote.
    earlier
        Folders of runs before this one, in any order: account pages then show where the account stood.
    standup
        What the weekly stand-up talks about, from `csql_ml.standup.digest`: the site then has its sheets.

    Raises
    ------
    UsageError
        There are no texts in ``language``, or a run in ``earlier`` is not an earlier one of the same company.
    OutputError
        ``run`` is not a run folder or damaged, or ``out`` cannot be written.
    """
    opened = open_run(run)
    texts = Texts(load(language), opened.currency)
    site = Site(opened, texts, facts_of(opened.own_features, texts, opened.own_metrics), config, {}, 0)
    rows = _rows(opened, site)
    sizes = Counter(row.csm_id for row in rows)
    past = open_history(opened, earlier)
    sheets = None if standup is None else {part["csm"] for part in standup["csms"]}
    site = replace(site, portfolio_sizes=sizes, total=len(rows), history=past, sheets=sheets)
    with replaced_whole(out) as folder:
        writer = _Writer(folder, Renderer(site))
        for page in _lists(rows, site):
            writer.write(page["path"], writer.renderer.accounts(page))
        if standup is not None:
            for path, content in sheet_pages(standup, writer.renderer, {row.account_id for row in rows}):
                writer.write(path, content)
        largest = _write_accounts(site, writer, on_progress)
    return ReportSummary(writer.pages, out / INDEX, len(rows), len(sizes), largest, writer.size)


class _Writer:
    """Writes pages and counts them."""

    def __init__(self, folder: Path, renderer: Renderer) -> None:
        self._folder = folder
        self.renderer = renderer
        self.pages = 0
        self.size = 0
        for name in (ACCOUNT_FOLDER, PORTFOLIO_FOLDER):
            (folder / name).mkdir()
        if renderer.site.sheets is not None:
            (folder / STANDUP_FOLDER / PORTFOLIO_FOLDER).mkdir(parents=True)

    def write(self, path: str, content: bytes) -> None:
        (self._folder / path).write_bytes(content)
        self.pages += 1
        self.size += len(content)


def _rows(run: Run, site: Site) -> list[lists.Row]:
    """One row per account; an id that comes twice would overwrite a page, so it stops the job."""
    rows, seen = [], set[str]()
    for account in run.accounts():
        key = account["account_id"]
        if key in seen:
            raise OutputError(f"account {key} stands twice in {run.folder}; run `csql score` again")
        seen.add(key)
        rows.append(lists.list_row(account, site))
    return rows


def _lists(rows: list[lists.Row], site: Site) -> Iterator[dict[str, Any]]:
    """Every page with many accounts."""
    yield from lists.team_index(rows, site)
    yield from lists.held_ledger(rows, site)
    yield from lists.nurture_list(rows, site)
    values = advocacy_values(site.run, {row.account_id for row in rows if row.advocate})
    yield from lists.advocates_list(rows, values, site)
    portfolios: dict[str | None, list[lists.Row]] = {}
    for row in rows:
        portfolios.setdefault(row.csm_id, []).append(row)
    for csm_id, own in portfolios.items():
        yield from lists.portfolio_index(csm_id, own, site)


def _write_accounts(site: Site, writer: _Writer, on_progress: Progress | None) -> int:
    """Write every account's page; returns the size of the largest, in bytes."""
    largest = 0
    for done, account in enumerate(site.run.accounts(), start=1):
        content = writer.renderer.account(account_page(account, site))
        writer.write(account_path(account["account_id"]), content)
        largest = max(largest, len(content))
        if on_progress is not None:
            on_progress(done, site.total)
    return largest
