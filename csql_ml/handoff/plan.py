"""What a push would do: every record compared with what the sink has. A dry run ends here; a push stores the plan."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from itertools import chain, islice
from typing import TYPE_CHECKING, TypeVar

from csql_ml.handoff import note
from csql_ml.handoff.asking import Asked, Line
from csql_ml.handoff.diff import Difference, differ, differences
from csql_ml.handoff.fields import ONLY_AT_CREATION, OPEN, WITHDRAWN, Kind, Payload
from csql_ml.handoff.holdout import Holdout, holdout_of
from csql_ml.handoff.note import Note
from csql_ml.handoff.outbox import Outbox, Watermark
from csql_ml.handoff.patience import Patience
from csql_ml.handoff.record import Fitted, Record, by_key, fingerprint, fitted
from csql_ml.handoff.routing import HELD_OUT, Routed, Terms, is_open, route, still_in_work
from csql_ml.handoff.row import INVALID, Row, known_remotely, new_row, refused, wanted
from csql_ml.handoff.run_records import RunRecords
from csql_ml.handoff.sink import Capabilities, Remote, Sink

if TYPE_CHECKING:
    from csql_ml.config import Config

_T = TypeVar("_T")
#: Actions that send something, those that do not, in the order they are shown.
SENDING = ("create", "update", "reopen", "withdraw")
RESTING = ("unchanged", "invalid", "waiting", HELD_OUT, "older", "drop")


@dataclass(frozen=True)
class Change:
    """What is to happen with one record.

    Attributes
    ----------
    action
        ``create``, ``update``, ``reopen`` or ``withdraw`` send something. ``unchanged``: the sink has it. ``invalid``:
        it was refused, or will be. ``waiting``: routing holds it back. ``held_out``: an experiment holds its account
        out. ``older``: a newer run was here before.
        ``drop``: it never reached the sink and is not wanted any more.
    before, after
        What the sink is known to have (None: nothing), and what is wanted there.
    reason
        Why, for ``invalid`` and ``waiting``.
    row
        What the outbox will hold; None where it stays as it is.
    """

    kind: Kind
    key: str
    account_id: str
    account_name: str | None
    action: str
    before: Payload | None = None
    after: Payload = field(default_factory=dict)
    reason: str | None = None
    row: Row | None = None

    @cached_property
    def differences(self) -> tuple[Difference, ...]:
        """Field by field; only a dry run asks for it."""
        return differences(self.kind, self.before, self.after)


@dataclass(frozen=True)
class Plan:
    """All changes of a push to one sink."""

    sink: str
    run: Watermark
    kinds: tuple[Kind, ...]
    changes: tuple[Change, ...]
    notes: tuple[Note, ...] = field(default=())

    def counts(self) -> dict[str, dict[str, int]]:
        """Per kind: how many records each action holds for."""
        found = {kind: Counter(c.action for c in self.changes if c.kind == kind) for kind in self.kinds}
        return {kind: {a: counts[a] for a in (*SENDING, *RESTING)} for kind, counts in found.items()}

    def store(self, outbox: Outbox, job: str, at: str) -> int:
        """Put the plan into the outbox, all of it or nothing; returns the push's number in the history."""
        with outbox.transaction():
            outbox.remove(c.row for c in self.changes if c.action == "drop" and c.row is not None)
            outbox.put(c.row for c in self.changes if c.action != "drop" and c.row is not None)
            for kind in self.kinds:
                outbox.raise_watermark(kind, self.run)
            push_id = outbox.begin_push(job, self.run, at, self.counts())
            refused_now = [c.row for c in self.changes if c.action == "invalid" and c.row is not None]
            outbox.note_results(push_id, refused_now)
        return push_id


@dataclass(frozen=True)
class _Wanted:
    record: Record
    motion: str = ""


class Planner:
    """Compares a run with an outbox and a sink; reads both and changes neither."""

    def __init__(
        self,
        run: RunRecords,
        sink: Sink,
        capabilities: Capabilities,
        outbox: Outbox,
        config: Config,
        patience: Patience,
    ) -> None:
        self._run = run
        self._sink = sink
        self._capabilities = capabilities
        self._outbox = outbox
        self._config = config
        self._patience = patience
        self._mark = Watermark(run.as_of.isoformat(), run.run.run_id)

    def plan(self, kinds: Sequence[Kind]) -> Plan:
        """What is to be done for these kinds of records.

        Raises
        ------
        DeliveryError
            The sink cannot be read.
        """
        changes: list[Change] = []
        notes: list[Note] = []
        for kind in kinds:
            newest = self._outbox.watermark(kind)
            if newest is not None and newest.as_of > self._mark.as_of:
                mark = self._mark
                notes.append(Note(note.OLDER[kind], run=mark.run_id, as_of=mark.as_of, newest=newest.as_of))
                changes += self._older(kind)
            else:
                changes += self._leads(notes) if kind == "lead" else self._scores()
        return Plan(self._sink.name, self._mark, tuple(kinds), tuple(changes), tuple(notes))

    def _older(self, kind: Kind) -> Iterator[Change]:
        if kind == "lead":
            for lead in self._run.leads:
                yield Change(kind, lead.key, lead.account_id, _name(lead.payload), "older")
        else:
            for record in self._run.scores:
                yield Change(kind, record.key, record.account_id, None, "older")

    def _scores(self) -> list[Change]:
        records = by_key(self._run.scores).values()
        keys = [r.key for r in records]
        return self._compared("score", keys, (_Wanted(r) for r in records), self._outbox.rows("score"))

    def _leads(self, notes: list[Note]) -> list[Change]:
        rows, config = self._outbox.rows("lead"), self._config
        holdout = holdout_of(config, self._run.as_of)
        routing = config.delivery.routing
        terms = Terms(
            routing,
            routing.open_leads_per_portfolio or config.scoring.capacity_per_portfolio,
            config.eligibility.cooldown_days,
            config.handoff.sla_days,
            holdout.accounts if holdout is not None else frozenset(),
        )
        in_run = {(lead.account_id, lead.motion) for lead in self._run.leads}
        vanished = [r for r in rows.values() if is_open(r) and (r.account_id, r.motion) not in in_run]
        new = {lead.account_id for lead in self._run.leads} if routing.territories else set()
        accounts = self._run.accounts(new | {r.account_id for r in vanished})
        routed = route(self._run.leads, rows, accounts, terms, self._run.as_of)
        handed = [r for r in routed if r.waits_for is None]
        if unowned := sum(r.owner is None for r in handed):
            notes.append(Note(note.UNOWNED, count=unowned))
        if holdout is not None:
            notes.append(_told(holdout, [r for r in routed if r.waits_for == HELD_OUT], rows))
        in_work = {r.key for r in still_in_work(vanished, accounts)}
        gone = [r for r in vanished if r.key not in in_work]
        withdrawn = [_Wanted(self._withdrawn(r), r.motion) for r in gone if _reached(r)]
        keys = [*(r.key for r in handed), *(w.record.key for w in withdrawn)]
        return [
            *self._compared("lead", keys, chain(map(self._lead, handed), withdrawn), rows),
            *(self._waiting(r, holdout) for r in routed if r.waits_for is not None),
            *(Change("lead", r.key, r.account_id, _name(r.wanted), "drop", row=r) for r in gone if not _reached(r)),
        ]

    def _lead(self, routed: Routed) -> _Wanted:
        own = {
            "lead_key": routed.key,
            "owner": routed.owner,
            "opened_on": routed.opened_on,
            "answer_due": routed.answer_due,
        }
        lead = routed.lead
        record = Record("lead", routed.key, lead.account_id, self._mark.as_of, {**lead.payload, **own})
        return _Wanted(record, lead.motion)

    def _withdrawn(self, row: Row) -> Record:
        own = {"status": WITHDRAWN, "as_of": self._mark.as_of, "run_id": self._mark.run_id}
        return Record("lead", row.key, row.account_id, self._mark.as_of, {**row.wanted, **own})

    def _waiting(self, routed: Routed, holdout: Holdout | None) -> Change:
        lead, action, reason = routed.lead, "waiting", routed.waits_for
        if holdout is not None and reason == HELD_OUT:
            action, reason = HELD_OUT, holdout.experiment
        return Change("lead", routed.key, lead.account_id, _name(lead.payload), action, reason=reason)

    def _compared(
        self, kind: Kind, keys: Sequence[str], found: Iterator[_Wanted], rows: Mapping[str, Row]
    ) -> list[Change]:
        """One change per record that is wanted, in their order.

        While the sink looks up the keys of one part, or checks its records, the next part is written and compared.
        """
        line, size = Line(), self._capabilities.batch_size
        looked_up = [line.ask(partial(self._remotes, kind, part, rows)) for part in _parts(keys[:size], size)]
        changes: list[Change] = []
        checks: list[Asked[Mapping[str, str]]] = []
        for start in range(0, len(keys), size):
            if ahead := keys[start + size : start + 2 * size]:
                looked_up.append(line.ask(partial(self._remotes, kind, ahead, rows)))
            part = list(islice(found, size))
            fits = [self._fitted(want) for want in part]
            remotes = looked_up[start // size].answer()
            made = [
                self._change(fit.record, want, rows.get(want.record.key), remotes.get(want.record.key), fit.problem)
                for want, fit in zip(part, fits, strict=True)
            ]
            if sending := [c.row.record() for c in made if c.action in SENDING and c.row is not None]:
                checks.append(line.ask(partial(self._problems, kind, sending)))
            changes += made
        reasons = {key: reason for check in checks for key, reason in check.answer().items()}
        return [_refused(c, reasons[c.key]) if c.action in SENDING and c.key in reasons else c for c in changes]

    def _fitted(self, want: _Wanted) -> Fitted:
        """A record as the sink takes it, with what is needed of it later computed while there is time."""
        kind = want.record.kind
        fit = fitted(want.record, self._capabilities.fields[kind], self._capabilities.field_limits.get(kind, {}))
        if fit.problem is None:
            fit.record.prepare()
        return fit

    def _remotes(self, kind: Kind, keys: Iterable[str], rows: Mapping[str, Row]) -> Mapping[str, Remote]:
        """What the sink has under keys it never acknowledged to this outbox: the outbox may be new, or restored."""
        unknown = [k for k in keys if k not in rows or not _reached(rows[k])]
        if not unknown:
            return {}
        return self._patience.ask(f"looking up {kind}s", partial(self._sink.lookup, kind, unknown))

    def _problems(self, kind: Kind, records: Sequence[Record]) -> Mapping[str, str]:
        """Which of these records the sink says it would refuse."""
        return self._patience.ask(f"checking {kind}s", partial(self._sink.check, kind, records))

    def _change(
        self, record: Record, want: _Wanted, row: Row | None, remote: Remote | None, problem: str | None
    ) -> Change:
        before: Payload | None = None if row is None else row.acknowledged
        if remote is not None:
            before = {n: remote.fields.get(n) for n in record.payload}
            kept = {n: before[n] for n in ONLY_AT_CREATION if before.get(n) is not None}
            record = replace(record, payload={**record.payload, **kept})
        place = record.kind, record.key, record.account_id, _name(want.record.payload)
        if remote is not None and str(remote.fields.get("as_of") or "") > record.as_of:
            return Change(*place, "older")
        known_hash = row.acknowledged_hash if row is not None and remote is None else None
        action = _action(record, before, known_hash)
        after = self._row(record, action, want.motion, row, remote)
        reason = problem or (after.error if after.dead_because == INVALID else None)
        if reason is not None:
            dead = refused(after, reason) if after.sent_hash is None else after
            return Change(*place, "invalid", before, record.payload, reason, dead)
        return Change(*place, action, before, record.payload, row=_if_new(row, after))

    def _row(self, record: Record, action: str, motion: str, row: Row | None, remote: Remote | None) -> Row:
        base = row if row is not None else new_row(record, action, self._mark.run_id, motion)
        if remote is not None:
            known = {n: v for n, v in remote.fields.items() if n in record.payload}
            base = known_remotely(base, remote.remote_id, known, fingerprint(record.kind, known))
        return wanted(base, record, action, self._mark.run_id)


def _action(record: Record, before: Payload | None, known_hash: str | None) -> str:
    """What sending the record means; ``known_hash``: fingerprint of what the sink is known to have."""
    if before is None:
        return "create"
    if known_hash == record.fingerprint or not differ(record.kind, before, record.payload):
        return "unchanged"
    was, will_be = before.get("status"), record.payload.get("status")
    if WITHDRAWN in (was, will_be) and was != will_be:
        return "reopen" if will_be == OPEN else "withdraw"
    return "update"


def _refused(change: Change, reason: str) -> Change:
    row = change.row
    if row is None or row.sent_hash is not None:
        return change
    return replace(change, action="invalid", reason=reason, row=refused(row, reason))


def _if_new(row: Row | None, after: Row) -> Row | None:
    """The row to store; None where only the run it was last seen in would change."""
    if row is None or row.state != "acknowledged" or after.state != "acknowledged":
        return after
    return None


def _reached(row: Row) -> bool:
    """Whether anything of the row is, or may be, at the sink."""
    return row.acknowledged_hash is not None or row.sent_hash is not None


def _told(holdout: Holdout, held: Sequence[Routed], rows: Mapping[str, Row]) -> Note:
    """What an experiment means for a push."""
    values = {"experiment": holdout.experiment, "count": len(held), "until": str(holdout.until)}
    if known := sum(r.key in rows and _reached(rows[r.key]) for r in held):
        return Note(note.HELD_OUT_KNOWN, known=known, **values)
    return Note(note.HELD_OUT, **values)


def _name(payload: Payload) -> str | None:
    name = payload.get("account_name")
    return None if name is None else str(name)


def _parts(items: Sequence[_T], size: int) -> Iterator[Sequence[_T]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
