"""The ``salesforce`` sink.

It speaks HTTP itself, with ``requests``, instead of through ``simple-salesforce`` 1.12: that client aborts a bulk job
after one 503 or a lost answer without saying which job it was, loses the results of earlier jobs when a later one
fails, splits results at every character that Unicode calls a line end, and writes NaN as text. What is left of it, the
login, is one request.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from csql_ml.errors import MissingExtraError

if TYPE_CHECKING:
    from csql_ml.config import Config
    from csql_ml.handoff.salesforce.sink import SalesforceSink


def open_sink(config: Config) -> SalesforceSink:
    """The sink as the configuration has it.

    Raises
    ------
    ConfigError
        The section ``delivery.salesforce`` or the secret cannot be used.
    MissingExtraError
        ``requests`` is not installed.
    """
    try:
        import requests  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("Salesforce", "salesforce") from error
    from csql_ml.handoff.salesforce.sink import opened

    return opened(config)
