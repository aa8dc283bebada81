"""What ``csql digest`` prints: one line per CSM for people, the whole digest for machines."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Table

from csql_ml.printing import Printed

_HEADS = {
    "overdue": "overdue",
    "due_today": "due today",
    "offers": "to hand over",
    "waiting": "waiting",
    "newly_qualified": "qualified",
    "released_from_risk": "released",
    "newly_held": "held",
    "cooled_down": "cooled down",
    "taken_up": "taken up",
    "dropped_out": "dropped out",
}


def digested(data: Mapping[str, Any], out: Path, files: int) -> Printed:
    """Result of ``csql digest``."""
    since = data["since"]
    compared = "no earlier run" if since is None else f"compared with {since['as_of']}"
    title = f"Stand-up {data['today']}, run as of {data['as_of']}, {compared}"
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("CSM")
    for head in ("open", "room", *_HEADS.values()):
        table.add_column(head, justify="right")
    for part in (*data["csms"], data["team"]):
        name = "team" if part is data["team"] else part["csm"] or "no CSM"
        free = "" if part["free"] is None else f"{part['free']:,}"
        table.add_row(escape(name), f"{part['open']:,}", free, *(f"{part['counts'][k]:,}" for k in _HEADS))
    text: list[Any] = [table, "", f"{files:,} files written to {escape(str(out))}; begin with index.html"]
    return Printed(text, {**data, "out": str(out), "files": files})
