"""Commands around models and runs: train, score, explain one account, write the site."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from csql_ml.cli.options import AsOf, ConfigFile, Json, RunFolder, day
from csql_ml.cli.output import print_result, progress_bar
from csql_ml.errors import UsageError


def train(
    config: ConfigFile,
    as_of: Annotated[
        date | None,
        typer.Option("--as-of", parser=day, metavar="DATE", help="The day to stand on; default: the end of the data."),
    ] = None,
    feature_file: Annotated[
        Path | None, typer.Option("--features", help="Feature table of your own (Parquet or CSV) instead of tables.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Label, validate on later quarters than trained on, judge against the rules, save and register the champion.

    \b
    Example: csql train -c configs/demo.yaml
    """
    from csql_ml import config as configuration
    from csql_ml import pipeline, printing

    settings = configuration.load(config)
    with progress_bar(as_json) as progress:
        if feature_file is not None:
            from csql_ml import own_features

            result = own_features.train_champion(settings, feature_file, as_of, progress)
        else:
            result = pipeline.train_champion(settings, as_of, progress)
    print_result(printing.training(result), as_json)


def score(
    config: ConfigFile,
    as_of: AsOf,
    out: Annotated[Path, typer.Option("--out", help="Folder of the run.", show_default=False)],
    feature_file: Annotated[
        Path | None, typer.Option("--features", help="Feature table of your own (Parquet or CSV) instead of tables.")
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="Bundle folder, or models:/NAME@ALIAS of MLflow; default: the newest champion.")
    ] = None,
    as_json: Json = False,
) -> None:
    """The batch run: scores, explanations and lead records as of a date.

    \b
    Example: csql score -c configs/demo.yaml --as-of 2026-10-01 --out run
    """
    from csql_ml import config as configuration
    from csql_ml import pipeline, printing

    settings = configuration.load(config)
    with progress_bar(as_json) as progress:
        if feature_file is not None:
            from csql_ml import own_features

            result = own_features.score(settings, feature_file, as_of, out, model, progress)
        else:
            result = pipeline.score(settings, as_of, out, model, progress)
    print_result(printing.run(result), as_json)


def explain(
    config: ConfigFile,
    run: RunFolder,
    account: Annotated[str, typer.Option("--account", help="Account id.", show_default=False)],
    as_json: Json = False,
) -> None:
    """One account in the terminal: its score, what it is made of, gates, risks and next step.

    \b
    Example: csql explain -c configs/demo.yaml --run run --account A-000042
    """
    from csql_ml import config as configuration
    from csql_ml import pipeline, printing

    settings = configuration.load(config)
    manifest, record = pipeline.account_record(run, account)
    print_result(printing.account(record, manifest, settings), as_json)


def report(
    config: ConfigFile,
    run: RunFolder,
    out: Annotated[Path, typer.Option("--out", help="Folder of the site.", show_default=False)],
    lang: Annotated[str | None, typer.Option(help="en, de, fr or es; default: the company's language.")] = None,
    as_json: Json = False,
) -> None:
    """The site for customer success managers: an index per CSM and a page per account.

    \b
    Example: csql report -c configs/demo.yaml --run run --out site
    """
    from csql_ml import config as configuration
    from csql_ml import printing
    from csql_ml.reports import report as write_report

    settings = configuration.load(config)
    language = lang or settings.company.language
    if language not in ("en", "de", "fr", "es"):
        raise UsageError(f"--lang {language!r} is not a language of the reports; choose en, de, fr or es")
    with progress_bar(as_json) as progress:
        summary = write_report(
            run,
            out,
            language=language,
            config=settings,
            on_progress=lambda done, of: progress("writing account pages", done, of),
        )
    print_result(printing.site(summary), as_json)
