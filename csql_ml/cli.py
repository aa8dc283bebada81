"""The ``csql`` command: parses, calls the pipeline, prints. Everything heavy is imported inside the commands."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from csql_ml import __version__
from csql_ml.errors import CsqlError, UsageError

if TYPE_CHECKING:
    from csql_ml.company import Progress

app = typer.Typer(
    name="csql",
    help="Expansion propensity for customer success: which customers are ready for an upsell, a cross-sell or a "
    "referral, why, and what to hand to sales.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
config_app = typer.Typer(help="The configuration.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(config_app, name="config")

ConfigFile = Annotated[Path, typer.Option("--config", "-c", help="Configuration file (YAML).", show_default=False)]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
RunFolder = Annotated[Path, typer.Option("--run", help="Folder written by csql score.", show_default=False)]


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a date; write YYYY-MM-DD") from None


AsOf = Annotated[
    date, typer.Option("--as-of", parser=_day, metavar="DATE", help="Only what was known before this day.")
]


@app.command()
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

    with _progress(as_json) as progress:
        result = run_demo(out, accounts=accounts, quarters=quarters, seed=seed, on_progress=progress)
    _print(printing.demo(result), as_json)


@app.command()
def simulate(
    out: Annotated[Path, typer.Option("--out", help="Folder for the tables.", show_default=False)],
    accounts: Annotated[int, typer.Option(help="Number of accounts.")] = 2000,
    events: Annotated[int | None, typer.Option(help="Approximate number of product events.")] = None,
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

    with _progress(as_json) as progress:
        summary = run(
            out,
            accounts=accounts,
            events=events,
            quarters=quarters,
            seed=seed,
            on_progress=lambda step, share: progress(step, round(share * 100), 100),
        )
    config = write_config(out / "config.yaml", folder=".", models_folder="models")
    _print(printing.simulation(summary, out, config), as_json)


@app.command()
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
    _print(printing.checked(result), as_json)
    if result.broken is not None:
        raise typer.Exit(1)


@app.command()
def features(
    config: ConfigFile,
    as_of: Annotated[
        list[date], typer.Option("--as-of", parser=_day, metavar="DATE", help="May be given several times.")
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
        _print(printing.plan(pipeline.explain_plan(settings, min(as_of))), as_json)
        return
    if out is None:
        raise UsageError("--out is missing: give the Parquet file to write, or --explain-plan to see the SQL")
    with _progress(as_json) as progress:
        written = pipeline.features(settings, as_of, out, progress)
    _print(printing.feature_table(written, out), as_json)


@app.command("metrics")
def metrics_command(
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
        _print(printing_metrics.metrics(settings), as_json)
        return
    from csql_ml.leak_check import check_leaks as check

    with _progress(as_json) as progress:
        report = check(settings, on_company=lambda done, of: progress("checking on random companies", done, of))
    _print(printing_metrics.leaks(report), as_json)
    if not report.sound:
        raise typer.Exit(1)


@app.command()
def train(
    config: ConfigFile,
    as_of: Annotated[
        date | None,
        typer.Option("--as-of", parser=_day, metavar="DATE", help="The day to stand on; default: the end of the data."),
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
    with _progress(as_json) as progress:
        if feature_file is not None:
            from csql_ml import own_features

            result = own_features.train_champion(settings, feature_file, as_of, progress)
        else:
            result = pipeline.train_champion(settings, as_of, progress)
    _print(printing.training(result), as_json)


@app.command()
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
    with _progress(as_json) as progress:
        if feature_file is not None:
            from csql_ml import own_features

            result = own_features.score(settings, feature_file, as_of, out, model, progress)
        else:
            result = pipeline.score(settings, as_of, out, model, progress)
    _print(printing.run(result), as_json)


@app.command()
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
    _print(printing.account(record, manifest, settings), as_json)


@app.command()
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
    with _progress(as_json) as progress:
        summary = write_report(
            run,
            out,
            language=language,
            config=settings,
            on_progress=lambda done, of: progress("writing account pages", done, of),
        )
    _print(printing.site(summary), as_json)


@app.command()
def push(
    config: ConfigFile,
    run: Annotated[Path | None, typer.Option("--run", help="Folder written by csql score.")] = None,
    to: Annotated[str | None, typer.Option("--to", help="Where to: files.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would change; writes nothing.")] = False,
    html: Annotated[Path | None, typer.Option(help="Write the dry run as a page, too.")] = None,
    accept: Annotated[list[str] | None, typer.Option(help="Go on in spite of a finding, by its name.")] = None,
    replay: Annotated[str | None, typer.Option(metavar="KEY|all", help="Send dead rows again.")] = None,
    history: Annotated[bool, typer.Option("--history", help="Earlier pushes.")] = False,
    push_id: Annotated[int | None, typer.Option("--push", help="With --history: one push, row by row.")] = None,
    as_json: Json = False,
) -> None:
    """Hand a run's leads over, nothing lost and nothing twice; or show what would change.

    \b
    Example: csql push -c configs/demo.yaml --run demo/run --to files --dry-run
    """
    from csql_ml import config as configuration
    from csql_ml import printing_push
    from csql_ml.handoff import push as handing

    settings = configuration.load(config)
    if history:
        _print(printing_push.history(handing.history(settings, to, push_id)), as_json)
        return
    if to is None or (run is None and replay is None):
        raise UsageError("--to and --run are missing (with --replay, --to alone)")
    if dry_run and replay is not None:
        raise UsageError("--dry-run and --replay exclude each other")
    with _progress(as_json) as progress:
        if replay is not None:
            result = handing.replay(settings, to, replay, accept=accept or (), on_progress=progress)
        elif dry_run:
            result = handing.dry_run(settings, _given(run), to)
        else:
            result = handing.push(settings, _given(run), to, accept=accept or (), on_progress=progress)
    if html is not None:
        handing.write_page(settings, _given(run), result, html)
    _print(printing_push.pushed(result), as_json)
    if result.exit_code:
        raise typer.Exit(result.exit_code)


def _given(run: Path | None) -> Path:
    if run is None:
        raise UsageError("--run is missing: the folder written by csql score")
    return run


@config_app.command("schema")
def schema() -> None:
    """Print the JSON Schema of the configuration, for editors.

    \b
    Example: csql config schema > csql.schema.json
    """
    from csql_ml.config import json_schema

    typer.echo(json.dumps(json_schema(), indent=2))


def _print(result: Any, as_json: bool) -> None:
    """Print a result's JSON or its text."""
    if as_json:
        typer.echo(json.dumps(result.data, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False))
        return
    from rich.console import Console
    from rich.text import Text

    console = Console(width=None if sys.stdout.isatty() else 110, highlight=False)
    for part in result.text:
        console.print(part, soft_wrap=isinstance(part, Text))  # text to copy, such as SQL, is never broken


@contextmanager
def _progress(quiet: bool) -> Iterator[Progress]:
    """A progress bar on a terminal, plain lines elsewhere, nothing with --json; always on standard error."""
    if quiet:
        yield lambda step, done, of: None
        return
    if not sys.stderr.isatty():
        yield _plain_progress()
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("starting", total=1)
        yield lambda step, done, of: bar.update(task, description=step, completed=done, total=of)


def _plain_progress() -> Progress:
    seen: list[str] = []

    def say(step: str, done: int, of: int) -> None:
        if not seen or seen[-1] != step:
            seen.append(step)
            typer.echo(f"... {step}", err=True)

    return say


def _version(show: bool) -> None:
    if show:
        typer.echo(f"csql {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Expansion propensity for customer success. Add --debug to any command to see a traceback."""


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; exit code 0, 1 (the job found a problem) or 2 (usage or configuration)."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in given
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    try:
        app(args=[a for a in given if a != "--debug"], prog_name="csql")
    except CsqlError as error:
        if debug:
            raise
        _fail(str(error), error.exit_code)
    except KeyboardInterrupt:
        _fail("interrupted; nothing was left half written", 130)
    except Exception as error:
        if debug:
            raise
        what = " ".join(str(error).split()) or type(error).__name__
        _fail(f"unexpected {type(error).__name__}: {what[:300]}; run again with --debug for the traceback", 1)


def _fail(message: str, code: int) -> None:
    typer.echo(f"csql: {message}", err=True)
    raise SystemExit(code)
