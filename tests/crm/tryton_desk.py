"""Both sides of a Tryton server: the sink that delivers, and a salesperson who works on what was delivered."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

from csql_ml.config.tryton import Tryton
from csql_ml.handoff.tryton.rpc import TrytonRpc
from csql_ml.handoff.tryton.sink import TrytonSink
from tests.crm.tryton_server import DATABASE, PASSWORD

_LEAD = "model.sale.opportunity"
_SALE = "model.sale.sale"


def rpc_of(port: int, user: str, timeouts: tuple[float, float] = (5.0, 60.0)) -> TrytonRpc:
    return TrytonRpc(f"http://127.0.0.1:{port}", DATABASE, user, PASSWORD, timeouts)


def sink_of(
    port: int, *, user: str = "sender", currency: str = "EUR", source: str = "CSQL", **settings: Any
) -> TrytonSink:
    """The sink as its user has it; ``settings`` as in ``delivery.tryton``."""
    wanted = Tryton(url=f"http://127.0.0.1:{port}", database=DATABASE, user=user, **settings)
    return TrytonSink(rpc_of(port, user, (wanted.connect_timeout, wanted.timeout)), wanted, currency, source)


class Salesperson:
    """Presses the buttons that Tryton's own client has, over the same protocol."""

    def __init__(self, port: int, user: str = "seller") -> None:
        self._rpc = rpc_of(port, user)

    def leads(self, fields: list[str], domain: list[Any] | None = None) -> list[dict[str, Any]]:
        """Opportunities with these fields, oldest first."""
        order = [["id", "ASC"]]
        found: list[dict[str, Any]] = self._do(_LEAD, "search_read", domain or [], 0, None, order, fields)
        return found

    def press(self, button: str, ids: list[int]) -> None:
        """``opportunity``, ``lost``, ``cancel``, ``lead`` or the module's ``csql_accept``."""
        self._do(_LEAD, button, ids)

    def edit(self, ids: list[int], **values: Any) -> None:
        self._do(_LEAD, "write", ids, values)

    def create(self, **values: Any) -> int:
        ids: list[int] = self._do(_LEAD, "create", [values])
        return ids[0]

    def win(self, lead: int, amount: int) -> None:
        """Make a sale of an opportunity, and confirm it: Tryton notes by itself that the opportunity is won."""
        self._do(_LEAD, "convert", [lead])
        sale = self._do(_SALE, "search", [["origin", "=", f"sale.opportunity,{lead}"]], 0, None, None)
        line = {"quantity": 1.0, "unit_price": Decimal(amount), "description": "Seats"}
        by_hand = {"invoice_method": "manual", "shipment_method": "manual"}
        self._do(_SALE, "write", sale, {**by_hand, "lines": [["create", [line]]]})
        (one,) = self._do(_SALE, "read", sale, ["party", "invoice_address"])
        if one["invoice_address"] is None:
            (address,) = self._do("model.party.address", "create", [{"party": one["party"]}])
            self._do(_SALE, "write", sale, {"invoice_address": address, "shipment_address": address})
        self._do(_SALE, "quote", sale)
        self._do(_SALE, "confirm", sale)

    def _do(self, model: str, method: str, *params: Any) -> Any:
        return self._rpc.write(f"{model}.{method}", *params, context={"company": 1})


def push_to_tryton(home: str, run: str, port: int) -> int:
    """A sender for `tests.faults.sender.Senders`: push a run to the server behind a port."""
    from csql_ml.handoff.push import push
    from tests.handoff.small_run import config

    settings = config(Path(home), max_attempts=60, first_delay=0.01, longest_delay=0.05)
    sink = sink_of(port, batch_size=10, connect_timeout=5, timeout=20)
    return push(settings, Path(run), "tryton", sink=sink).exit_code
