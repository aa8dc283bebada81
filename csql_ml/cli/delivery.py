"""Commands of RevOps: leads to the CRM, outcomes back."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from csql_ml.cli.options import ConfigFile, Json, Language, chosen_language
from csql_ml.cli.output import print_result, progress_bar
from csql_ml.errors import UsageError


def push(
    config: ConfigFile,
    run: Annotated[Path | None, typer.Option("--run", help="Folder written by csql score.")] = None,
    to: Annotated[str | None, typer.Option("--to", help="Where to: files, or the name of a CRM.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would change; writes nothing.")] = False,
    html: Annotated[Path | None, typer.Option(help="Write the dry run as a page, too.")] = None,
    lang: Language = None,
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
    language = chosen_language(lang, settings.company.language)
    if history:
        print_result(printing_push.history(handing.history(settings, to, push_id)), as_json)
        return
    if to is None or (run is None and replay is None):
        raise UsageError("--to and --run are missing (with --replay, --to alone)")
    if dry_run and replay is not None:
        raise UsageError("--dry-run and --replay exclude each other")
    with progress_bar(as_json) as progress:
        if replay is not None:
            result = handing.replay(settings, to, replay, accept=accept or (), on_progress=progress)
        elif dry_run:
            result = handing.dry_run(settings, _given(run), to)
        else:
            result = handing.push(settings, _given(run), to, accept=accept or (), on_progress=progress)
    if html is not None:
        handing.write_page(settings, _given(run), result, html, language)
    print_result(printing_push.pushed(result), as_json)
    if result.exit_code:
        raise typer.Exit(result.exit_code)


def pull(
    config: ConfigFile,
    origin: Annotated[str, typer.Option("--from", help="Where from, as in csql push --to.", show_default=False)],
    full: Annotated[bool, typer.Option("--full", help="Read everything anew, not only what changed.")] = False,
    as_json: Json = False,
) -> None:
    """Fetch what sales made of the leads: accepted, rejected, opportunity, won, lost; training learns from it.

    \b
    Example: csql pull -c configs/demo.yaml --from tryton
    """
    from csql_ml import config as configuration
    from csql_ml import printing_push
    from csql_ml.handoff.pull import pull as fetch

    settings = configuration.load(config)
    with progress_bar(as_json) as progress:
        result = fetch(settings, origin, full=full, on_progress=progress)
    print_result(printing_push.pulled(result), as_json)


def _given(run: Path | None) -> Path:
    if run is None:
        raise UsageError("--run is missing: the folder written by csql score")
    return run
