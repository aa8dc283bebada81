"""Commands around the stand-up and the review: what changed since the last run, and the page of the whole funnel."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated, Any

import typer

from csql_ml.cli.measure import KnownBefore
from csql_ml.cli.options import ConfigFile, Json, Language, RunFolder, chosen_language, day
from csql_ml.cli.output import print_result


def dashboard(
    config: ConfigFile,
    out: Annotated[Path, typer.Option("--out", help="The page (HTML).", show_default=False)],
    run: Annotated[
        list[Path] | None, typer.Option("--run", help="Runs that scored the leads; may be given several times.")
    ] = None,
    plan: Annotated[
        list[Path] | None, typer.Option("--plan", help="Experiments of csql poc plan; may be given several times.")
    ] = None,
    quarter: Annotated[str | None, typer.Option(help="Leads of one quarter, such as 2026Q3.")] = None,
    as_of: KnownBefore = None,
    lang: Language = None,
    as_json: Json = False,
) -> None:
    """The page for RevOps: funnel against the benchmarks, quarters, cycle, groups, CSMs, rejections, experiments.

    \b
    Example: csql dashboard -c configs/demo.yaml --run demo/run --out demo/dashboard.html
    """
    from csql_ml import config as configuration
    from csql_ml import printing_outcomes
    from csql_ml.outcomes import measure as funnel
    from csql_ml.printing import Printed
    from csql_ml.reports.dashboard_page import render
    from csql_ml.run_files import write_file

    settings = configuration.load(config)
    language = chosen_language(lang, settings.company.language)
    result = funnel.measure(settings, as_of=as_of, quarter=quarter, runs=run or ())
    measured = printing_outcomes.measured(result, settings).data
    read = [_experiment(settings, one, result.as_of) for one in plan or ()]
    page = render(measured, read, settings, language)
    write_file(out, lambda draft: draft.write_bytes(page))
    text = [f"dashboard of {result.total.created:,} leads written to {out} ({len(page) / 1e3:,.0f} kB)"]
    print_result(Printed(text, {"out": str(out), "bytes": len(page), "measured": measured, "read": read}), as_json)


def _experiment(settings: Any, plan: Path, as_of: date) -> dict[str, Any]:
    """An experiment as ``csql poc read --json`` has it; one that still runs says from when on it can be read."""
    from csql_ml import printing_outcomes
    from csql_ml.outcomes.plan_file import read_plan
    from csql_ml.outcomes.uplift import read_uplift

    planned = read_plan(plan)
    if as_of < planned.complete_from:
        return {"experiment": planned.name, "complete_from": planned.complete_from.isoformat()}
    return dict(printing_outcomes.read(read_uplift(settings, plan, as_of)).data)


def digest(
    config: ConfigFile,
    run: RunFolder,
    out: Annotated[Path, typer.Option("--out", help="Folder of the digest.", show_default=False)],
    since: Annotated[Path | None, typer.Option(help="The run to compare with; default: no comparison.")] = None,
    today: Annotated[
        date | None,
        typer.Option(parser=day, metavar="DATE", help="The day that says what is due; default: the run's date."),
    ] = None,
    lang: Language = None,
    as_json: Json = False,
) -> None:
    """The stand-up: what changed since the last run, what to hand over, what waits, what is due; team and per CSM.

    \b
    Example: csql digest -c configs/demo.yaml --run run --since last-run --out digest
    """
    from csql_ml import config as configuration
    from csql_ml import printing_standup, standup
    from csql_ml.reports.standup_page import write_digest

    settings = configuration.load(config)
    language = chosen_language(lang, settings.company.language)
    data = standup.digest(settings, run, since, today=today, language=language)
    files = write_digest(data, out, language)
    print_result(printing_standup.digested(data, out, files), as_json)
