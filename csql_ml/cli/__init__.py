"""The ``csql`` command: parses, calls the pipeline, prints. Everything heavy is imported inside the commands.

A command is a plain function in the module of those who use it, and one line in `COMMANDS` here.
"""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from csql_ml import __version__
from csql_ml.cli import configuration, dashboard, delivery, init, inputs, keeping, measure, monitor, retrain, runs
from csql_ml.cli.output import one_line, unforeseen
from csql_ml.errors import CsqlError

COMMANDS = (
    inputs.demo,
    inputs.simulate,
    init.init,
    inputs.check,
    inputs.features,
    inputs.metrics,
    runs.train,
    retrain.retrain,
    runs.score,
    runs.explain,
    runs.report,
    delivery.push,
    delivery.pull,
    measure.measure,
    monitor.monitor,
    dashboard.dashboard,
    dashboard.digest,
    keeping.forget,
    keeping.prune,
)  # in the order of --help

app = typer.Typer(
    name="csql",
    help="Expansion propensity for customer success: which customers are ready for an upsell, a cross-sell or a "
    "referral, why, and what to hand to sales.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
for _command in COMMANDS:
    app.command()(_command)

poc_app = typer.Typer(help="A proof of concept as an experiment.", no_args_is_help=True, rich_markup_mode=None)
poc_app.command()(measure.plan)
poc_app.command()(measure.read)
app.add_typer(poc_app, name="poc")

config_app = typer.Typer(help="The configuration.", no_args_is_help=True, rich_markup_mode=None)
config_app.command()(configuration.schema)
app.add_typer(config_app, name="config")


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
        _fail(unforeseen(error), 1)


def _fail(message: str, code: int) -> None:
    typer.echo(f"csql: {one_line(message)}", err=True)
    raise SystemExit(code)
