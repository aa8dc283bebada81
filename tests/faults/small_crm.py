"""A CRM over HTTP that knows leads and refuses a second one of the same key; and the sink that speaks to it."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
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

_TIMEOUT = 5.0


class SmallCrm:
    """Leads in memory behind ``POST /upsert`` and ``POST /lookup``.

    A lead without a company is invalid. ``created`` and ``upserts`` count what was done, for a test to look at.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.leads: dict[str, dict[str, Any]] = {}
        self.created = 0
        self.upserts = 0
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def __enter__(self) -> SmallCrm:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

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

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        crm = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                given = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                found = crm.upsert(given) if self.path == "/upsert" else crm.lookup(given)
                content = json.dumps(found).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
                pass

        return Handler


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
