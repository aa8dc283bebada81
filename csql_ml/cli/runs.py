"""Commands around models and runs: train, score, explain one account, write the site."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from csql_ml.cli.options import Json, Language, OptionalConfigFile, RunFolder, chosen_language, day, settings_of
from csql_ml.cli.output import print_result, progress_bar
from csql_ml.errors import UsageError

if TYPE_CHECKING:
    from csql_ml.model.tuning import Budget


def train(
    config: OptionalConfigFile = None,
    as_of: Annotated[
        date | None,
        typer.Option("--as-of", parser=day, metavar="DATE", help="The day to stand on; default: the end of the data."),
    ] = None,
    feature_file: Annotated[
        Path | None, typer.Option("--features", help="Feature table of your own (Parquet or CSV) instead of tables.")
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Leave out columns that are suspected of knowing the outcome.")
    ] = False,
    tune: Annotated[
        str | None,
        typer.Option("--tune", metavar="BUDGET", help="Search for other tree settings: 90s, 5m, 1h or 30trials."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Label, validate on later quarters than trained on, judge against the rules, save and register the champion.

    \b
    Example: csql train -c configs/demo.yaml
    """
    from csql_ml import pipeline, printing

    settings, budget = settings_of(config, features=feature_file), _budget(tune)
    with progress_bar(as_json) as progress:
        if feature_file is not None:
            from csql_ml import own_features

            result = own_features.train_champion(settings, feature_file, as_of, progress, strict=strict, budget=budget)
        else:
            result = pipeline.train_champion(settings, as_of, progress, strict=strict, budget=budget)
    print_result(printing.training(result), as_json)


def _budget(text: str | None) -> Budget | None:
    if text is None:
        return None
    from csql_ml.model.tuning import Budget

    return Budget.parse(text)


def score(
    out: Annotated[Path, typer.Option("--out", help="Folder of the run.", show_default=False)],
    config: OptionalConfigFile = None,
    as_of: Annotated[
        date | None,
        typer.Option(
            "--as-of",
            parser=day,
            metavar="DATE",
            help="Only what was known before this day; with --features by default the table's newest date.",
        ),
    ] = None,
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
    from csql_ml import pipeline, printing

    settings = settings_of(config, features=feature_file)
    with progress_bar(as_json) as progress:
        if feature_file is not None:
            from csql_ml import own_features

            result = own_features.score(settings, feature_file, as_of, out, model, progress)
        elif as_of is None:
            raise UsageError("missing option --as-of: name the day to score on, YYYY-MM-DD")
        else:
            result = pipeline.score(settings, as_of, out, model, progress)
    print_result(printing.run(result), as_json)


def explain(
    run: RunFolder,
    account: Annotated[str, typer.Option("--account", help="Account id.", show_default=False)],
    config: OptionalConfigFile = None,
    as_json: Json = False,
) -> None:
    """One account in the terminal: its score, what it is made of, gates, risks and next step.

    \b
    Example: csql explain -c configs/demo.yaml --run run --account A-000042
    """
    from csql_ml import pipeline, printing

    settings = settings_of(config, run=run)
    manifest, record = pipeline.account_record(run, account)
    print_result(printing.account(record, manifest, settings), as_json)


def report(
    run: RunFolder,
    out: Annotated[Path, typer.Option("--out", help="Folder of the site.", show_default=False)],
    config: OptionalConfigFile = None,
    lang: Language = None,
    earlier: Annotated[
        list[Path] | None,
        typer.Option(
            help="An earlier run: pages show where accounts stood, the site gets the stand-up; may be given often."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """The site for customer success managers: an index per CSM and a page per account.

    \b
    Example: csql report -c configs/demo.yaml --run run --out site --earlier last-run
    """
    from csql_ml import printing, standup
    from csql_ml.reports import report as write_report
    from csql_ml.reports.history import newest

    settings = settings_of(config, run=run)
    language = chosen_language(lang, settings.company.language)
    with progress_bar(as_json) as progress:
        since = newest(run, earlier or ())
        summary = write_report(
            run,
            out,
            language=language,
            config=settings,
            earlier=earlier or (),
            standup=None if since is None else standup.digest(settings, run, since, language=language),
            on_progress=lambda done, of: progress("writing account pages", done, of),
        )
    print_result(printing.site(summary), as_json)
