"""Jobs that faults are built into: whole `csql` commands, and the parts of them that write.

What comes before a part is done once, in the forking process, by its ``prepare_`` function: it runs the command up to
where it writes. The job then writes, as often as it is asked to.
"""

from __future__ import annotations

import resource
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import Any
from unittest.mock import patch

#: What commands import when they are called.
MODULES = (
    "csql_ml.pipeline",
    "csql_ml.activity",
    "csql_ml.source_duckdb",
    "csql_ml.reports",
    "csql_ml.printing",
    "csql_ml.printing_push",
    "csql_ml.handoff.push",
    "csql_ml.handoff.files",
)
_waiting: dict[str, Callable[..., Any]] = {}


def command(arguments: Sequence[str]) -> int:
    """One `csql` command; returns its exit code."""
    from csql_ml.cli import main

    main(list(arguments))
    return 0


class _EnoughError(Exception):
    """Everything that comes before writing has been done."""


def _up_to(name: str, function: str, run: Callable[[], object]) -> None:
    """Do ``run`` until it calls ``function``, and keep that call as a job."""
    from csql_ml import pipeline

    real = getattr(pipeline, function)

    def keep(*arguments: Any, **named: Any) -> Any:
        _waiting[name] = lambda: real(*arguments, **named)
        raise _EnoughError

    with patch.object(pipeline, function, keep), suppress(_EnoughError):
        run()


def prepare_write_run(config: str, as_of: str, out: str) -> None:
    """Score, up to the run's folder."""
    from csql_ml import config as configuration
    from csql_ml import pipeline

    settings = configuration.load(config)
    _up_to("run", "write_folder", lambda: pipeline.score(settings, date.fromisoformat(as_of), Path(out)))


def write_run() -> int:
    """Write the run's folder."""
    _waiting["run"]()
    return 0


def write_run_command() -> int:
    """As `write_run`, with errors as `csql` shows them."""
    return _as_command(_waiting["run"])


def _as_command(job: Callable[[], object]) -> int:
    from csql_ml.errors import CsqlError

    try:
        job()
    except CsqlError as error:
        print(f"csql: {error}")  # noqa: T201 - as the command does
        return error.exit_code
    return 0


def prepare_save_training(config: str, now: str | None = None) -> None:
    """Train, up to the bundles."""
    import mlflow.pyfunc  # noqa: F401 - takes seconds

    from csql_ml import config as configuration
    from csql_ml import pipeline

    settings, day = configuration.load(config), None if now is None else date.fromisoformat(now)
    _waiting["before"] = lambda: pipeline.champion_in_force(settings)
    _up_to("training", "save_champion", lambda: pipeline.train_champion(settings, day))


def save_training() -> int:
    """What training begins with, and then bundles, card, MLflow and what is in force."""
    _waiting["before"]()
    _waiting["training"]()
    return 0


def update_activity(config: str) -> int:
    """Bring the rollup up to date."""
    from csql_ml import config as configuration
    from csql_ml.company import open_company

    with open_company(configuration.load(config)):
        return 0


def update_activity_command(config: str) -> int:
    """As `update_activity`, with errors as `csql` shows them."""
    return _as_command(lambda: update_activity(config))


def address_space() -> int:
    """Say how many bytes the process has mapped before it does anything."""
    pages = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[0])
    print(pages * resource.getpagesize())  # noqa: T201 - its answer
    return 0
