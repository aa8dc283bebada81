"""An HTTP proxy between a sender and a CRM that does what networks do, in an order that a seed decides.

Of the requests it drops 10 %, answers 503 to 5 %, loses the answers of 10 % and delivers 10 % late: the sender's
connection ends at once, the CRM gets the request a moment later.
"""

from __future__ import annotations

import http.client
import random
import threading
from collections import Counter
from typing import Any

from tests.local_server import Handler, LocalServer

FAULTS = (("dropped", 0.10), ("unavailable", 0.05), ("answer lost", 0.10), ("late", 0.10))


class FaultProxy(LocalServer):
    """Forward everything to ``host:port``, as well as faults allow.

    Parameters
    ----------
    only
        Begins of paths that have faults; others are forwarded faithfully.
    late
        Seconds by which a request is late, at most.
    """

    def __init__(self, host: str, port: int, seed: int, *, only: tuple[str, ...] = ("/",), late: float = 0.2) -> None:
        self._upstream = (host, port)
        self._only = only
        self._late = late
        self._random = random.Random(seed)
        self._lock = threading.Lock()
        self._under_way: list[threading.Timer] = []
        self.fates: Counter[str] = Counter()
        super().__init__(self._forwarding())

    def finish(self) -> None:
        """Wait until every late request has arrived."""
        while self._under_way:
            self._under_way.pop().join()

    def fate(self, path: str) -> tuple[str, float]:
        """What becomes of the next request, and by how much it is late if it is."""
        with self._lock:
            draw, late = self._random.random(), self._random.uniform(0.2, 1.0) * self._late
            found = "fine"
            if path.startswith(self._only):
                for name, share in FAULTS:
                    if draw < share:
                        found = name
                        break
                    draw -= share
            self.fates[found] += 1
        return found, late

    def forward(self, method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, list[Any], bytes]:
        connection = http.client.HTTPConnection(*self._upstream, timeout=30)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.getheaders(), answer.read()
        finally:
            connection.close()

    def deliver_late(self, after: float, *request: Any) -> None:
        timer = threading.Timer(after, self.forward, request)
        timer.daemon = True
        self._under_way.append(timer)
        timer.start()

    def _forwarding(self) -> type[Handler]:
        proxy = self

        class Forwarding(Handler):
            def do_any(self) -> None:
                body = self.body()
                headers = {k: v for k, v in self.headers.items() if k.lower() not in ("host", "connection")}
                request = (self.command, self.path, headers, body)
                fate, late = proxy.fate(self.path)
                self.close_connection = True
                if fate == "late":
                    proxy.deliver_late(late, *request)
                if fate in ("late", "dropped"):
                    return
                if fate == "unavailable":
                    self.answer(503, headers=[("Retry-After", "0")])
                    return
                status, found, content = proxy.forward(*request)
                if fate != "answer lost":
                    self.answer(status, content, found)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_any  # noqa: N815 - names of http.server

        return Forwarding
