"""Where benchmarks write their tables: between two markers of a document."""

from __future__ import annotations

import re
from pathlib import Path


def write(page: Path, marks: tuple[str, str], text: str) -> None:
    """Replace what stands between the markers of the page."""
    start, end = marks
    found = re.compile(re.escape(start) + ".*?" + re.escape(end), re.DOTALL)
    before = page.read_text(encoding="utf-8")
    if not found.search(before):
        raise SystemExit(f"{page} has no markers {start} ... {end}")
    page.write_text(found.sub(lambda _: f"{start}\n{text}\n{end}", before), encoding="utf-8")
