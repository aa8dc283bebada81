"""The command of whoever watches the model."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from csql_ml.cli.options import ConfigFile, Json, Language, RunFolder, chosen_language, day
from csql_ml.cli.output import print_result, progress_bar


def monitor(
    config: ConfigFile,
    run: RunFolder,
    earlier: Annotated[
        list[Path] | None,
        typer.Option(help="An earlier run, for realised results and reasons; may be given several times."),
    ] = None,
    reference: Annotated[
        Path | None, typer.Option(help="Run or bundle to hold the run against; default: the champion's training.")
    ] = None,
    as_of: Annotated[
        date | None,
        typer.Option("--as-of", parser=day, metavar="DATE", help="The day to stand on; default: the end of the data."),
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Write the page, too.")] = None,
    lang: Language = None,
    as_json: Json = False,
) -> None:
    """Watch a run: drift, realised results, freshness and volume of the data, reasons; exit code 1 on an alarm.

    \b
    Example: csql monitor -c configs/demo.yaml --run demo/run --html demo/monitor.html
    """
    from csql_ml import config as configuration
    from csql_ml import printing_monitor
    from csql_ml.monitoring.monitor import monitor as watch

    settings = configuration.load(config)
    language = chosen_language(lang, settings.company.language)
    with progress_bar(as_json) as progress:
        result = watch(settings, run, earlier=earlier or (), reference=reference, now=as_of, on_progress=progress)
    if html is not None:
        printing_monitor.write_page(result, html, language)
    print_result(printing_monitor.monitored(result, html), as_json)
    if result.alarms:
        raise typer.Exit(1)
