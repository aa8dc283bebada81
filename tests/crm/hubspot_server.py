"""A server of this project's own that speaks the few endpoints of HubSpot's API that the ``hubspot`` sink uses.

It is NOT HubSpot's own system, nor made from HubSpot's specification: the schemas beside it are hand-written from what
the public documentation says, and what the documentation leaves open is this project's guess. A test that passes here
shows what the sink does with answers of this form; that HubSpot gives such answers was not tested.

Every request is checked against a schema, and one that breaks it is refused and noted in `HubSpotServer.broken`.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from jsonschema import Draft202012Validator

from tests.crm.hubspot_state import ASSOCIATIONS, RowError, State, Stored, iso
from tests.local_server import Handler, LocalServer

_SCHEMAS = Path(__file__).parent / "schemas" / "hubspot"
TOKEN = "pat-eu1-not-a-real-token"
SCOPES = [f"crm.objects.{o}.{r}" for o in ("leads", "deals", "companies") for r in ("read", "write")]
SCOPES += ["crm.objects.contacts.read", "crm.objects.owners.read"]

Reply = tuple[int, dict[str, Any]]


def schema(name: str) -> Draft202012Validator:
    content = json.loads((_SCHEMAS / f"{name}.json").read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(content)
    return Draft202012Validator(content)


@dataclass
class Fault:
    """What happens to the next ``times`` requests whose path ends with ``path``.

    ``what``: a status with ``body`` and ``headers``; ``dropped`` (nothing is done, the connection ends), ``lost`` (it
    is done, the answer does not arrive), ``hang`` (nothing is done, no answer for ``seconds``), ``late`` (the
    connection ends, it is done when the test calls `HubSpotServer.deliver`), ``overtaking`` (the same, but it is done
    just before the next request to that path, between a look at what is there and a second try).
    """

    path: str
    what: int | str
    body: Any = None
    headers: tuple[tuple[str, str], ...] = ()
    times: int = 1
    seconds: float = 1.0


class HubSpotServer(LocalServer):
    """An account behind a port of this machine.

    Attributes
    ----------
    multi_status
        Whether a batch/create with trace ids is answered row by row (207); False: one bad row refuses all.
    lag
        Milliseconds by which searches are behind.
    requests
        Method and path of every request.
    """

    def __init__(self) -> None:
        self.state = State()
        self.lock = threading.Lock()
        self.multi_status = True
        self.traced = True
        self.lag = 0
        self.scopes: list[str] | None = list(SCOPES)
        self.token = TOKEN
        self.faults: list[Fault] = []
        self.requests: list[tuple[str, str]] = []
        self.bodies: list[tuple[str, Any]] = []
        self.broken: list[str] = []
        self._late: list[Callable[[], Any]] = []
        self._overtaking: list[tuple[str, Any]] = []
        self._routes = self._all_routes()
        super().__init__(type("Handler", (_Handler,), {"crm": self}))

    def count(self, end: str) -> int:
        """Requests whose path ends so."""
        return sum(path.endswith(end) for _, path in self.requests)

    @property
    def writes(self) -> int:
        return self.count("batch/create") + self.count("batch/update")

    def deliver(self) -> None:
        """Requests that were late arrive now."""
        for act in self._late:
            act()
        self._late = []

    def forget(self) -> None:
        """An account of its own, without anything under way."""
        self.state, self.faults, self._late, self._overtaking = State(), [], [], []

    # endpoints

    def _all_routes(self) -> list[tuple[str, re.Pattern[str], Draft202012Validator, Callable[..., Reply]]]:
        one, two = r"([a-z]+)", r"([a-z]+)/([a-z]+)"
        found = [
            ("GET", f"/crm/v3/properties/{one}", "nothing", self._properties),
            ("GET", f"/crm/v3/pipelines/{one}", "nothing", self._pipelines),
            ("GET", "/crm/v3/owners", "owners", self._owners),
            ("GET", f"/crm/v4/associations/{two}/labels", "nothing", self._labels),
            ("GET", "/account-info/v3/details", "nothing", lambda body: (200, dict(self.state.currency))),
            ("POST", "/oauth/v2/private-apps/get/access-token-info", "token_info", self._token_info),
            ("POST", f"/crm/v3/objects/{one}/batch/read", "batch_read", self._read),
            ("POST", f"/crm/v3/objects/{one}/batch/create", "batch_create", self._create),
            ("POST", f"/crm/v3/objects/{one}/batch/update", "batch_update", self._update),
            ("POST", f"/crm/v3/objects/{one}/search", "search", self._search),
            ("POST", f"/crm/v4/associations/{two}/batch/read", "associations_read", self._linked),
        ]
        return [(method, re.compile(path), schema(name), act) for method, path, name, act in found]

    def answer(self, method: str, path: str, given: Any) -> Reply:
        """Check a request against its schema and do what it asks for."""
        earlier = [body for to, body in self._overtaking if to == path]
        self._overtaking = [one for one in self._overtaking if one[0] != path]
        for body in earlier:
            self.answer(method, path, body)
        for verb, pattern, rules, act in self._routes:
            match = pattern.fullmatch(path)
            if verb == method and match:
                wrong = next(iter(rules.iter_errors(given)), None)
                if wrong is not None:
                    self.broken.append(f"{path}: {wrong.message[-200:]}")
                    return 400, _error("VALIDATION_ERROR", f"Invalid input JSON: {wrong.message[:200]}")
                if any(kind not in self.state.objects for kind in match.groups()):
                    return 404, _error("OBJECT_NOT_FOUND", "Unable to infer object type")
                with self.lock:
                    return act(*match.groups(), given)
        self.broken.append(f"no endpoint {method} {path}")
        return 404, {}

    def _properties(self, kind: str, body: Any) -> Reply:
        return 200, {"results": self.state.properties[kind]}

    def _pipelines(self, kind: str, body: Any) -> Reply:
        found = self.state.pipelines[kind].items()
        return 200, {
            "results": [{"id": i, "label": i, "stages": [{"id": s, "label": s} for s in all_]} for i, all_ in found]
        }

    def _owners(self, query: dict[str, str]) -> Reply:
        owners = sorted(self.state.owners.items())
        begin, size = int(query.get("after", 0)), min(int(query.get("limit", 100)), self.state.page)
        reply: dict[str, Any] = {
            "results": [{"id": i, "email": m, "archived": False} for i, m in owners[begin:][:size]]
        }
        if begin + size < len(owners):
            reply["paging"] = {"next": {"after": str(begin + size), "link": ""}}
        return 200, reply

    def _labels(self, from_type: str, to_type: str, body: Any) -> Reply:
        found = ASSOCIATIONS.get((from_type, to_type), [])
        return 200, {"results": [{"category": "HUBSPOT_DEFINED", "typeId": t, "label": None} for t in found]}

    def _token_info(self, body: Any) -> Reply:
        if self.scopes is None:
            return 400, _error("VALIDATION_ERROR", "not a private app token")
        return 200, {"userId": 1, "hubId": 2, "appId": 3, "scopes": self.scopes}

    def _read(self, kind: str, body: Any) -> Reply:
        name = body.get("idProperty")
        if name is not None and not self.state.definition(kind, name)["hasUniqueValue"]:
            return 400, _error("VALIDATION_ERROR", f"{name} is not unique")
        results, errors = [], []
        for given in body["inputs"]:
            one = self.state.named(kind, name, given["id"])
            if one is None:
                errors.append({**_error("OBJECT_NOT_FOUND", "no such record"), "context": {"ids": [given["id"]]}})
            else:
                results.append(self._shown(one, body["properties"], body.get("propertiesWithHistory", ())))
        return (207 if errors else 200), _batch(results, errors)

    def _create(self, kind: str, body: Any) -> Reply:
        rows = body["inputs"]
        traces = [r.get("objectWriteTraceId") for r in rows]
        by_row = self.multi_status and all(traces) and len(set(traces)) == len(traces)
        results, errors, undo = [], [], (dict(self.state.objects[kind]), self.state.created)
        for row in rows:
            try:
                one = self.state.create(kind, row)
            except RowError as bad:
                if not by_row:
                    self.state.objects[kind], self.state.created = undo
                    return 400, {**bad.error, "correlationId": "c"}
                context = {"objectWriteTraceId": [row["objectWriteTraceId"]]} if self.traced else {}
                errors.append({**bad.error, "context": {**bad.error["context"], **context}})
                continue
            results.append({**self._shown(one, row["properties"]), "objectWriteTraceId": row.get("objectWriteTraceId")})
        return (207 if errors else 201), _batch(results, errors)

    def _update(self, kind: str, body: Any) -> Reply:
        ids = [r["id"] for r in body["inputs"]]
        if len(set(ids)) < len(ids):
            return 400, _error("VALIDATION_ERROR", "Duplicate IDs found in batch input")
        results, errors = [], []
        for row in body["inputs"]:
            if row["id"] in self.state.objects[kind]:
                try:
                    self.state.check(kind, row["properties"], own=row["id"])
                except RowError as bad:
                    return 400, {**bad.error, "correlationId": "c"}
        for row in body["inputs"]:
            if row["id"] not in self.state.objects[kind]:
                errors.append({**_error("OBJECT_NOT_FOUND", "no such record"), "context": {"ids": [row["id"]]}})
                continue
            results.append(self._shown(self.state.update(kind, row["id"], row["properties"]), row["properties"]))
        return (207 if errors else 200), _batch(results, errors)

    def _search(self, kind: str, body: Any) -> Reply:
        filters = body["filterGroups"][0]["filters"]
        found = self.state.matching(kind, filters, self.state.now - self.lag)
        order = body["sorts"][0]["propertyName"]
        found.sort(key=lambda s: self.state.number(s, order))
        page = found[: body["limit"]]
        reply: dict[str, Any] = {"total": len(found), "results": [self._shown(s, body["properties"]) for s in page]}
        if len(found) > len(page):
            reply["paging"] = {"next": {"after": str(len(page))}}
        return 200, reply

    def _linked(self, from_type: str, to_type: str, body: Any) -> Reply:
        results, errors, size = [], [], self.state.page
        for given in body["inputs"]:
            begin = int(given.get("after", 0))
            links = sorted(self.state.links.get((from_type, given["id"], to_type), {}).items())
            if not links:
                errors.append({**_error("OBJECT_NOT_FOUND", "none"), "context": {"fromObjectId": [given["id"]]}})
                continue
            to = [self._link(given["id"], other, types) for other, types in links[begin : begin + size]]
            more = {"paging": {"next": {"after": str(begin + size)}}} if begin + size < len(links) else {}
            results.append({"from": {"id": given["id"]}, "to": to, **more})
        return (207 if errors else 200), _batch(results, errors)

    def _link(self, one: str, other: str, types: set[int]) -> dict[str, Any]:
        label = self.state.labels.get((one, other))
        shown = [{"typeId": t, "category": "HUBSPOT_DEFINED", "label": label} for t in sorted(types)]
        return {"toObjectId": int(other), "associationTypes": shown}

    def _shown(self, one: Stored, properties: Any, history: Any = ()) -> dict[str, Any]:
        names = dict.fromkeys([*properties, "hs_lastmodifieddate"])
        shown: dict[str, Any] = {
            "id": one.id,
            "createdAt": iso(one.created),
            "updatedAt": iso(self.state.modified(one)),
            "archived": False,
            "properties": {n: one.properties.get(n) or None for n in names}
            | {"hs_lastmodifieddate": iso(self.state.modified(one))},
        }
        if history:
            shown["propertiesWithHistory"] = {
                n: [{"value": v, "timestamp": iso(at)} for at, v in reversed(one.history.get(n, []))] for n in history
            }
        return shown

    # the network

    def next_fault(self, path: str) -> Fault | None:
        with self.lock:
            found = next((f for f in self.faults if f.times > 0 and path.endswith(f.path)), None)
            if found is not None:
                found.times -= 1
            return found

    def strange(self, fault: Fault, method: str, path: str, given: Any) -> None:
        """What happens instead of an answer."""
        if fault.what == "hang":
            time.sleep(fault.seconds)
        elif fault.what == "lost":
            self.answer(method, path, given)
        elif fault.what == "overtaking":
            self._overtaking.append((path, given))
        elif fault.what == "late":
            self._late.append(lambda: self.answer(method, path, given))


class _Handler(Handler):
    protocol_version = "HTTP/1.1"
    # Without this every answer waits 40 ms for an acknowledgement of its headers.
    disable_nagle_algorithm = True
    crm: HubSpotServer

    def do_any(self) -> None:
        body = self.body()
        url = urlsplit(self.path)
        given = json.loads(body) if body else dict(parse_qsl(url.query))
        self.crm.requests.append((self.command, url.path))
        self.crm.bodies.append((url.path, given))
        fault = self.crm.next_fault(url.path)
        if fault is not None and isinstance(fault.what, str):
            self.close_connection = True
            self.crm.strange(fault, self.command, url.path, given)
        elif fault is not None:
            self._answer(int(fault.what), fault.body, fault.headers)
        elif self.headers.get("Authorization") != f"Bearer {self.crm.token}":
            self._answer(401, _error("EXPIRED_AUTHENTICATION", f"{self.headers.get('Authorization')} has expired"))
        else:
            self._answer(*self.crm.answer(self.command, url.path, given))

    def _answer(self, status: int, content: Any, headers: Any = ()) -> None:
        data = content if isinstance(content, bytes) else json.dumps(content or {}).encode()
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json;charset=utf-8")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = do_PATCH = do_PUT = do_any  # noqa: N815 - names of http.server


def _error(category: str, message: str) -> dict[str, Any]:
    return {"status": "error", "category": category, "message": message, "correlationId": "c", "context": {}}


def _batch(results: list[Any], errors: list[Any]) -> dict[str, Any]:
    found: dict[str, Any] = {"status": "COMPLETE", "results": results}
    return {**found, "numErrors": len(errors), "errors": errors} if errors else found
