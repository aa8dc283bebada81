"""Commands around the inputs: a company to try things on, checks, features, metrics."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from csql_ml.cli.options import ConfigFile, Json, day
from csql_ml.cli.output import print_result, progress_bar
from csql_ml.errors import UsageError


def demo(
    out: Annotated[Path, typer.Option(help="Folder for data, run and report.")] = Path("demo"),
    accounts: Annotated[int, typer.Option(min=20, help="Accounts of the simulated company.")] = 600,
    quarters: Annotated[int, typer.Option(min=4, help="Quarters of history.")] = 8,
    seed: Annotated[int, typer.Option(min=0, help="Another seed, another company.")] = 7,
    as_json: Json = False,
) -> None:
    """The whole main job on a simulated company: data, train, score, report; prints where to look.

    \b
    Example: csql demo --out demo
    """
    from csql_ml import printing
    from csql_ml.demo import run_demo

    with progress_bar(as_json) as progress:
        result = run_demo(out, accounts=accounts, quarters=quarters, seed=seed, on_progress=progress)
    print_result(printing.demo(result), as_json)


def simulate(
    out: Annotated[Path, typer.Option("--out", help="Folder for the tables.", show_default=False)],
    accounts: Annotated[int, typer.Option(help="Number of accounts.")] = 2000,
    events: Annotated[int | None, typer.Option(help="Approximate number of product events.")] = None,
    users: Annotated[int | None, typer.Option(help="Approximate number of users; default: by the seats.")] = None,
    quarters: Annotated[int, typer.Option(help="Quarters of history.")] = 8,
    seed: Annotated[int, typer.Option(help="Same seed, same files.")] = 7,
    as_json: Json = False,
) -> None:
    """Write the tables of a simulated company, a config that reads them, and its true propensities (truth.parquet).

    \b
    Example: csql simulate --out company --accounts 2000 --quarters 8
    """
    from csql_ml import printing
    from csql_ml.simulate import simulate as run
    from csql_ml.simulate import write_config

    with progress_bar(as_json) as progress:
        summary = run(
            out,
            accounts=accounts,
            events=events,
            quarters=quarters,
            seed=seed,
            users=users,
            on_progress=lambda step, share: progress(step, round(share * 100), 100),
        )
    config = write_config(out / "config.yaml", folder=".", models_folder="models")
    print_result(printing.simulation(summary, out, config), as_json)


def check(
    config: ConfigFile,
    quarantine: Annotated[Path | None, typer.Option(help="Folder for the rows that were set aside.")] = None,
    as_json: Json = False,
) -> None:
    """Validate the inputs: counts, quarantined rows, missing optional tables and what they cost.

    \b
    Example: csql check -c configs/demo.yaml --quarantine quarantine
    """
    from csql_ml import config as configuration
    from csql_ml import pipeline, printing

    result = pipeline.check(configuration.load(config), quarantine)
    print_result(printing.checked(result), as_json)
    if result.broken is not None:
        raise typer.Exit(1)


def features(
    config: ConfigFile,
    as_of: Annotated[
        list[date], typer.Option("--as-of", parser=day, metavar="DATE", help="May be given several times.")
    ],
    out: Annotated[Path | None, typer.Option("--out", help="Parquet file.", show_default=False)] = None,
    explain_plan: Annotated[
        bool, typer.Option("--explain-plan", help="Print the named SQL steps of the first date instead.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Write the feature table of one or more dates, or print how it is computed.

    \b
    Example: csql features -c configs/demo.yaml --as-of 2026-07-01 --as-of 2026-10-01 --out features.parquet
    """
    from csql_ml import config as configuration
    from csql_ml import pipeline, printing

    settings = configuration.load(config)
    if explain_plan:
        print_result(printing.plan(pipeline.explain_plan(settings, min(as_of))), as_json)
        return
    if out is None:
        raise UsageError("--out is missing: give the Parquet file to write, or --explain-plan to see the SQL")
    with progress_bar(as_json) as progress:
        written = pipeline.features(settings, as_of, out, progress)
    print_result(printing.feature_table(written, out), as_json)


def metrics(
    config: ConfigFile,
    check_leaks: Annotated[
        bool, typer.Option("--check-leaks", help="Check your own metrics for looking ahead.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Every metric with its threshold, gate and score term, your own ones too; or check your own for looking ahead.

    \b
    Example: csql metrics -c configs/demo.yaml --check-leaks
    """
    from csql_ml import config as configuration
    from csql_ml import printing_metrics

    settings = configuration.load(config)
    if not check_leaks:
        print_result(printing_metrics.metrics(settings), as_json)
        return
    from csql_ml.leak_check import check_leaks as check

    with progress_bar(as_json) as progress:
        report = check(settings, on_company=lambda done, of: progress("checking on random companies", done, of))
    print_result(printing_metrics.leaks(report), as_json)
    if not report.sound:
        raise typer.Exit(1)
