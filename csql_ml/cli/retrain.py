"""The data scientist's command after a quarter's close, and the way back."""

from __future__ import annotations

from datetime import date
from typing import Annotated

import typer

from csql_ml.cli.options import ConfigFile, Json, day
from csql_ml.cli.output import print_result, progress_bar
from csql_ml.errors import UsageError


def retrain(
    config: ConfigFile,
    as_of: Annotated[
        date | None,
        typer.Option("--as-of", parser=day, metavar="DATE", help="The day to stand on; default: the end of the data."),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Leave out metrics that are suspected of knowing the outcome.")
    ] = False,
    rollback: Annotated[bool, typer.Option("--rollback", help="Put the previous champion back instead.")] = False,
    reason: Annotated[str | None, typer.Option(help="With --rollback: why; kept in the history.")] = None,
    history: Annotated[bool, typer.Option("--history", help="Show the champions so far instead.")] = False,
    as_json: Json = False,
) -> None:
    """After a quarter's close: train a challenger, judge it against the champion and the rules, promote or keep.

    \b
    Example: csql retrain -c configs/demo.yaml
    """
    from csql_ml import config as configuration
    from csql_ml import printing_retrain

    if reason is not None and not rollback:
        raise UsageError("--reason says why something is rolled back; give it with --rollback")
    if rollback + history + (as_of is not None) > 1:
        raise UsageError("--rollback, --history and --as-of exclude each other")
    if strict and (rollback or history):
        raise UsageError("--strict says how to train; --rollback and --history train nothing: leave it out")
    settings = configuration.load(config)
    if history:
        from csql_ml.model import promotions

        print_result(printing_retrain.history(promotions.read(settings.models_path)), as_json)
        return
    from csql_ml.retraining import retrain as retraining

    if rollback:
        print_result(printing_retrain.rolled_back(retraining.rollback(settings, reason)), as_json)
        return
    with progress_bar(as_json) as progress:
        result = retraining.retrain(settings, as_of, progress, strict=strict)
    print_result(printing_retrain.retrained(result, settings), as_json)
