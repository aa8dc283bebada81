"""The ``hubspot`` sink.

Leads are made by batch/create with a trace id each, never by batch/upsert: an upsert takes no associations, so that a
lead would stand without its company and contact between two requests, it would make anew what sales has deleted, and
one that arrives late would overwrite what is newer. A second create of a key is refused by HubSpot, because the key
property has unique values; whether that is so is asked before anything is sent.

Known limit: HubSpot has no conditional write. An update is preceded by a look at the record (a newer as-of date, or a
stage that sales has chosen, leaves it alone), but an update that a network delivers late, after a newer one, is carried
out by HubSpot, and nobody learns of it. No lead is lost or doubled by that; its texts and figures may be of an earlier
run until the next change.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from csql_ml.config.hubspot import HubSpot
from csql_ml.errors import DeliveryError
from csql_ml.handoff.fields import WITHDRAWN, Kind
from csql_ml.handoff.http_answers import nothing_sent_yet
from csql_ml.handoff.hubspot.accounts import Account, Accounts
from csql_ml.handoff.hubspot.answers import ABSENT, Outcome, failure, outcome
from csql_ml.handoff.hubspot.api import Content, HubSpotApi, Refused, codes, understood
from csql_ml.handoff.hubspot.layout import Layout, layouts
from csql_ml.handoff.hubspot.objects import BATCH, Found, Objects
from csql_ml.handoff.hubspot.outcomes import Pull
from csql_ml.handoff.hubspot.portal import Portal
from csql_ml.handoff.hubspot.preflight import Preflight
from csql_ml.handoff.record import Record
from csql_ml.handoff.sink import (
    BatchRejected,
    Capabilities,
    Finding,
    OutcomeChange,
    Remote,
    Result,
    Swept,
    TransientError,
)

_NO_PROPERTY = "PROPERTY_DOESNT_EXIST"


class HubSpotSink:
    """Speaks to one HubSpot account.

    Parameters
    ----------
    token
        Access token of a private app.
    currency
        What the company counts in.
    lead_source
        The value that marks our leads.

    Raises
    ------
    MissingExtraError
        hubspot-api-client is not installed.
    """

    name = "hubspot"

    def __init__(self, settings: HubSpot, token: str, *, currency: str = "USD", lead_source: str = "CSQL") -> None:
        self._settings = settings
        api = HubSpotApi(settings.host, token, settings.connect_timeout, settings.read_timeout)
        self._api = api
        self._objects = Objects(api)
        self._portal = Portal(api, settings)
        self._accounts = Accounts(self._objects, self._portal, settings)
        self._layouts = layouts(settings, self._portal)
        self._preflight = Preflight(self._portal, self._layouts, settings, token, currency, lead_source)
        self._pull = Pull(self._objects, self._portal, self._layouts["lead"], settings, lead_source)

    def capabilities(self) -> Capabilities:
        return Capabilities(
            batch_size=BATCH,
            unique_key=self._layouts["lead"].unique,
            fields={kind: layout.fields() for kind, layout in self._layouts.items()},
            field_limits={kind: layout.limits() for kind, layout in self._layouts.items()},
        )

    def preflight(self, kinds: Sequence[Kind]) -> list[Finding]:
        return self._preflight.findings(kinds)

    def check(self, kind: Kind, records: Sequence[Record]) -> dict[str, str]:
        layout = self._layouts[kind]
        found = {r.key: problem for r in records if (problem := layout.problem(r)) is not None}
        if kind == "lead":
            new = [r for r in records if r.changed is None and r.key not in found]
            accounts = self._accounts.of(r.account_id for r in new)
            return found | {r.key: text for r in new if (text := accounts[r.account_id].problem)}
        there = self._standing(layout, records)
        return found | {r.key: _absent(layout) for r in records if r.key not in there}

    def lookup(self, kind: Kind, keys: Sequence[str]) -> dict[str, Remote]:
        layout = self._layouts[kind]
        return {key: layout.remote(_kept(layout, found)) for key, found in self._by_key(layout, keys).items()}

    def prepare(self, kind: Kind, records: Sequence[Record]) -> str:
        return ""

    def submit(self, kind: Kind, records: Sequence[Record], receipt: str) -> list[Result]:
        """Send a batch; at most one request makes records and one changes some.

        Where the first of them was taken, a failure of the second never reads as if nothing had happened.
        """
        layout = self._layouts[kind]
        new = [r for r in records if kind == "lead" and r.changed is None and r.remote_id is None]
        fresh = {r.key for r in new}
        known = [r for r in records if r.key not in fresh]
        results: list[Result] = []
        for rows, act in ((known, self._change), (new, self._create)):
            if rows:
                results += self._one_request(act, layout, rows, after=bool(results))
        return results

    def collect(self, receipt: str) -> list[Result]:
        return []

    def outcomes(self, cursor: str) -> tuple[list[OutcomeChange], str]:
        return self._pull.changes(cursor)

    def sweep(self, kind: Kind, keys: Sequence[str]) -> list[Swept]:
        """Keep one lead of each key: one that sales works on, else the oldest; withdraw the others by status."""
        layout = self._layouts[kind]
        if kind != "lead":
            return []
        swept, inputs = [], []
        for key, found in self._by_key(layout, keys).items():
            kept = _kept(layout, found)
            extra = [f for f in found if f.id != kept.id and self._untouched(layout, f)]
            inputs += [{"id": f.id, "properties": self._withdrawal(layout)} for f in extra]
            if extra:
                swept.append(Swept(key, kept.id, tuple(f.id for f in extra)))
        for start in range(0, len(inputs), BATCH):
            answer = self._api.ask(self._path(layout, "update"), {"inputs": inputs[start : start + BATCH]})
            for error in answer.get("errors") or ():
                raise TransientError(f"sweeping: {failure('', error).error}")
        return swept

    # making

    def _create(self, layout: Layout, rows: Sequence[Record]) -> list[Result]:
        with nothing_sent_yet():
            accounts = self._accounts.of(r.account_id for r in rows)
            problems = {r.key: accounts[r.account_id].problem or layout.problem(r) for r in rows}
            inputs = [self._new(layout, r, accounts[r.account_id]) for r in rows if problems[r.key] is None]
        refused = [Result(key, "invalid", error=problem) for key, problem in problems.items() if problem]
        if not inputs:
            return refused
        traces = {i["objectWriteTraceId"]: i["objectWriteTraceId"] for i in inputs}
        try:
            answer = self._api.order(self._path(layout, "create"), {"inputs": inputs})
        except Refused as error:
            _stop_at_missing_property(error)
            if self._present(layout, list(traces)):
                # Some of them are there already and are looked up; the others stand alone next time.
                return refused
            raise BatchRejected(error.reason) from error
        with understood(self._path(layout, "create")):
            found = outcome(answer, traces, layout.key_property)
        return [*refused, *self._results(layout, found, new=True)]

    def _new(self, layout: Layout, record: Record, account: Account) -> Content:
        company, contact = self._settings.associations
        links = [(account.company, company), (account.contact, contact)]
        return {
            "properties": layout.created(record),
            "associations": [_association(to, kind) for to, kind in links if to is not None and kind is not None],
            # With a trace id on each HubSpot says what became of each; without them one bad row refuses all.
            "objectWriteTraceId": record.key,
        }

    def _present(self, layout: Layout, keys: Sequence[str]) -> set[str]:
        """Which of these keys are there.

        Asked where a create was refused: HubSpot's error for a second create of a key looks like that for a bad value.
        """
        return set(self._by_key(layout, keys))

    # changing

    def _change(self, layout: Layout, rows: Sequence[Record]) -> list[Result]:
        with nothing_sent_yet():
            there = self._standing(layout, rows)
            results, inputs, sent = [], [], {}
            for record in rows:
                found = there.get(record.key)
                done = self._without_writing(layout, record, found)
                properties = layout.changed(record, found) if done is None and found is not None else {}
                if done is not None or found is None or not properties:
                    results.append(done or Result(record.key, "acknowledged", found.id if found else None))
                else:
                    inputs.append({"id": found.id, "properties": properties})
                    sent[found.id] = record.key
        if not inputs:
            return results
        try:
            answer = self._api.order(self._path(layout, "update"), {"inputs": inputs})
        except Refused as error:
            _stop_at_missing_property(error)
            raise BatchRejected(error.reason) from error
        with understood(self._path(layout, "update")):
            done_there = outcome(answer, sent, layout.key_property)
        return [*results, *self._results(layout, done_there, new=False)]

    def _without_writing(self, layout: Layout, record: Record, found: Found | None) -> Result | None:
        """What becomes of a record without a write; None where it takes one."""
        status = record.sent_fields().get("status")
        withdraws = layout.kind == "lead" and status == WITHDRAWN
        if found is None:
            if withdraws:
                return Result(record.key, "acknowledged", record.remote_id)
            return Result(record.key, "invalid", error=_absent(layout))
        if layout.as_of(found) > record.as_of:
            return Result(record.key, "acknowledged", found.id)
        if withdraws and not self._untouched(layout, found):
            return Result(record.key, "acknowledged", found.id)
        if problem := layout.problem(record):
            return Result(record.key, "invalid", error=problem)
        return None

    def _untouched(self, layout: Layout, found: Found) -> bool:
        """Whether a lead is open and still stands where it was put: sales has neither accepted nor closed it."""
        return layout.stage(found) == self._settings.stage_ids.open and not layout.withdrawn(found)

    def _withdrawal(self, layout: Layout) -> dict[str, str]:
        own = self._settings
        return {layout.properties["status"]: WITHDRAWN, own.own.stage_property: own.stage_ids.withdrawn}

    # both

    def _one_request(
        self,
        act: Callable[[Layout, Sequence[Record]], list[Result]],
        layout: Layout,
        rows: Sequence[Record],
        *,
        after: bool,
    ) -> list[Result]:
        """``after``: something of the batch was taken already, so that nobody may be told it was not."""
        try:
            return act(layout, rows)
        except TransientError as error:
            raise TransientError(error.reason, error.retry_after, uncertain=error.uncertain or after) from error
        except BatchRejected:
            if not after:
                raise
            # Left without results these rows are looked up, and then sent by themselves.
            return []

    def _results(self, layout: Layout, answer: Outcome, *, new: bool) -> list[Result]:
        """Results of a batch that HubSpot has answered record by record."""
        unclear = [failure("", error).error for error in answer.unclear]
        if unclear and not answer.taken and len(answer.silent) > 1:
            raise BatchRejected(unclear[0] or "refused")
        for error in [*answer.failed.values(), *answer.unclear]:
            _stop_at_missing_property(Refused(207, error))
        present = self._present(layout, list(answer.failed)) if new and answer.failed else set()
        found = [Result(key, "acknowledged", remote_id) for key, remote_id in answer.taken.items()]
        # A key that is there already was made by an earlier request: left without a result, it is looked up.
        found += [self._failed(layout, key, e, new=new) for key, e in answer.failed.items() if key not in present]
        return found + [Result(key, "retry", error=unclear[0]) for key in answer.silent if unclear]

    def _failed(self, layout: Layout, key: str, error: Content, *, new: bool) -> Result:
        if not new and ABSENT in codes(error):
            return Result(key, "invalid", error=_absent(layout))
        return failure(key, error)

    def _by_key(self, layout: Layout, keys: Sequence[str]) -> dict[str, list[Found]]:
        return self._objects.by_value(
            layout.object_type, layout.key_property, keys, layout.read_properties, unique=layout.unique
        )

    def _standing(self, layout: Layout, rows: Sequence[Record]) -> dict[str, Found]:
        """The records as they are now; where keys are not unique, those whose ids are known are read by id."""
        ids = {} if layout.unique else {r.key: r.remote_id for r in rows if r.remote_id}
        there = self._objects.by_id(layout.object_type, ids.values(), layout.read_properties) if ids else {}
        found = {key: there[one] for key, one in ids.items() if one in there}
        others = [r.key for r in rows if r.key not in ids]
        return found | {key: _kept(layout, several) for key, several in self._by_key(layout, others).items()}

    def _path(self, layout: Layout, act: str) -> str:
        return f"/crm/v3/objects/{layout.object_type}/batch/{act}"


def _kept(layout: Layout, found: Sequence[Found]) -> Found:
    """Of several records of one key: one that sales works on, else the oldest that is not withdrawn."""
    if layout.kind == "score":
        return found[0]
    start = layout.settings.stage_ids.open

    def order(one: Found) -> tuple[Any, ...]:
        return layout.withdrawn(one), layout.stage(one) == start, one.created, int(one.id)

    return min(found, key=order)


def _association(to: str, type_id: int) -> Content:
    return {"to": {"id": to}, "types": [{"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": type_id}]}


def _absent(layout: Layout) -> str:
    if layout.kind == "score":
        return f"no HubSpot company has this account's id in {layout.key_property}; fill it in there"
    return f"HubSpot has none of its {layout.object_type} under this key any more: it was deleted there; restore it"


def _stop_at_missing_property(error: Refused) -> None:
    """A property that is gone is no fault of a row; every row would die of it."""
    if _NO_PROPERTY in codes(error.error):
        raise DeliveryError(f"HubSpot has lost a property of the mapping ({error.reason}); make it again, then push")
