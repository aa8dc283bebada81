"""Contract fields and the fields of Tryton they are written to and read back from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from csql_ml.config.tryton import Tryton
from csql_ml.handoff.fields import FIELDS, OPEN, WITHDRAWN, Kind, Value
from csql_ml.handoff.record import Record

MODELS: Mapping[Kind, str] = {"lead": "sale.opportunity", "score": "csql.score"}
#: What Tryton's text fields of one line do not take.
_LINE_BREAKS = str.maketrans(dict.fromkeys("\t\n\r\x0b\x0c", " "))


@dataclass(frozen=True)
class Column:
    """A field in Tryton: its name, how a value is written, and how it is read back."""

    name: str
    write: Callable[[Any], Any] = lambda value: value
    read: Callable[[Any], Value] = lambda value: value


def _line(name: str) -> Column:
    """Text of one line."""
    return Column(name, lambda value: str(value).translate(_LINE_BREAKS))


def _day(name: str) -> Column:
    return Column(name, date.fromisoformat, lambda value: value.isoformat())


def _money(name: str) -> Column:
    return Column(name, lambda value: Decimal(str(value)).quantize(Decimal("0.01")), float)


_BOTH = {
    "propensity": Column("csql_propensity", read=float),
    "baseline_score": Column("csql_baseline_score", read=float),
    "band": _line("csql_band"),
    "expected_arr": _money("csql_expected_arr"),
    "lead_type": _line("csql_lead_type"),
    "csm_id": _line("csql_csm"),
    "as_of": _day("csql_as_of"),
    "run_id": _line("csql_run_id"),
    "model_version": _line("csql_model_version"),
}
#: Written at creation and with every change.
COLUMNS: Mapping[Kind, Mapping[str, Column]] = {
    "lead": {
        **_BOTH,
        "title": _line("description"),
        "account_name": _line("csql_account_name"),
        "product": _line("csql_product"),
        "potential_arr": _money("csql_potential_arr"),
        "proof_of_value": Column("csql_proof_of_value"),
        "trigger_event": Column("csql_trigger_event"),
        "expansion_hypothesis": Column("csql_expansion_hypothesis"),
        "stakeholders": Column("csql_stakeholders"),
    },
    "score": {
        **_BOTH,
        "status": _line("csql_status"),
        "risk_flags": _line("csql_risk_flags"),
        "failed_gates": _line("csql_failed_gates"),
    },
}
#: Written when a lead is opened, and left to sales from then on.
FIRST: Mapping[Kind, Mapping[str, Column]] = {
    "lead": {
        "owner": _line("csql_owner"),
        "opened_on": _day("csql_opened_on"),
        "answer_due": _day("csql_answer_due"),
    },
    "score": {},
}
#: Read back through records that they point to: contract field, Tryton's field.
_LINKED: Mapping[Kind, Mapping[str, tuple[str, str]]] = {
    "lead": {"lead_source": ("csql_source.", "name"), "currency": ("currency.", "code")},
    "score": {},
}
_ACCOUNT: Mapping[Kind, str] = {"lead": "csql_account_id", "score": "csql_key"}


def taken_fields(kind: Kind) -> tuple[str, ...]:
    """Contract fields that Tryton takes."""
    own = {"lead": ("lead_key", "status", "account_id"), "score": ("account_id",)}[kind]
    taken = {*own, *COLUMNS[kind], *FIRST[kind], *_LINKED[kind]}
    return tuple(f.name for f in FIELDS[kind] if f.name in taken)


def limits(kind: Kind, sizes: Mapping[str, int]) -> dict[str, int]:
    """Most characters per contract field, from the sizes of Tryton's fields."""
    columns = {**COLUMNS[kind], **FIRST[kind], "account_id": Column(_ACCOUNT[kind])}
    texts = {f.name for f in FIELDS[kind] if f.dtype == "text"}
    return {name: sizes[c.name] for name, c in columns.items() if name in texts and c.name in sizes}


def row(record: Record, revision: int | None, settings: Tryton) -> dict[str, Any]:
    """A record as ``csql_take`` of the Tryton module wants it.

    Parameters
    ----------
    revision
        What the server said it has; None: nothing.
    """
    sent, kind = record.sent_fields(), record.kind
    common = {
        "key": record.key,
        "revision": revision,
        "as_of": date.fromisoformat(record.as_of),
        "account_id": record.account_id,
        "account_name": _text(record.payload.get("account_name")),
        "values": {c.name: _written(c, sent[n]) for n, c in COLUMNS[kind].items() if n in sent},
    }
    if kind == "score":
        return common
    owner = sent.get("owner")
    return {
        **common,
        "status": record.payload.get("status"),
        "executive": None if owner is None else employee_code(str(owner), settings),
        "source": sent.get("lead_source"),
        "currency": record.payload.get("currency"),
        "first": {**{c.name: _written(c, sent[n]) for n, c in FIRST[kind].items() if n in sent}, **_opening(record)},
    }


def _opening(record: Record) -> dict[str, Any]:
    """Tryton's own figures of a new opportunity; sales changes them as it goes on."""
    if record.changed is not None:
        return {}
    potential, propensity = record.payload.get("potential_arr"), record.payload.get("propensity")
    return {
        **({} if potential is None else {"amount": _money("").write(potential)}),
        **({} if propensity is None else {"conversion_probability": round(float(propensity), 4)}),
    }


def _written(column: Column, value: Value) -> Any:
    return None if value is None else column.write(value)


def _text(value: Value) -> str | None:
    return None if value is None else str(value).translate(_LINE_BREAKS)


def employee_code(executive: str, settings: Tryton) -> str:
    """Code of the party of an account executive's employee."""
    return settings.executives.get(executive, executive)


def executive_of(code: str | None, settings: Tryton) -> str | None:
    """Account executive by the code of the employee's party; of several names for one, the first in the alphabet."""
    names = sorted(name for name, known in settings.executives.items() if known == code)
    return names[0] if names else code


def read_names(kind: Kind) -> list[str]:
    """Fields to ask for when a record is looked up."""
    columns = {**COLUMNS[kind], **FIRST[kind]}.values()
    linked = [link + name for link, name in _LINKED[kind].values()]
    states = ["state", "csql_status", "csql_accepted_at"] if kind == "lead" else []
    return sorted({"csql_key", _ACCOUNT[kind], *(c.name for c in columns), *linked, *states})


def contract_fields(kind: Kind, found: Mapping[str, Any]) -> dict[str, Value]:
    """What Tryton has, in the words of the contract."""
    columns = {**COLUMNS[kind], **FIRST[kind]}
    fields = {n: None if found[c.name] is None else c.read(found[c.name]) for n, c in columns.items()}
    fields |= {n: (found.get(link) or {}).get(name) for n, (link, name) in _LINKED[kind].items()}
    fields["account_id"] = found[_ACCOUNT[kind]]
    if kind == "lead":
        fields["lead_key"] = found["csql_key"]
        if (status := _status(found)) is not None:
            fields["status"] = status
    return fields


def _status(found: Mapping[str, Any]) -> str | None:
    """Open or withdrawn; None where sales has taken the lead on, and a withdrawal would leave it alone."""
    withdrawn = found["csql_status"] == WITHDRAWN
    if found["csql_accepted_at"] is None and found["state"] in ("lead", "cancelled" if withdrawn else "lead"):
        return WITHDRAWN if withdrawn else OPEN
    return None
