"""A CRM over HTTP that knows leads and refuses a second one of the same key; and the sink that speaks to it."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Sequence
from typing import Any

from csql_ml.handoff.fields import Kind, field_names
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
from tests.local_server import Handler, LocalServer

_TIMEOUT = 5.0


class SmallCrm(LocalServer):
    """Leads in memory behind ``POST /upsert`` and ``POST /lookup``.

    A lead without a company is invalid. ``created`` and ``upserts`` count what was done, for a test to look at.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.leads: dict[str, dict[str, Any]] = {}
        self.created = 0
        self.upserts = 0
        super().__init__(self._serving())

    def upsert(self, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        with self._lock:
            return [self._upsert_one(row) for row in rows]

    def _upsert_one(self, row: dict[str, Any]) -> dict[str, Any]:
        self.upserts += 1
        if not row["fields"].get("account_name", "-"):
            return {"key": row["key"], "error": "a lead needs a company"}
        if row["key"] not in self.leads:
            self.created += 1
            self.leads[row["key"]] = {"id": f"L{self.created:05d}"}
        self.leads[row["key"]].update(row["fields"])
        return {"key": row["key"], "id": self.leads[row["key"]]["id"]}

    def lookup(self, keys: list[str]) -> dict[str, dict[str, Any]]:
        with self._lock:
            return {key: dict(self.leads[key]) for key in keys if key in self.leads}

    def _serving(self) -> type[Handler]:
        crm = self

        class Serving(Handler):
            def do_POST(self) -> None:  # noqa: N802 - the name of http.server
                given = json.loads(self.body())
                found = crm.upsert(given) if self.path == "/upsert" else crm.lookup(given)
                self.answer(200, json.dumps(found).encode())

        return Serving


class SmallCrmSink:
    """Speaks to a `SmallCrm`; ``batch_size`` leads a request."""

    name = "small_crm"

    def __init__(self, port: int, batch_size: int = 10, *, unique_key: bool = True) -> None:
        self._port = port
        self._batch_size = batch_size
        self._unique_key = unique_key

    def capabilities(self) -> Capabilities:
        return Capabilities(self._batch_size, self._unique_key, fields={"lead": field_names("lead")})

    def preflight(self, kinds: Sequence[Kind]) -> list[Finding]:
        return []

    def check(self, kind: Kind, records: Sequence[Record]) -> dict[str, str]:
        return {}

    def lookup(self, kind: Kind, keys: Sequence[str]) -> dict[str, Remote]:
        found = self._post("/lookup", list(keys))
        return {key: Remote(fields.pop("id"), fields) for key, fields in found.items()}

    def prepare(self, kind: Kind, records: Sequence[Record]) -> str:
        return ""

    def submit(self, kind: Kind, records: Sequence[Record], receipt: str) -> list[Result]:
        answers = self._post("/upsert", [{"key": r.key, "fields": r.sent_fields()} for r in records])
        return [
            Result(a["key"], "invalid", error=a["error"]) if "error" in a else Result(a["key"], "acknowledged", a["id"])
            for a in answers
        ]

    def collect(self, receipt: str) -> list[Result]:
        return []

    def outcomes(self, cursor: str) -> tuple[list[OutcomeChange], str]:
        return [], cursor

    def sweep(self, kind: Kind, keys: Sequence[str]) -> list[Swept]:
        return []

    def _post(self, path: str, content: Any) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=_TIMEOUT)
        try:
            connection.request("POST", path, json.dumps(content).encode(), {"Content-Type": "application/json"})
            answer = connection.getresponse()
            body = answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise TransientError(f"{path}: {type(error).__name__}") from error
        finally:
            connection.close()
        if answer.status == 503:
            raise TransientError("503", float(answer.headers.get("Retry-After") or 0), uncertain=False)
        if answer.status != 200:
            raise BatchRejected(f"{path}: {answer.status}")
        return json.loads(body)
