"""A sender to the stand-in for HubSpot, to be run in a process of its own that can be killed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from csql_ml.config.hubspot import HubSpot
from csql_ml.handoff.hubspot.sink import HubSpotSink
from csql_ml.handoff.push import push
from csql_ml.handoff.sink import Capabilities
from tests.crm.hubspot_server import TOKEN
from tests.handoff.small_run import config


class SmallBatches(HubSpotSink):
    """Ten leads a request, so that there are requests enough for faults to hit."""

    def capabilities(self) -> Capabilities:
        return replace(super().capabilities(), batch_size=10)


def sink(port: int, cls: type[HubSpotSink] = HubSpotSink, **settings: object) -> HubSpotSink:
    """A sink to the stand-in behind a port of this machine."""
    given = {"object": "leads", "owners": {"AE-1": "ada@example.com"}, "read_timeout": 5.0, **settings}
    return cls(HubSpot(host=f"http://127.0.0.1:{port}", **given), TOKEN, currency="EUR")  # type: ignore[arg-type]


def push_to_hubspot(home: str, run: str, port: int) -> int:
    """A sender: push a run to HubSpot's stand-in behind a port."""
    settings = config(Path(home), max_attempts=40, first_delay=0.01, longest_delay=0.05)
    return push(settings, Path(run), "hubspot", sink=sink(port, SmallBatches)).exit_code
