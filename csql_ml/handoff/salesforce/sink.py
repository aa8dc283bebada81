"""The sink itself: what of a batch goes which way, and everything that is only read.

Of a batch, new records and changes of our own fields go through one bulk job (upsert by external id) where they are
many; where they are few, new ones are created in a collection and changes are conditional. A change of status is
always conditional, whatever the size of the batch. What cannot be prevented: a bulk job writes its rows some time after
they were sent, so it puts our fields (never status or owner of a known record) over a change that sales made to them
meanwhile; and a conditional change compares whole seconds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from csql_ml.errors import DeliveryError
from csql_ml.handoff.fields import KEY_FIELD, ONLY_AT_CREATION, WITHDRAWN, Kind
from csql_ml.handoff.record import Record, by_key
from csql_ml.handoff.salesforce import bulk, csv_text, writes
from csql_ml.handoff.salesforce.answers import RequestRefusedError
from csql_ml.handoff.salesforce.api import Api
from csql_ml.handoff.salesforce.description import PICKLISTS, Description, described
from csql_ml.handoff.salesforce.mapping import (
    CLOSED_FIELD,
    STATUS_FIELD,
    Target,
    Values,
    at_creation,
    field_limits,
    read,
    statuses,
    targets,
    written,
)
from csql_ml.handoff.salesforce.outcomes import Outcomes
from csql_ml.handoff.salesforce.owners import Owners
from csql_ml.handoff.salesforce.preflight import Preflight
from csql_ml.handoff.salesforce.soql import Rows, among
from csql_ml.handoff.sink import Capabilities, Finding, OutcomeChange, Remote, Result, Swept, TransientError
from csql_ml.secret_file import read_secret

if TYPE_CHECKING:
    from csql_ml.config import Config


def opened(config: Config) -> SalesforceSink:
    """The sink as the configuration has it; the secret is read here, once."""
    login = config.delivery.salesforce.login
    file = None if login.secret_file is None else config.path(login.secret_file)
    setting = "delivery.salesforce.login.secret_file"
    return SalesforceSink(config, read_secret("Salesforce secret", login.secret_variable, file, setting))


@dataclass(frozen=True)
class _Division:
    """A batch divided by the way it goes; each key once."""

    bulk: Sequence[Record]
    new: Sequence[Record]
    known: Sequence[Record]


class SalesforceSink:
    """Leads as Lead or Opportunity, scores on Account.

    Parameters
    ----------
    secret
        Client secret, private key or access token; see `csql_ml.config.salesforce.SalesforceLogin`.
    """

    name = "salesforce"

    def __init__(self, config: Config, secret: str) -> None:
        self._config = config
        self._settings = config.delivery.salesforce
        self._targets = targets(self._settings)
        self._statuses = statuses(self._settings)
        self._api = Api(self._settings, secret)
        self._owners = Owners(self._api, self._settings)
        self._descriptions: dict[str, Description] = {}

    # what it takes

    def capabilities(self) -> Capabilities:
        with _asking():
            there = {kind: self._described(t.object) for kind, t in self._targets.items()}
        keys = [there[k].fields.get(t.key_field) for k, t in self._targets.items()]
        return Capabilities(
            batch_size=self._settings.bulk_size,
            unique_key=all(key is not None and key.unique for key in keys),
            fields={kind: target.contract_names() for kind, target in self._targets.items()},
            field_limits={kind: field_limits(target, there[kind]) for kind, target in self._targets.items()},
            asynchronous=True,
        )

    def preflight(self, kinds: Sequence[Kind]) -> list[Finding]:
        with _asking():
            chosen = [self._targets[kind] for kind in kinds if kind in self._targets]
            return Preflight(self._api, self._config, chosen, self._statuses, self._owners, self._described).findings()

    def check(self, kind: Kind, records: Sequence[Record]) -> dict[str, str]:
        target = self._targets[kind]
        with _asking():
            there = self._described(target.object)
            if target.has_life:
                self._owners.users(str(r.payload["owner"]) for r in records if not _known(r) and r.payload.get("owner"))
            found = {r.key: self._problem(target, there, r) for r in records}
        return {key: reason for key, reason in found.items() if reason is not None}

    def _problem(self, target: Target, there: Description, record: Record) -> str | None:
        """Why Salesforce would refuse a record, as far as reading tells."""
        if target.has_life and not _known(record):
            owner = record.payload.get("owner")
            if (reason := self._owners.reason(None if owner is None else str(owner))) is not None:
                return reason
        for name, value in record.sent_fields().items():
            field = there.fields.get(target.fields.get(name, ""))
            if value == csv_text.EMPTY:
                return f"{name} is the text {csv_text.EMPTY}, which empties a field in Salesforce"
            if (
                field is not None
                and field.type in PICKLISTS
                and field.restricted
                and value not in {None, *field.values}
            ):
                return f"{name} is no value of the restricted picklist {field.name}; add it there"
        return None

    # what is there

    def lookup(self, kind: Kind, keys: Sequence[str]) -> dict[str, Remote]:
        target = self._targets[kind]
        with _asking():
            there, rows = self._described(target.object), self._rows(target, keys)
            names = self._owners.names(str(r["OwnerId"]) for r in rows.values()) if target.has_life else {}
        found = {}
        for key, row in rows.items():
            fields = {**read(target, row, there, self._statuses), KEY_FIELD[kind]: key}
            if names.get(row.get("OwnerId", "")):
                fields["owner"] = names[row["OwnerId"]]
            found[key] = Remote(row["Id"], fields)
        return found

    def _rows(self, target: Target, keys: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Records by our key; of several with one key the oldest."""
        there = self._described(target.object).fields
        columns = [c for c in target.columns() if c in there]
        select = f"SELECT {', '.join(columns)} FROM {target.object}"
        found: dict[str, dict[str, Any]] = {}
        # Salesforce may compare without regard to case; two of our keys that differ in case alone are two to us.
        by_name = {key.casefold(): key for key in keys} | {key: key for key in keys}
        for row in among(self._api, select, target.key_field, keys, " ORDER BY CreatedDate, Id"):
            name = str(row[target.key_field])
            key = by_name.get(name) or by_name.get(name.casefold())
            if key is not None:
                found.setdefault(key, row)
        return found

    # writing

    def prepare(self, kind: Kind, records: Sequence[Record]) -> str:
        if not self._divided(records).bulk:
            return ""
        target = self._targets[kind]
        with _asking():
            return f"{kind}:{bulk.create(self._api, target.object, target.key_field)}"

    def submit(self, kind: Kind, records: Sequence[Record], receipt: str) -> list[Result] | None:
        """Write a batch.

        With a bulk job, results of rows that did not go into it come at once, those of the others from `collect`.
        """
        target, division = self._targets[kind], self._divided(records)
        results: list[Result] = []
        with _asking():
            there = self._described(target.object)
            # Names of owners are looked up before anything is written: reading may fail without a trace.
            ready, results = self._drafts(target, there, [*division.bulk, *division.new])
            if division.bulk and ready:
                bulk.send(self._api, receipt.partition(":")[2], [values for _, values in ready])
            elif division.bulk:
                bulk.abort(self._api, receipt.partition(":")[2])
            elif ready:
                results += writes.create(self._api, target.object, target.key_field, ready)
            begun = bool(ready)
            try:
                results += self._change(target, there, division.known)
            except TransientError as error:
                raise TransientError(error.reason, error.retry_after, uncertain=error.uncertain or begun) from None
        return results if results or not division.bulk else None

    def _divided(self, records: Sequence[Record]) -> _Division:
        once = list(by_key(records).values())
        restaged = [r for r in once if _restaged(r)]
        others = [r for r in once if not _restaged(r)]
        if len(others) >= self._settings.bulk_from:
            return _Division(others, [], restaged)
        return _Division([], [r for r in others if not _known(r)], [r for r in once if _known(r)])

    def _drafts(
        self, target: Target, there: Description, records: Sequence[Record]
    ) -> tuple[list[tuple[str, Values]], list[Result]]:
        """Fields of new and bulk records with key, owner and what only creation sets; and who cannot be sent."""
        if target.has_life:
            self._owners.users(str(r.payload["owner"]) for r in records if r.payload.get("owner"))
        ready, refused = list[tuple[str, Values]](), list[Result]()
        for record in records:
            reason = self._problem(target, there, record)
            if reason is not None:
                refused.append(Result(record.key, "invalid", record.remote_id, reason))
                continue
            values = written(target, record, there, self._statuses)
            if not _known(record):
                filled = {n: v for n, v in values.items() if v is not None}
                values = {**filled, **self._creation(target, record)}
            ready.append((record.key, {target.key_field: record.key, **values}))
        return ready, refused

    def _creation(self, target: Target, record: Record) -> Values:
        owner = record.payload.get("owner")
        found = at_creation(self._settings, target, record)
        found["OwnerId"] = self._owners.user(None if owner is None else str(owner))
        return {n: v for n, v in found.items() if v is not None}

    def _change(self, target: Target, there: Description, records: Sequence[Record]) -> list[Result]:
        """Change records under the condition that they are as they were read a moment ago."""
        rows = self._rows(target, [r.key for r in records]) if records else {}
        results, changes = list[Result](), list[writes.Change]()
        for record in records:
            row = rows.get(record.key)
            decided = self._leave(target, record, row)
            if decided is not None or row is None:
                results += [decided] if decided is not None else []
                continue
            values = self._changed_values(target, there, record, row)
            if values:
                changes.append(writes.Change(record.key, row["Id"], row["LastModifiedDate"], values))
            else:
                results.append(Result(record.key, "acknowledged", row["Id"]))
        return results + writes.change(self._api, target.object, target.key_field, changes)

    def _leave(self, target: Target, record: Record, row: Mapping[str, Any] | None) -> Result | None:
        """The result of a record that is not to be written; None: it is."""
        withdrawing = record.payload.get("status") == WITHDRAWN and "status" in record.sent_fields()
        if row is None:
            if target.has_life and withdrawing:
                return Result(record.key, "acknowledged", record.remote_id)
            gone = "no longer there: it was deleted, or its key was emptied" if target.has_life else "not there"
            return Result(
                record.key, "invalid", record.remote_id, f"{target.object} with this {target.key_field} is {gone}"
            )
        closed = target.has_life and row.get(CLOSED_FIELD[target.object])
        newer = str(row.get(target.fields.get("as_of", "")) or "")[:10] > record.as_of
        taken_on = target.has_life and withdrawing and self._standing(target, row) in ("accepted", "rejected")
        return Result(record.key, "acknowledged", row["Id"]) if closed or newer or taken_on else None

    def _changed_values(self, target: Target, there: Description, record: Record, row: Mapping[str, Any]) -> Values:
        """Fields to write on a known record: a status only to withdraw it, or to open it again."""
        values = written(target, record, there, self._statuses)
        if not target.has_life:
            return values
        reopening = record.payload.get("status") != WITHDRAWN
        if reopening and self._standing(target, row) != "withdrawn":
            values.pop(STATUS_FIELD[target.object], None)
            for name in ONLY_AT_CREATION:
                values.pop(target.fields.get(name, ""), None)
        return values

    def _standing(self, target: Target, row: Mapping[str, Any]) -> str:
        return self._statuses.standing(row.get(STATUS_FIELD[target.object]))

    def collect(self, receipt: str) -> list[Result] | None:
        kind, _, job = receipt.partition(":")
        target = next((t for k, t in self._targets.items() if k == kind), None)
        if target is None:
            raise DeliveryError(f"receipt {receipt!r} is of no kind of record that this configuration sends")
        with _asking():
            return bulk.results(self._api, job, target.key_field)

    # back

    def outcomes(self, cursor: str) -> tuple[list[OutcomeChange], str]:
        with _asking():
            found = Outcomes(self._api, self._settings, self._targets["lead"], self._statuses, self._owners)
            return found.since(cursor, self._described)

    def sweep(self, kind: Kind, keys: Sequence[str]) -> list[Swept]:
        """Keep one record of each key and withdraw the others, which lose the key; none that sales took on."""
        target = self._targets[kind]
        if not target.has_life:
            return []
        status = STATUS_FIELD[target.object]
        columns = ["Id", target.key_field, status, CLOSED_FIELD[target.object], "CreatedDate", "LastModifiedDate"]
        with _asking():
            select = f"SELECT {', '.join(columns)} FROM {target.object}"
            found: dict[str, Rows] = {}
            for row in among(self._api, select, target.key_field, keys, " ORDER BY CreatedDate, Id"):
                found.setdefault(row[target.key_field], []).append(row)
            return [swept for key, rows in found.items() if (swept := self._swept(target, key, rows)) is not None]

    def _swept(self, target: Target, key: str, rows: Rows) -> Swept | None:
        def worked_on(row: Mapping[str, Any]) -> bool:
            return bool(row[CLOSED_FIELD[target.object]]) or self._standing(target, row) in ("accepted", "rejected")

        kept, *others = sorted(rows, key=lambda row: not worked_on(row))
        values: Values = {STATUS_FIELD[target.object]: self._statuses.withdrawn, target.key_field: None}
        changes = [writes.Change(r["Id"], r["Id"], r["LastModifiedDate"], values) for r in others if not worked_on(r)]
        done = writes.change(self._api, target.object, target.key_field, changes)
        withdrawn = tuple(r.key for r in done if r.status == "acknowledged")
        return Swept(key, kept["Id"], withdrawn) if withdrawn else None

    def _described(self, name: str) -> Description:
        if name not in self._descriptions:
            try:
                self._descriptions[name] = described(self._api, name)
            except RequestRefusedError as error:
                if error.status != 404:
                    raise
                # Preflight says by name what is missing in an object that cannot be seen.
                self._descriptions[name] = Description(name, createable=False, updateable=False, fields={})
        return self._descriptions[name]


def _known(record: Record) -> bool:
    """Whether the record is there already: accounts always are, they are not ours to make."""
    return record.kind == "score" or record.changed is not None or record.remote_id is not None


def _restaged(record: Record) -> bool:
    """Whether a known lead is to get another status."""
    return record.kind == "lead" and _known(record) and "status" in record.sent_fields()


@contextmanager
def _asking() -> Iterator[None]:
    """A request refused for no reason of a row's: no waiting cures that."""
    try:
        yield
    except RequestRefusedError as error:
        raise DeliveryError(
            f"Salesforce refuses the request ({error.reason}); csql push --dry-run names fields and permissions"
        ) from None
