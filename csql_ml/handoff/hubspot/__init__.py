"""The ``hubspot`` sink: leads (or deals) of a pipeline, scores on companies, outcomes back.

See `csql_ml.handoff.hubspot.sink` for what is guaranteed and what HubSpot gives no means for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from csql_ml.config import Config
    from csql_ml.handoff.hubspot.sink import HubSpotSink


def open_sink(config: Config) -> HubSpotSink:
    """The sink as the configuration has it.

    Raises
    ------
    ConfigError
        There is no access token, or others may read its file.
    MissingExtraError
        hubspot-api-client is not installed.
    """
    from csql_ml.handoff.hubspot.sink import HubSpotSink
    from csql_ml.handoff.hubspot.token import read_token

    settings = config.delivery.hubspot
    file = None if settings.token_file is None else config.path(settings.token_file)
    return HubSpotSink(
        settings, read_token(settings, file), currency=config.company.currency, lead_source=config.handoff.lead_source
    )
