"""Commands that take data away again: an account, old runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from csql_ml.cli.options import ConfigFile, Json
from csql_ml.cli.output import print_result


def forget(
    config: ConfigFile,
    account: Annotated[str, typer.Option("--account", help="The account's id.", show_default=False)],
    run: Annotated[list[Path] | None, typer.Option("--run", help="A run to take it out of; repeatable.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count; writes nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Take an account out of rollup, runs, outbox and pulled outcomes; says what it cannot remove.

    \b
    Example: csql forget -c configs/demo.yaml --account A00012 --run demo/run --dry-run
    """
    from csql_ml import config as configuration
    from csql_ml import forgetting, printing_forget

    result = forgetting.forget(configuration.load(config), account, run or (), dry_run)
    print_result(printing_forget.forgotten(result), as_json)


def prune(
    runs: Annotated[Path, typer.Option("--runs", help="Folder that has run folders in it.", show_default=False)],
    days: Annotated[int, typer.Option(min=1, help="Keep every run of this many days before the newest.")] = 90,
    months: Annotated[int, typer.Option(min=0, help="Then the first of each month, for this many months.")] = 24,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say which; removes nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Remove old runs by a stated policy: all of 90 days, then the first of each month for two years.

    \b
    Example: csql prune --runs runs --days 90 --months 24 --dry-run
    """
    from csql_ml import printing_retention, retention

    print_result(printing_retention.pruned(retention.prune(runs, days, months, dry_run)), as_json)
