"""The CSM site: one index for the team, one per portfolio, one page per account, the ledger and the nurture list."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from csql_ml.config import Config
from csql_ml.errors import OutputError
from csql_ml.reports import build_lists as lists
from csql_ml.reports.build import account_page
from csql_ml.reports.catalogue import load
from csql_ml.reports.evidence_text import facts_of
from csql_ml.reports.folder import replaced_whole
from csql_ml.reports.render import Renderer
from csql_ml.reports.run_folder import Run, open_run
from csql_ml.reports.site import ACCOUNT_FOLDER, PORTFOLIO_FOLDER, Site, account_path, portfolio_path
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
    run: Path, out: Path, *, language: str, config: Config, on_progress: Progress | None = None
) -> ReportSummary:
    """Write the CSM site of a scoring run.

    Parameters
    ----------
    run
        Folder of a run (``csql score --out``); nothing else is read.
    out
        Folder of the site. An earlier report there is replaced, anything else is refused.
    language
        ``en`` or a language with a catalogue in ``csql_ml/reports/locale``.
    config
        Weights, capacity, bands and response times that the pages quote.

    Raises
    ------
    UsageError
        There are no texts in ``language``.
    OutputError
        ``run`` is not a run folder or damaged, or ``out`` cannot be written.
    """
    opened = open_run(run)
    texts = Texts(load(language), opened.currency)
    site = Site(opened, texts, facts_of(opened.own_features, texts, opened.own_metrics), config, {}, 0)
    rows = _rows(opened, site)
    sizes = Counter(row.csm_id for row in rows)
    site = replace(site, portfolio_sizes=sizes, total=len(rows))
    with replaced_whole(out) as folder:
        writer = _Writer(folder, Renderer(site))
        _write_lists(rows, site, writer)
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


def _write_lists(rows: list[lists.Row], site: Site, writer: _Writer) -> None:
    render = writer.renderer.accounts
    writer.write(INDEX, render(lists.team_index(rows, site)))
    writer.write("held.html", render(lists.held_ledger(rows, site)))
    writer.write("nurture.html", render(lists.nurture_list(rows, site)))
    portfolios: dict[str | None, list[lists.Row]] = {}
    for row in rows:
        portfolios.setdefault(row.csm_id, []).append(row)
    for csm_id, own in portfolios.items():
        writer.write(portfolio_path(csm_id), render(lists.portfolio_index(csm_id, own, site), root="../"))


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
