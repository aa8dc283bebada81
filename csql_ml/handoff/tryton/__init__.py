"""The ``tryton`` sink: leads as sale opportunities of a Tryton server, over JSON-RPC."""

from __future__ import annotations

from typing import TYPE_CHECKING

from csql_ml.handoff.tryton.rpc import TrytonRpc
from csql_ml.handoff.tryton.secret import login
from csql_ml.handoff.tryton.sink import TrytonSink

if TYPE_CHECKING:
    from csql_ml.config import Config


def open_sink(config: Config) -> TrytonSink:
    """The sink as the configuration has it; nothing is sent yet.

    Raises
    ------
    ConfigError
        ``delivery.tryton.url``, the user or the password is missing, or the password's file is open to others.
    """
    settings = config.delivery.tryton
    user, password = login(settings, config)
    rpc = TrytonRpc(str(settings.url), settings.database, user, password, (settings.connect_timeout, settings.timeout))
    return TrytonSink(rpc, settings, config.company.currency, config.handoff.lead_source)
