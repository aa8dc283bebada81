"""What ``csql prune`` prints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.markup import escape

from csql_ml.printing import Printed
from csql_ml.retention import KeptRun, Pruned


def pruned(result: Pruned) -> Printed:
    """Result of ``csql prune``."""
    verb = "would be removed" if result.dry_run else "removed"
    text: list[Any] = [f"{len(result.kept):,} runs kept, {len(result.removed):,} {verb}"]
    text += [f"- {escape(str(run.folder))} (as of {run.as_of.isoformat()})" for run in result.removed]
    if result.foreign:
        text.append(f"left alone, because they are no runs: {escape(', '.join(p.name for p in result.foreign))}")
    data = {
        "dry_run": result.dry_run,
        "kept": _plain(result.kept),
        "removed": _plain(result.removed),
        "foreign": [str(place) for place in result.foreign],
    }
    return Printed(text, data)


def _plain(runs: Sequence[KeptRun]) -> list[dict[str, str]]:
    return [{"run": str(run.folder), "as_of": run.as_of.isoformat()} for run in runs]
