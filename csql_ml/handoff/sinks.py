"""The sinks there are. One more = one module with ``open_sink(config)`` and its name here."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, cast

from csql_ml.errors import UsageError
from csql_ml.handoff.sink import Sink

if TYPE_CHECKING:
    from csql_ml.config import Config

#: Name -> module; imported when asked for, because each CRM needs packages of its own.
SINKS = {
    "files": "csql_ml.handoff.files",
    "tryton": "csql_ml.handoff.tryton",
    "salesforce": "csql_ml.handoff.salesforce",
    "hubspot": "csql_ml.handoff.hubspot",
}


def open_sink(name: str, config: Config) -> Sink:
    """The sink of that name.

    Raises
    ------
    UsageError
        There is none.
    """
    if name not in SINKS:
        raise UsageError(f"there is no sink {name!r}; there are {', '.join(SINKS)}")
    return cast("Sink", import_module(SINKS[name]).open_sink(config))
