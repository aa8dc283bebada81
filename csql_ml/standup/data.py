"""The digest as JSON-able data: for the team, and per CSM."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from csql_ml.errors import UsageError
from csql_ml.handoff.run_records import RunRecords
from csql_ml.reports.catalogue import load
from csql_ml.reports.evidence_text import facts_of
from csql_ml.reports.run_folder import Run
from csql_ml.reports.site import Site
from csql_ml.reports.texts import Texts
from csql_ml.standup.changes import CHANGES, changes
from csql_ml.standup.desk import Desk, handed_over

if TYPE_CHECKING:
    from csql_ml.config import Config

_LISTS = ("due", "offers", "waiting", "changes")


def digest(
    config: Config, run: Path, since: Path | None = None, *, today: date | None = None, language: str | None = None
) -> dict[str, Any]:
    """Everything the stand-up talks about, as JSON-able data.

    Parameters
    ----------
    run, since
        Folders written by ``csql score``; without ``since`` nothing is compared.
    today
        The day of the stand-up, which says what is due; default: the run's date.
    language
        Of the notes about accounts; default: the company's.

    Raises
    ------
    UsageError
        ``since`` is not older than the run, or ``today`` is before it.
    OutputError
        A folder is no run, was changed, or is of another currency than the company; the outbox cannot be read.
    """
    records = RunRecords(run, config)
    earlier = None if since is None else RunRecords(since, config)
    day = today or records.as_of
    _check(records, earlier, day)
    handed = handed_over(records, earlier, config)
    site = _site(records.run, config, language or config.company.language)
    desk = Desk(records, earlier, handed, config, day)
    lists = {"changes": changes(site, None if earlier is None else earlier.run), **desk.lists(site)}
    return {
        "as_of": records.as_of.isoformat(),
        "today": day.isoformat(),
        "run_id": records.run.run_id,
        "company": records.run.company,
        "currency": records.run.currency,
        "since": None if earlier is None else {"as_of": earlier.as_of.isoformat(), "run_id": earlier.run.run_id},
        "handed_over": handed.source,
        "capacity": desk.terms.capacity,
        "team": _part(None, lists, sum(desk.load.values()), None),
        "csms": _portfolios(lists, desk),
    }


def _check(records: RunRecords, earlier: RunRecords | None, day: date) -> None:
    if earlier is not None and earlier.as_of >= records.as_of:
        raise UsageError(
            f"--since is the run as of {earlier.as_of.isoformat()}, which is not before {records.as_of.isoformat()}; "
            "name an earlier run"
        )
    if day < records.as_of:
        raise UsageError(f"--today {day.isoformat()} is before the run, which is as of {records.as_of.isoformat()}")


def _site(run: Run, config: Config, language: str) -> Site:
    texts = Texts(load(language), run.currency)
    return Site(run, texts, facts_of(run.own_features, texts, run.own_metrics), config, {}, 0)


def _portfolios(lists: Mapping[str, Sequence[Mapping[str, Any]]], desk: Desk) -> list[dict[str, Any]]:
    """One part per CSM with anything to talk about or any open lead; accounts without one come last."""
    own: dict[str | None, dict[str, list[Mapping[str, Any]]]] = {csm: {n: [] for n in lists} for csm in desk.load}
    for name, entries in lists.items():
        for entry in entries:
            own.setdefault(entry["csm"], {n: [] for n in lists})[name].append(entry)
    order = sorted(own, key=lambda csm: (csm is None, csm or ""))
    return [_part(csm, own[csm], desk.load[csm], desk.terms.capacity) for csm in order]


def _part(
    csm: str | None, lists: Mapping[str, Sequence[Mapping[str, Any]]], load: int, capacity: int | None
) -> dict[str, Any]:
    kinds = Counter(kind for entry in lists["changes"] for kind in entry["changes"])
    overdue = sum(e["days_overdue"] > 0 for e in lists["due"])
    return {
        "csm": csm,
        "open": load,
        # Without a portfolio there is nobody whose capacity could be exceeded.
        "free": None if csm is None or capacity is None else max(capacity - load, 0),
        "counts": {
            **{kind: kinds[kind] for kind in CHANGES},
            "offers": len(lists["offers"]),
            "waiting": len(lists["waiting"]),
            "due_today": len(lists["due"]) - overdue,
            "overdue": overdue,
        },
        **{name: list(lists[name]) for name in _LISTS},
    }
