"""Simulated companies of benchmark size: 3,000 events and 60 users per account over 24 months, kept between runs.

python benchmarks/simulated_company.py --events 6000000 --out FOLDER [--memory 4GB]

20,000 accounts, 1.2 million users and 60 million events are one of them. Beside the tables it writes ``config.yaml``
(activity and models in the same folder, no tracking) and ``names.json``: what a contender has to know of the
configuration.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import yaml

from csql_ml import config as configuration
from csql_ml.simulate import simulate
from csql_ml.simulate.demo_config import config_text

EVENTS_PER_ACCOUNT, EVENTS_PER_USER, QUARTERS, SEED = 3_000, 50, 8, 7


def make(out: Path, events: int, memory: str) -> None:
    """Simulate unless the folder has this company already, and write its configuration."""
    wanted = {
        "accounts": max(20, events // EVENTS_PER_ACCOUNT),
        "events": events,
        "users": events // EVENTS_PER_USER,
        "quarters": QUARTERS,
        "seed": SEED,
    }
    tables = out / "tables"
    marker = tables / "simulation.json"
    if not marker.is_file() or json.loads(marker.read_text(encoding="utf-8")) != wanted:
        out.mkdir(parents=True, exist_ok=True)
        simulate(tables, **wanted)
    settings = yaml.safe_load(config_text("tables", "models", "activity"))
    settings["data"]["memory_limit"] = memory
    settings["tracking"] = {"enabled": False}
    path = out / "config.yaml"
    path.write_text(yaml.safe_dump(settings, sort_keys=False), encoding="utf-8")
    _write_names(path, out / "names.json")


def _write_names(config: Path, file: Path) -> None:
    """What contenders need of the configuration: time zone, names of signals, the engagement score's settings."""
    read = configuration.load(config)
    signals = read.signals
    names = ("core_features", "gated_clicks", "upgrade_attempts", "workflow_starts", "workflow_completions")
    said = {
        "zone": read.company.time_zone,
        "signals": {name: list(getattr(signals, name)) for name in names},
        "engagement": {**read.engagement.model_dump(), "core_features": len(signals.core_features)},
    }
    file.write_text(json.dumps(said, indent=2), encoding="utf-8")


def main() -> None:
    """Make one company."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--memory", default="4GB")
    given = parser.parse_args()
    make(given.out, given.events, given.memory)


if __name__ == "__main__":
    main()
