"""A server of the project's own that answers like Salesforce for the few endpoints the sink uses.

It is not the vendor's system. Every request is checked against a JSON schema written by hand
(``schemas/salesforce/``, one file an endpoint); one that breaks its schema, or asks for anything else, is refused and
noted in ``violations``, which tests expect to be empty.
"""

from __future__ import annotations

import json
import re
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from jsonschema import Draft202012Validator

from tests.crm.salesforce_org import Org, RefusedError
from tests.crm.salesforce_soql import MalformedQueryError
from tests.local_server import LocalServer

SCHEMAS = Path(__file__).parent / "schemas" / "salesforce"
_STATUS = {"NOT_FOUND": 404, "PRECONDITION_FAILED": 412, "INVALIDJOBSTATE": 400}


class _Endpoint:
    def __init__(self, path: Path) -> None:
        given = json.loads(path.read_text(encoding="utf-8"))
        self.name = path.stem
        self.method = given["method"]
        self.path = re.compile(given["path"])
        self.schema = Draft202012Validator(given["request"])


class SalesforceServer(LocalServer):
    """An `Org` behind HTTP.

    Attributes
    ----------
    trouble
        Endpoint: what becomes of its next requests, in order: ``503``, ``429``, ``limit`` (too many requests a day),
        ``lost`` (done, but the answer is lost), ``dropped``, ``hang`` (for as long as the test lasts).
    requests
        How often each endpoint was asked.
    violations
        Requests that broke their schemas.
    """

    def __init__(self, org: Org | None = None) -> None:
        self.org = org or Org()
        self.trouble: dict[str, list[str]] = {}
        self.requests: Counter[str] = Counter()
        self.violations: list[str] = []
        self.tokens = {"token-0"}
        self.logins = 0
        self.page = 2_000
        self._pages: dict[str, list[dict[str, Any]]] = {}
        self._over = threading.Event()
        self._endpoints = [_Endpoint(path) for path in sorted(SCHEMAS.glob("*.json"))]
        super().__init__(self._handler())

    def finish(self) -> None:
        self._over.set()

    def expire(self) -> None:
        """All sessions end."""
        self.tokens.clear()

    # answering

    def answer(self, method: str, target: str, headers: dict[str, str], body: bytes) -> tuple[int, Any, str]:
        """Status, content and what becomes of the request ("": nothing special)."""
        parts = urlsplit(target)
        endpoint = next((e for e in self._endpoints if e.method == method and e.path.fullmatch(parts.path)), None)
        if endpoint is None:
            self.violations.append(f"{method} {parts.path}: no such endpoint")
            return 404, _errors("NOT_FOUND", "no such endpoint"), ""
        self.requests[endpoint.name] += 1
        fate = self.trouble[endpoint.name].pop(0) if self.trouble.get(endpoint.name) else ""
        asked = {"headers": headers, "query": dict(parse_qsl(parts.query)), "body": _body(headers, body)}
        broken = sorted(error.message[:300] for error in endpoint.schema.iter_errors(asked))
        if broken:
            self.violations.append(f"{endpoint.name}: {broken[0]}")
            return 400, _errors("JSON_PARSER_ERROR", broken[0]), ""
        if fate in ("503", "429", "limit", "dropped", "hang"):
            return *self._trouble(fate), fate
        if endpoint.name != "token" and headers["authorization"].removeprefix("Bearer ") not in self.tokens:
            return 401, _errors("INVALID_SESSION_ID", "Session expired or invalid"), fate
        try:
            status, content = getattr(self, f"_{endpoint.name}")(*endpoint.path.fullmatch(parts.path).groups(), asked)
        except RefusedError as error:
            return _STATUS.get(error.code, 400), _errors(error.code, error.message), fate
        except MalformedQueryError as error:
            return 400, _errors("MALFORMED_QUERY", str(error)), fate
        return status, content, fate

    def _trouble(self, fate: str) -> tuple[int, Any]:
        if fate == "limit":
            return 403, _errors("REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.")
        return int(fate) if fate.isdigit() else 0, _errors("SERVER_UNAVAILABLE", "busy")

    def _token(self, asked: dict[str, Any]) -> tuple[int, Any]:
        form = asked["body"]
        if form["grant_type"] == "client_credentials" and form["client_secret"] != "open sesame":
            return 400, {"error": "invalid_client", "error_description": "invalid client credentials"}
        self.logins += 1
        token = f"token-{self.logins}"
        self.tokens.add(token)
        return 200, {"access_token": token, "instance_url": "https://example.my.salesforce.com", "token_type": "Bearer"}

    def _describe(self, name: str, asked: dict[str, Any]) -> tuple[int, Any]:
        if name not in self.org.describes:
            raise RefusedError("NOT_FOUND", "The requested resource does not exist")
        return 200, self.org.describes[name]

    def _limits(self, asked: dict[str, Any]) -> tuple[int, Any]:
        return 200, self.org.limits

    def _organization(self, asked: dict[str, Any]) -> tuple[int, Any]:
        return 200, {"userSettings": {"userDefaultCurrencyIsoCode": self.org.currency}}

    def _query(self, asked: dict[str, Any]) -> tuple[int, Any]:
        return 200, self._paged(self.org.query(asked["query"]["q"]))

    def _query_more(self, locator: str, asked: dict[str, Any]) -> tuple[int, Any]:
        return 200, self._paged(self._pages[locator])

    def _paged(self, rows: list[dict[str, Any]]) -> dict[str, Any]:
        found = {"totalSize": len(rows), "done": len(rows) <= self.page, "records": rows[: self.page]}
        if not found["done"]:
            locator = f"01g{len(self._pages):012d}AAA-{self.page}"
            self._pages[locator] = rows[self.page :]
            found["nextRecordsUrl"] = f"/services/data/v62.0/query/{locator}"
        return found

    def _collections(self, asked: dict[str, Any]) -> tuple[int, Any]:
        return 200, [self._created(record) for record in asked["body"]["records"]]

    def _created(self, record: dict[str, Any]) -> dict[str, Any]:
        name = record["attributes"]["type"]
        try:
            values = {n: v for n, v in record.items() if n != "attributes"}
            return {"id": self.org.insert(name, self._flat(values)), "success": True, "errors": []}
        except RefusedError as error:
            told = {"statusCode": error.code, "message": error.message, "fields": error.fields}
            return {"success": False, "errors": [told]}

    def _flat(self, values: dict[str, Any]) -> dict[str, Any]:
        found = dict(values)
        for name, inner in values.items():
            if isinstance(inner, dict):
                ((key, value),) = inner.items()
                rows = [r for r in self.org.rows[name].values() if r.get(key) == value]
                if not rows:
                    raise RefusedError("INVALID_FIELD", f"Foreign key external ID: {value} not found", f"{name}Id")
                del found[name]
                found[f"{name}Id"] = rows[0]["Id"]
        return found

    def _composite(self, asked: dict[str, Any]) -> tuple[int, Any]:
        return 200, {"compositeResponse": [self._part(part) for part in asked["body"]["compositeRequest"]]}

    def _part(self, part: dict[str, Any]) -> dict[str, Any]:
        *_, name, row_id = part["url"].split("/")
        status, body = 204, None
        try:
            since = part["httpHeaders"].get("If-Unmodified-Since")
            self.org.update(name, row_id, self._flat(part["body"]), since)
        except RefusedError as error:
            status = _STATUS.get(error.code, 400)
            body = [{"errorCode": error.code, "message": error.message, "fields": error.fields}]
        return {"referenceId": part["referenceId"], "httpStatusCode": status, "httpHeaders": {}, "body": body}

    def _job_create(self, asked: dict[str, Any]) -> tuple[int, Any]:
        return 200, self.org.create_job(asked["body"])

    def _job_upload(self, job: str, asked: dict[str, Any]) -> tuple[int, Any]:
        self.org.upload(job, asked["body"])
        return 201, None

    def _job_state(self, job: str, asked: dict[str, Any]) -> tuple[int, Any]:
        return 200, self.org.close_job(job, asked["body"]["state"])

    def _job_info(self, job: str, asked: dict[str, Any]) -> tuple[int, Any]:
        return 200, self.org.job(job, poll=True)

    def _job_results(self, job: str, what: str, asked: dict[str, Any]) -> tuple[int, Any]:
        return 200, self.org.job_results(job, what)

    # HTTP

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_any(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                headers = {name.lower(): value for name, value in self.headers.items()}
                status, content, fate = server.answer(self.command, self.path, headers, body)
                if fate == "hang":
                    server._over.wait(30)
                if fate in ("hang", "lost", "dropped"):
                    self.close_connection = True
                    return
                text = content if isinstance(content, str) else "" if content is None else json.dumps(content)
                self.send_response(status)
                if fate in ("503", "429"):
                    self.send_header("Retry-After", "7")
                data = text.encode()
                kind = "text/csv" if isinstance(content, str) else "application/json"
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_any  # noqa: N815 - names of http.server

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
                pass

        return Handler


def _errors(code: str, message: str) -> list[dict[str, Any]]:
    return [{"errorCode": code, "message": message}]


def _body(headers: dict[str, str], body: bytes) -> Any:
    kind = headers.get("content-type", "")
    if kind.startswith("application/json"):
        try:
            return json.loads(body.decode("utf-8"))
        except ValueError:
            return body.decode("utf-8", "replace")
    if kind.startswith("application/x-www-form-urlencoded"):
        return dict(parse_qsl(body.decode()))
    return body.decode("utf-8") or None
