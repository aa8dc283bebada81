"""What every page of one report shares: the run, the language, the settings and where pages lie."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta

from csql_ml.config import Config
from csql_ml.reports import wording as w
from csql_ml.reports.evidence_text import Facts
from csql_ml.reports.filenames import page_name
from csql_ml.reports.history import History
from csql_ml.reports.run_folder import Run
from csql_ml.reports.texts import Texts

ACCOUNT_FOLDER = "account"
PORTFOLIO_FOLDER = "csm"
STANDUP_FOLDER = "standup"
#: No id turns into this name: names made of ids begin with a letter or digit, or end in a hash.
UNASSIGNED = "_unassigned.html"


@dataclass(frozen=True)
class Site:
    """One report being built.

    ``portfolio_sizes`` counts the accounts per CSM (None: accounts without one); ``total`` counts them all. ``history``
    knows where accounts stood in earlier runs. ``sheets`` are the CSMs with a sheet of the weekly stand-up; None: the
    report has no such sheets.
    """

    run: Run
    texts: Texts
    facts: Facts
    config: Config
    portfolio_sizes: Mapping[str | None, int]
    total: int
    history: History = field(default_factory=History)
    sheets: Collection[str | None] | None = None

    @property
    def as_of(self) -> date:
        return self.run.as_of

    @property
    def prior(self) -> bool:
        """Whether the propensity is a starting assumption because no outcome was seen yet."""
        return not self.run.labels_seen

    def day(self, days_ago: float) -> str:
        """The calendar day ``days_ago`` days before the as-of date, written in the report's language."""
        return self.texts.date(self.as_of - timedelta(days=int(days_ago)))

    def owner(self, csm_id: str | None) -> str:
        """What a portfolio is called."""
        return csm_id or self.texts.gettext("No CSM")


def status_meaning(code: str, site: Site) -> str:
    """What a status says in this run; empty for an unknown one."""
    meanings = w.STATUS_MEANING | (w.OWN_STATUS_MEANING if site.run.own_features else {})
    return site.texts.gettext(meanings[code]) if code in meanings else ""


def account_path(account_id: str) -> str:
    """Path of an account's page inside the report."""
    return f"{ACCOUNT_FOLDER}/{page_name(account_id)}"


def portfolio_path(csm_id: str | None) -> str:
    """Path of a portfolio's page inside the report."""
    return f"{PORTFOLIO_FOLDER}/{page_name(csm_id) if csm_id else UNASSIGNED}"


def part_path(path: str, number: int) -> str:
    """Path of the ``number``-th page (from 1) of a list that goes on; no id turns into a name with a dot in it.

    Examples
    --------
    >>> part_path("index.html", 1), part_path("index.html", 2)
    ('index.html', 'index.2.html')
    """
    return path if number == 1 else f"{path.removesuffix('.html')}.{number}.html"
