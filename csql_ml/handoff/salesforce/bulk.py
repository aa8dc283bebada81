"""Bulk API 2.0: a job is made, filled, closed, polled and read step by step; its id is known before anything is sent.

A job does nothing before it is closed, and takes neither data nor a second closing afterwards: a request of it that
arrives late has no effect once the job has ended or was aborted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from csql_ml.errors import DeliveryError
from csql_ml.handoff.http_answers import nothing_sent_yet
from csql_ml.handoff.salesforce import csv_text
from csql_ml.handoff.salesforce.answers import RequestRefusedError, bulk_error, refused_row
from csql_ml.handoff.salesforce.api import Api
from csql_ml.handoff.salesforce.mapping import Values
from csql_ml.handoff.sink import BatchRejected, Result, TransientError

#: Most bytes of an upload; Salesforce takes 150 MB after it has encoded it, which adds half.
MOST_BYTES = 100_000_000
_JOBS = "/jobs/ingest"
_ID = re.compile(r"[A-Za-z0-9]{15}(?:[A-Za-z0-9]{3})?")
_RUNNING = ("UploadComplete", "InProgress")


def create(api: Api, object_name: str, key_field: str) -> str:
    """Make a job and return its id; it stays without effect until it is closed."""
    wanted = {
        "object": object_name,
        "operation": "upsert",
        "externalIdFieldName": key_field,
        "contentType": "CSV",
        "lineEnding": "LF",
        "columnDelimiter": "COMMA",
    }
    job = api.request("POST", _JOBS, content=wanted).json()
    if not isinstance(job, dict) or not _ID.fullmatch(str(job.get("id"))):
        raise TransientError("the answer to making a bulk job has no id")
    return str(job["id"])


def send(api: Api, job: str, rows: Sequence[Values]) -> None:
    """Fill a job and close it.

    Raises
    ------
    BatchRejected
        The data is too large, or refused: the job took none of it.
    TransientError
        Uncertain only from the closing on.
    """
    header = list(dict.fromkeys(name for row in rows for name in row))
    data = csv_text.write(header, rows)
    if len(data) > MOST_BYTES:
        abort(api, job)
        raise BatchRejected(f"{len(data)} bytes are more than the {MOST_BYTES} of one bulk job")
    try:
        # Whatever becomes of the data: the job is open, and an open job does nothing.
        with nothing_sent_yet():
            api.request("PUT", f"{_JOBS}/{job}/batches", csv=data)
    except RequestRefusedError as error:
        abort(api, job)
        raise BatchRejected(f"the bulk job does not take the data: {error.reason}") from None
    try:
        api.request("PATCH", f"{_JOBS}/{job}", content={"state": "UploadComplete"})
    except RequestRefusedError as error:
        raise TransientError(f"the bulk job cannot be closed: {error.reason}") from None


def results(api: Api, job: str, key_field: str) -> list[Result] | None:
    """What became of a job's rows; None while it is at work, empty where it never was or is gone.

    A job that was never closed is aborted first, so that a closing on its way cannot start it any more.
    """
    if not _ID.fullmatch(job):
        raise DeliveryError(f"receipt {job!r} is not the id of a bulk job; the outbox was changed by hand")
    try:
        info = api.request("GET", f"{_JOBS}/{job}").json()
        if info["state"] == "Open":
            info = api.request("PATCH", f"{_JOBS}/{job}", content={"state": "Aborted"}).json()
    except RequestRefusedError as error:
        if error.status == 404:
            return []
        raise TransientError(f"bulk job {job}: {error.reason}") from None
    if info["state"] in _RUNNING:
        return None
    return _read(api, job, key_field, info)


def _read(api: Api, job: str, key_field: str, info: Mapping[str, Any]) -> list[Result]:
    found = {
        row[key_field]: Result(row[key_field], "acknowledged", row["sf__Id"] or None)
        for row in _rows(api, job, "successfulResults")
    }
    unclear = set()
    for row in _rows(api, job, "failedResults"):
        key = row[key_field]
        result = refused_row(key, bulk_error(row["sf__Error"]), key_field, row["sf__Id"] or None)
        if result is None:
            unclear.add(key)
        else:
            found.setdefault(key, result)
    if info["state"] != "Aborted":
        reason = f"the bulk job ended before this row; {_ended(info)}"
        for row in _rows(api, job, "unprocessedrecords"):
            found.setdefault(row[key_field], Result(row[key_field], "retry", error=reason))
    return [result for key, result in found.items() if key not in unclear]


def _ended(info: Mapping[str, Any]) -> str:
    message = " ".join(str(info.get("errorMessage") or "").split())[:200]
    return f"state {info['state']}{f', {message}' if message else ''}"


def _rows(api: Api, job: str, what: str) -> Iterator[dict[str, str]]:
    """Rows of one of a job's results; a job that never had data has none."""
    try:
        text = api.request("GET", f"{_JOBS}/{job}/{what}").text()
    except RequestRefusedError:
        return
    yield from csv_text.rows(text)


def abort(api: Api, job: str) -> None:
    """Put a job away that will not be used; if that fails, Salesforce does it after a week."""
    with suppress(TransientError, RequestRefusedError):
        api.request("PATCH", f"{_JOBS}/{job}", content={"state": "Aborted"})
