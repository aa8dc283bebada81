"""Commands that say what became of the leads: the funnel, and the proof of concept."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from csql_ml.cli.options import ConfigFile, Json, day
from csql_ml.cli.output import print_result
from csql_ml.errors import UsageError

KnownBefore = Annotated[
    date | None,
    typer.Option("--as-of", parser=day, metavar="DATE", help="Only what was known before this day."),
]


def measure(
    config: ConfigFile,
    quarter: Annotated[str | None, typer.Option(help="Leads of one quarter, such as 2026Q3.")] = None,
    run: Annotated[
        list[Path] | None, typer.Option("--run", help="Runs that scored the leads; may be given several times.")
    ] = None,
    as_of: KnownBefore = None,
    as_json: Json = False,
) -> None:
    """Measure the funnel against the benchmarks, by quarter, type, score band, champion and CSM.

    \b
    Example: csql measure -c configs/demo.yaml --quarter 2026Q3 --run demo/run
    """
    from csql_ml import config as configuration
    from csql_ml import printing_outcomes
    from csql_ml.outcomes import measure as funnel

    settings = configuration.load(config)
    result = funnel.measure(settings, as_of=as_of, quarter=quarter, runs=run or ())
    print_result(printing_outcomes.measured(result, settings), as_json)


def plan(
    config: ConfigFile,
    name: Annotated[str, typer.Option(help="Name of the experiment; the lots are drawn from it.")],
    start: Annotated[date, typer.Option(parser=day, metavar="DATE", help="First day on which leads are worked.")],
    end: Annotated[date, typer.Option(parser=day, metavar="DATE", help="First day after.")],
    out: Annotated[Path, typer.Option(help="File for the plan (JSON); never written over.")],
    unit: Annotated[str, typer.Option(help="What is randomised: account or csm.")] = "account",
    csm: Annotated[
        list[str] | None, typer.Option(help="Only accounts of this CSM; may be given several times.")
    ] = None,
    accounts: Annotated[Path | None, typer.Option(help="Only these accounts: a text file, one id a line.")] = None,
    holdout: Annotated[float | None, typer.Option(help="Share that is held out; default: configured.")] = None,
    as_of: KnownBefore = None,
    as_json: Json = False,
) -> None:
    """Plan a proof of concept: who is worked, who is held out, and what could be seen.

    \b
    Example: csql poc plan -c configs/demo.yaml --name poc1 --start 2026-07-01 --end 2026-10-01 --out poc1.json
    """
    from csql_ml import config as configuration
    from csql_ml import printing_outcomes
    from csql_ml.outcomes import planning

    if unit not in ("account", "csm"):
        raise UsageError(f"--unit {unit!r} cannot be randomised; choose account or csm")
    settings = configuration.load(config)
    made = planning.plan(
        settings,
        name=name,
        start=start,
        end=end,
        unit="csm" if unit == "csm" else "account",
        csms=csm or (),
        accounts=_ids(accounts),
        holdout_share=holdout,
        as_of=as_of,
    )
    made.write(out)
    print_result(printing_outcomes.planned(made, out), as_json)


def read(
    config: ConfigFile,
    plan: Annotated[Path, typer.Option(help="File written by csql poc plan.")],
    as_of: KnownBefore = None,
    as_json: Json = False,
) -> None:
    """Read a proof of concept: the uplift in expansion rate, ARR and NRR, or that nobody can tell.

    \b
    Example: csql poc read -c configs/demo.yaml --plan poc1.json
    """
    from csql_ml import config as configuration
    from csql_ml import printing_outcomes
    from csql_ml.outcomes.uplift import read_uplift

    print_result(printing_outcomes.read(read_uplift(configuration.load(config), plan, as_of)), as_json)


def _ids(path: Path | None) -> list[str]:
    if path is None:
        return []
    try:
        ids = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--accounts {path} cannot be read: {error}") from error
    found = [i for i in ids if i]
    if not found:
        raise UsageError(f"--accounts {path} is empty; write one account id a line")
    return found
