"""A web server that answers what a script says: for faults that a real Tryton server does not have at will."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

from tests.local_server import LocalServer

LOGGED_IN = {"result": [7, "session-key", None]}


@dataclass(frozen=True)
class Answer:
    """``body``: an object for JSON, bytes for anything else; ``hang``: no answer before the stub ends."""

    body: Any = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    hang: bool = False


class TrytonStub(LocalServer):
    """Answers in the order of the script; logins are answered by themselves unless they are part of it.

    ``requests`` are the decoded bodies, ``signed`` their Authorization headers.
    """

    def __init__(self, script: Iterable[Answer], *, logins: bool = True) -> None:
        self._script = list(script)
        self._logins = logins
        self._end = threading.Event()
        self.requests: list[dict[str, Any]] = []
        self.signed: list[str | None] = []
        super().__init__(self._handler())

    @property
    def methods(self) -> list[str]:
        return [request["method"].rsplit(".", 1)[1] for request in self.requests]

    def finish(self) -> None:
        self._end.set()

    def answer(self, request: dict[str, Any]) -> Answer:
        if self._logins and request["method"] == "common.db.login":
            return Answer(LOGGED_IN)
        return self._script.pop(0)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        stub = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                stub.requests.append(request)
                stub.signed.append(self.headers.get("Authorization"))
                answer = stub.answer(request)
                if answer.hang:
                    stub._end.wait(10)
                    return
                content = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
                self.send_response(answer.status)
                for name, value in {**answer.headers, "Content-Length": str(len(content))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
                pass

        return Handler
