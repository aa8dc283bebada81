"""A folder, a scripted CRM and a clock: pushes as a user does them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from csql_ml.handoff.lead import lead_key
from csql_ml.handoff.push import Pushed, dry_run, push, replay
from tests.handoff.scripted_sink import ScriptedCrm, World
from tests.handoff.small_run import config, write_run

#: Of the lead that `tests.handoff.small_run.lead` makes.
KEY = lead_key("A1", "upsell", "Pro", "upgrade_attempts")


@dataclass
class Desk:
    """Pushes into one CRM; ``options`` go into the configuration."""

    home: Path
    world: World = field(default_factory=World)
    options: dict[str, Any] = field(default_factory=dict)
    runs: int = 0

    def __post_init__(self) -> None:
        self.crm = ScriptedCrm(self.world)

    @property
    def config(self) -> Any:
        return config(self.home, **self.options)

    def run(self, *leads: dict[str, Any], as_of: str = "2026-07-01", **more: Any) -> Path:
        self.runs += 1
        return write_run(self.home / f"run-{self.runs}", leads, as_of=as_of, run_id=f"run-{self.runs}", **more)

    def push(self, *leads: dict[str, Any], accept: tuple[str, ...] = (), **more: Any) -> Pushed:
        run = self.run(*leads, **more)
        return push(self.config, run, "scripted", sink=self.crm, clock=self.world.clock(), accept=accept)

    def dry_run(self, *leads: dict[str, Any], **more: Any) -> Pushed:
        return dry_run(self.config, self.run(*leads, **more), "scripted", sink=self.crm, clock=self.world.clock())

    def replay(self, key: str = "all") -> Pushed:
        return replay(self.config, "scripted", key, sink=self.crm, clock=self.world.clock())


def actions(pushed: Pushed, kind: str = "lead") -> dict[str, int]:
    """How many records each action held for, where there were any."""
    assert pushed.plan is not None
    return {action: n for action, n in pushed.plan.counts()[kind].items() if n}
