"""The ``tryton`` sink itself: one transaction of the server a batch, under a key that its database keeps unique.

Before a batch is written, the server says which revision it has of every record, and what time it is. Both go along
with the batch: a request that the network delivers late finds newer revisions, or comes after its time, and changes
nothing (`configs/crm/tryton_module`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from csql_ml.config.tryton import Tryton
from csql_ml.errors import DeliveryError
from csql_ml.handoff.fields import Kind
from csql_ml.handoff.record import Record
from csql_ml.handoff.sink import BatchRejected, Capabilities, Finding, OutcomeChange, Remote, Result, Swept
from csql_ml.handoff.tryton.mapping import MODELS, contract_fields, limits, read_names, row, taken_fields
from csql_ml.handoff.tryton.outcomes import Outcomes
from csql_ml.handoff.tryton.preflight import Readiness, company_of, findings
from csql_ml.handoff.tryton.rpc import TrytonRpc

_NO_MODULE = "install configs/crm/tryton_module there"


class TrytonSink:
    """Leads as sale opportunities, scores as records of their own.

    Parameters
    ----------
    currency, lead_source
        What the company counts in, and the value of the lead source.
    """

    name = "tryton"

    def __init__(self, rpc: TrytonRpc, settings: Tryton, currency: str, lead_source: str) -> None:
        self._rpc = rpc
        self._settings = settings
        self._currency = currency
        self._lead_source = lead_source
        self._ready: dict[Kind, Readiness | None] = {}

    def capabilities(self) -> Capabilities:
        ready = {kind: found for kind in MODELS if (found := self._readiness(kind)) is not None}
        return Capabilities(
            batch_size=self._settings.batch_size,
            unique_key=bool(ready) and all(found["unique"] for found in ready.values()),
            fields={kind: taken_fields(kind) for kind in ready},
            field_limits={kind: limits(kind, found["sizes"]) for kind, found in ready.items()},
        )

    def preflight(self, kinds: Sequence[Kind]) -> list[Finding]:
        self._ready = {}
        ready = {kind: self._readiness(kind) for kind in kinds if kind in MODELS}
        return findings(ready, self._settings, self._currency, self._lead_source)

    def check(self, kind: Kind, records: Sequence[Record]) -> dict[str, str]:
        rows = [row(record, None, self._settings) for record in records]
        found = self._read(kind, "csql_problems", rows, self._options(kind))
        return {str(key): str(reason) for key, reason in found.items()}

    def lookup(self, kind: Kind, keys: Sequence[str]) -> dict[str, Remote]:
        # The oldest comes last and stays, should a key be there twice.
        order = [["id", "DESC"]]
        domain = [["csql_key", "in", list(keys)]]
        found = self._read(kind, "search_read", domain, 0, None, order, read_names(kind))
        return {one["csql_key"]: Remote(str(one["id"]), contract_fields(kind, one)) for one in found}

    def prepare(self, kind: Kind, records: Sequence[Record]) -> str:
        return ""

    def submit(self, kind: Kind, records: Sequence[Record], receipt: str) -> list[Result]:
        there = self._read(kind, "csql_revisions", [record.key for record in records])
        rows = [row(record, there["revisions"].get(record.key), self._settings) for record in records]
        options = self._options(kind) | {"until": there["now"] + sum(self._rpc.timeouts)}
        method = f"model.{MODELS[kind]}.csql_take"
        answers = self._rpc.write(method, rows, options, context=self._context(kind))
        return _results(answers, {record.key for record in records})

    def collect(self, receipt: str) -> list[Result]:
        return []

    def outcomes(self, cursor: str) -> tuple[list[OutcomeChange], str]:
        options = {**self._options("lead"), "currency": self._currency}
        return Outcomes(self._settings, lambda *params: self._read("lead", "csql_changes", *params, options)).since(
            cursor
        )

    def sweep(self, kind: Kind, keys: Sequence[str]) -> list[Swept]:
        method = f"model.{MODELS[kind]}.csql_sweep"
        try:
            found = self._rpc.write(method, list(keys), context=self._context(kind))
        except BatchRejected as error:
            raise DeliveryError(f"{error.reason}; records that are there twice were left so") from error
        return [Swept(one["key"], str(one["kept"]), tuple(map(str, one["withdrawn"]))) for one in found]

    def _readiness(self, kind: Kind) -> Readiness | None:
        """What the module says of itself; None where it is not installed."""
        if kind not in self._ready:
            model = MODELS[kind]
            there = self._rpc.read("model.ir.model.search_count", [["name", "=", "csql.lead_source"]], 0, None)
            self._ready[kind] = self._rpc.read(f"model.{model}.csql_ready") if there else None
        return self._ready[kind]

    def _options(self, kind: Kind) -> dict[str, Any]:
        return {
            "account_field": "code" if self._settings.accounts_by == "code" else "csql_account_id",
            "create_parties": self._settings.create_accounts,
            "company": self._company(kind),
        }

    def _company(self, kind: Kind) -> int:
        ready = self._readiness(kind)
        if ready is None:
            raise DeliveryError(f"{self._rpc.url} has no module csql; {_NO_MODULE}")
        company = company_of(ready, self._settings)
        if company is None:
            raise DeliveryError(
                f"{self._rpc.url} has no company to deliver to; set delivery.tryton.company to its name"
            )
        return int(company["id"])

    def _context(self, kind: Kind) -> dict[str, Any]:
        return {"company": self._company(kind), "language": "en"}

    def _read(self, kind: Kind, method: str, *params: Any) -> Any:
        return self._rpc.read(f"model.{MODELS[kind]}.{method}", *params, context=self._context(kind))


def _results(answers: Sequence[Mapping[str, Any]], keys: set[str]) -> list[Result]:
    """Answers to the keys that were asked for; a key without one is looked up by the core."""
    return [
        Result(one["key"], one["status"], None if one["id"] is None else str(one["id"]), one["error"])
        for one in answers
        if one["key"] in keys
    ]
