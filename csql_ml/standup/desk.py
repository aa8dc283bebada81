"""What to hand over now, what waits and what is due: a run's leads routed beside those that were handed over before."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from csql_ml.handoff.fields import OPEN
from csql_ml.handoff.holdout import holdout_of
from csql_ml.handoff.outbox import Outbox
from csql_ml.handoff.outbox_file import looking
from csql_ml.handoff.record import Record
from csql_ml.handoff.routing import Routed, Terms, is_open, route, still_in_work
from csql_ml.handoff.row import Row, new_row
from csql_ml.handoff.run_records import RunAccount, RunRecords
from csql_ml.reports.build_lists import list_row
from csql_ml.reports.site import Site

if TYPE_CHECKING:
    from csql_ml.config import Config

#: Sinks that never tell what became of a lead.
_SILENT = ("files",)
#: Why an account is no lead once sales has answered one of it.
_WORKED = frozenset({"lead_in_work", "cooldown"})


def _terms(config: Config, as_of: date) -> Terms:
    routing, holdout = config.delivery.routing, holdout_of(config, as_of)
    return Terms(
        routing,
        routing.open_leads_per_portfolio or config.scoring.capacity_per_portfolio,
        config.eligibility.cooldown_days,
        config.handoff.sla_days,
        frozenset() if holdout is None else holdout.accounts,
    )


@dataclass(frozen=True)
class Handed:
    """Leads handed over before, by key.

    Attributes
    ----------
    source
        Where that is known from: ``outbox``, ``earlier run`` or ``nothing``.
    answering
        Keys of leads whose CRM tells what became of them; for the others only the accounts of the run can tell.
    """

    rows: Mapping[str, Row]
    source: str
    answering: frozenset[str] = frozenset()


def handed_over(records: RunRecords, earlier: RunRecords | None, config: Config) -> Handed:
    """What was handed over before the run, from the outbox; without one, from the earlier run.

    Raises
    ------
    OutputError
        The outbox cannot be read.
    """
    path = config.path(config.delivery.outbox)
    if path.exists():
        with looking(path) as connection:
            sinks = connection.execute("SELECT DISTINCT sink FROM deliveries WHERE kind = 'lead' ORDER BY sink")
            found = {name: Outbox(connection, name).rows("lead") for (name,) in sinks.fetchall()}
        if found:
            answering = frozenset(key for name, rows in found.items() if name not in _SILENT for key in rows)
            return Handed(_merged(found.values()), "outbox", answering)
    if earlier is None:
        return Handed({}, "nothing")
    accounts = earlier.accounts({lead.account_id for lead in earlier.leads})
    routed = route(earlier.leads, {}, accounts, _terms(config, earlier.as_of), earlier.as_of)
    return Handed({r.key: _as_row(r, earlier) for r in routed if r.waits_for is None}, "earlier run")


def _merged(sinks: Iterable[Mapping[str, Row]]) -> dict[str, Row]:
    """Rows of several CRMs: what sales did in any of them counts."""
    found: dict[str, Row] = {}
    for rows in sinks:
        for key, row in rows.items():
            if key not in found or _told(row) > _told(found[key]):
                found[key] = row
    return found


def _told(row: Row) -> tuple[bool, bool, bool]:
    return row.closed, row.outcome is not None, row.acknowledged_hash is not None


def _as_row(routed: Routed, records: RunRecords) -> Row:
    lead, as_of = routed.lead, records.as_of.isoformat()
    payload = {
        "lead_key": routed.key,
        "account_id": lead.account_id,
        "status": OPEN,
        "owner": routed.owner,
        "csm_id": lead.csm_id,
        "opened_on": routed.opened_on,
        "answer_due": routed.answer_due,
        "as_of": as_of,
    }
    return new_row(
        Record("lead", routed.key, lead.account_id, as_of, payload), "create", records.run.run_id, lead.motion
    )


class Desk:
    """Routes a run's leads beside what was handed over.

    Attributes
    ----------
    load
        Open leads per portfolio, those to be handed over now among them.
    """

    def __init__(
        self, records: RunRecords, earlier: RunRecords | None, handed: Handed, config: Config, day: date
    ) -> None:
        self.terms = _terms(config, records.as_of)
        self._as_of, self._day, self._pushed = records.as_of, day, handed.source == "outbox"
        self._answering = handed.answering
        self._since = None if earlier is None else earlier.as_of.isoformat()
        self._open = {r.key: r for r in handed.rows.values() if is_open(r)}
        places = {(lead.account_id, lead.motion) for lead in records.leads}
        asked = {lead.account_id for lead in records.leads} | {r.account_id for r in self._open.values()}
        self._accounts: Mapping[str, RunAccount] = records.accounts(asked)
        self._routed = route(records.leads, handed.rows, self._accounts, self.terms, records.as_of)
        vanished = [r for r in self._open.values() if (r.account_id, r.motion) not in places]
        self._in_work = still_in_work(vanished, self._accounts)
        kept = [self._open[key] for key in {r.key for r in self._routed} & set(self._open)]
        self.load = Counter(r.wanted.get("csm_id") for r in (*kept, *self._in_work))
        new = (r for r in self._routed if r.waits_for is None and r.key not in self._open)
        self.load.update(r.lead.csm_id for r in new)

    def lists(self, site: Site) -> dict[str, list[dict[str, Any]]]:
        """Leads to hand over, those that wait, and those whose answer is due."""
        names = {a["account_id"]: list_row(a, site) for a in site.run.accounts() if a["account_id"] in self._accounts}
        entries = [(_lead(r, names.get(r.lead.account_id)), r) for r in self._routed]
        return {
            "offers": [{**e, "handed": r.key in self._open} for e, r in entries if self._offered(r)],
            "waiting": [{**e, "waits_for": r.waits_for} for e, r in entries if r.waits_for is not None],
            "due": sorted(self._due(names), key=lambda e: (e["answer_due"], str(e["account_id"]), e["lead_key"])),
        }

    def _offered(self, routed: Routed) -> bool:
        """Whether a lead is new: not handed over yet, or since the earlier run."""
        if routed.waits_for is not None:
            return False
        if routed.key not in self._open:
            return True
        if self._since is None:
            return self._pushed and routed.opened_on == self._as_of.isoformat()
        return self._pushed and routed.opened_on > self._since

    def _due(self, names: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
        kept = {r.key for r in self._routed if r.waits_for is None and r.key in self._open}
        wanted = [*(self._open[key] for key in sorted(kept)), *self._in_work]
        for row in wanted:
            due = str(row.wanted.get("answer_due") or "")
            if not due or due > self._day.isoformat() or self._answered(row):
                continue
            account = names.get(row.account_id)
            yield {
                "lead_key": row.key,
                "account_id": row.account_id,
                "name": row.account_id if account is None else account.name,
                "csm": row.wanted.get("csm_id"),
                "owner": row.wanted.get("owner"),
                "opened_on": row.wanted.get("opened_on"),
                "answer_due": due,
                "days_overdue": (self._day - date.fromisoformat(due)).days,
            }

    def _answered(self, row: Row) -> bool:
        """Whether sales took it up or turned it down, or it never reached them."""
        if self._pushed and row.acknowledged_hash is None:
            return True
        if row.key in self._answering:
            return row.outcome is not None
        account = self._accounts.get(row.account_id)
        return account is not None and not _WORKED.isdisjoint(account.barred)


def _lead(routed: Routed, account: Any) -> dict[str, Any]:
    lead = routed.lead
    return {
        "lead_key": routed.key,
        "account_id": lead.account_id,
        "name": lead.account_id if account is None else account.name,
        "csm": lead.csm_id,
        "lead_type": lead.lead_type,
        "product": lead.product or None,
        "owner": routed.owner,
        "opened_on": routed.opened_on,
        "answer_due": routed.answer_due,
        "propensity": None if account is None else account.propensity,
        "expected_arr": None if account is None else account.expected_arr,
        "note": "" if account is None else account.note,
    }
