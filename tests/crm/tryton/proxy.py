"""A proxy that counts what is called, and knows which calls write; and a network that keeps requests back."""

from __future__ import annotations

import json
from collections import Counter

from tests.faults.fault_proxy import FaultProxy

#: Methods of the module that change records.
WRITING = ("csql_take", "csql_sweep", "create", "write", "delete")


class CountingProxy(FaultProxy):
    """Forwards everything faithfully.

    ``held`` is a method whose next request is kept back: its sender sees the connection end, `release` delivers it.
    """

    def __init__(self, port: int) -> None:
        super().__init__("127.0.0.1", port, seed=0)
        self.calls: Counter[str] = Counter()
        self.held: str | None = None
        self._kept: list[tuple[str, str, dict[str, str], bytes]] = []

    @property
    def writes(self) -> int:
        return sum(count for method, count in self.calls.items() if method.endswith(WRITING))

    def fate(self, path: str) -> tuple[str, float]:
        return "fine", 0.0

    def forward(
        self, method: str, path: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, list[tuple[str, str]], bytes]:
        name = json.loads(body)["method"]
        self.calls[name] += 1
        if self.held is not None and name.endswith(self.held):
            self.held = None
            self._kept.append((method, path, headers, body))
            raise ConnectionResetError
        return super().forward(method, path, headers, body)

    def release(self) -> list[bytes]:
        """Deliver what was kept back; the answers, which nobody hears any more."""
        kept, self._kept = self._kept, []
        return [super(CountingProxy, self).forward(*request)[2] for request in kept]
