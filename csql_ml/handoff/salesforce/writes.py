"""Writes of few records: created in collections, changed one by one under the condition that nobody did meanwhile.

Creating is no upsert on purpose. A creation that arrives late is refused by the unique key, while a late upsert would
put back what sales has changed since. A change names the version it was made from: late, it finds another one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime
from typing import Any

from csql_ml.errors import DeliveryError
from csql_ml.handoff.salesforce.answers import RequestRefusedError, RowError, refused_row, row_error
from csql_ml.handoff.salesforce.api import Api
from csql_ml.handoff.salesforce.mapping import Values
from csql_ml.handoff.sink import BatchRejected, Result, TransientError

MOST_CREATED = 200
_MOST_CHANGED = 25
#: Otherwise the org's assignment rules give the record to somebody else than OwnerId.
_AS_GIVEN = {"Sforce-Auto-Assign": "FALSE"}
_MEANWHILE = "changed in Salesforce since it was read"


@dataclass(frozen=True)
class Change:
    """New values of one record, and the version they were made from (LastModifiedDate)."""

    key: str
    remote_id: str
    version: str
    values: Values


def create(api: Api, object_name: str, key_field: str, rows: Sequence[tuple[str, Values]]) -> list[Result]:
    """Create records (key, fields); a key that is there already is left without a result.

    Raises
    ------
    BatchRejected
        The request was refused as a whole.
    """
    found: list[Result] = []
    for start in range(0, len(rows), MOST_CREATED):
        part = rows[start : start + MOST_CREATED]
        records = [{"attributes": {"type": object_name}, **_nested(values)} for _, values in part]
        content = {"allOrNone": False, "records": records}
        try:
            answers = api.request("POST", "/composite/sobjects", content=content, headers=_AS_GIVEN).json()
        except RequestRefusedError as error:
            raise BatchRejected(f"Salesforce refuses the request: {error.reason}") from None
        if not isinstance(answers, list) or len(answers) != len(part):
            raise TransientError("the answer does not have one entry for each record")
        found += [r for (key, _), a in zip(part, answers, strict=True) if (r := _result(key, a, key_field)) is not None]
    return found


def change(api: Api, object_name: str, key_field: str, changes: Sequence[Change]) -> list[Result]:
    """Change records, each if its version is still the one it was read as.

    Salesforce compares whole seconds: a change by somebody else within the second of the version slips through.
    """
    found: list[Result] = []
    for start in range(0, len(changes), _MOST_CHANGED):
        part = changes[start : start + _MOST_CHANGED]
        requests = [_subrequest(api, object_name, number, change) for number, change in enumerate(part)]
        content = {"allOrNone": False, "collateSubrequests": False, "compositeRequest": requests}
        try:
            answer = api.request("POST", "/composite", content=content).json()
            answers = {a["referenceId"]: a for a in answer["compositeResponse"]}
        except RequestRefusedError as error:
            raise DeliveryError(f"Salesforce refuses to change records: {error.reason}") from None
        except (KeyError, TypeError):
            raise TransientError("the answer to changing records is incomplete") from None
        for number, one in enumerate(part):
            if f"r{number}" in answers and (result := _changed(one, answers[f"r{number}"], key_field)) is not None:
                found.append(result)
    return found


def _subrequest(api: Api, object_name: str, number: int, change: Change) -> dict[str, Any]:
    return {
        "method": "PATCH",
        "url": f"{api.base}/sobjects/{object_name}/{change.remote_id}",
        "referenceId": f"r{number}",
        "httpHeaders": {"If-Unmodified-Since": http_date(change.version), **_AS_GIVEN},
        "body": _nested(change.values),
    }


def http_date(instant: str) -> str:
    """An instant of Salesforce as HTTP writes it.

    Examples
    --------
    >>> http_date("2026-11-22T08:00:00.000+0000")
    'Sun, 22 Nov 2026 08:00:00 GMT'
    """
    return format_datetime(datetime.strptime(instant, "%Y-%m-%dT%H:%M:%S.%f%z"), usegmt=True)


def _result(key: str, answer: Mapping[str, Any], key_field: str) -> Result | None:
    if answer.get("success"):
        return Result(key, "acknowledged", str(answer["id"]))
    return refused_row(key, _telling(answer.get("errors")), key_field)


def _changed(change: Change, answer: Mapping[str, Any], key_field: str) -> Result | None:
    status = int(answer["httpStatusCode"])
    if status in (200, 201, 204):
        return Result(change.key, "acknowledged", change.remote_id)
    if status == 412:
        return Result(change.key, "retry", change.remote_id, _MEANWHILE)
    error = _telling(answer.get("body"))
    if status >= 500 or status == 429:
        return Result(change.key, "retry", change.remote_id, error.text)
    return refused_row(change.key, error, key_field, change.remote_id)


def _telling(errors: Any) -> RowError:
    """Of several errors of a row one that no waiting cures, if there is one."""
    found = [row_error(e) for e in errors or () if isinstance(e, Mapping)]
    lasting = [e for e in found if not e.passing]
    return next(iter(lasting or found), RowError("UNKNOWN_ERROR", ""))


def _nested(values: Values) -> dict[str, Any]:
    """Fields as JSON has them; ``Account.Key__c``, a record named by its external id, is an object there."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        parent, dot, field = name.partition(".")
        found[parent] = {field: value} if dot else value
    return found
