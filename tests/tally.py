"""What the tests did to the toolkit and what became of it, as they count it themselves; for docs/reliability.md.

A test that takes the fixture ``tally`` says what it does before it does it, and that it went well afterwards; the
difference is what was lost. The counts go to ``build/tally/``, one file per test. ``python -m tests.tally`` writes them
into the document; ``--check`` only looks whether the document names tests that exist.
"""

from __future__ import annotations

import ast
import hashlib
import json
import re
import sys
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

ROOT = Path(__file__).resolve().parents[1]
DOCUMENT, FOLDER = ROOT / "docs/reliability.md", ROOT / "build/tally"
BEGIN, END = "<!-- tally: begin -->", "<!-- tally: end -->"
Kind = Literal["fault", "input", "injection"]
#: Headline and columns of each table.
TABLES: dict[Kind, tuple[str, str, str, str]] = {
    "fault": ("Faults", "injected", "survived", "lost"),
    "input": ("Bad data", "inputs fuzzed", "set aside, refused or harmless", "wrong numbers"),
    "injection": ("Hostile content", "injections tried", "refused or shown as text", "executed"),
}


@dataclass
class Tally:
    """The counts of one test.

    Attributes
    ----------
    what
        What is done, in the words of the document.
    tried, well
        How often, and how often it went well.
    """

    test: str
    kind: Kind = "fault"
    what: str = ""
    tried: int = 0
    well: int = 0

    def of(self, kind: Kind, what: str) -> Tally:
        """Say what this test does."""
        self.kind, self.what = kind, what
        return self

    def begin(self, count: int = 1) -> None:
        """Something is about to be done."""
        self.tried += count

    def survived(self, count: int = 1) -> None:
        """It went as it should."""
        self.well += count

    def save(self) -> None:
        if self.tried:
            FOLDER.mkdir(parents=True, exist_ok=True)
            readable = re.sub(r"[^A-Za-z0-9]+", "-", self.test)[-120:]
            name = f"{readable}-{hashlib.sha256(self.test.encode()).hexdigest()[:8]}"
            (FOLDER / f"{name}.json").write_text(json.dumps(asdict(self)), encoding="utf-8")


def read(folder: Path) -> list[Tally]:
    """All counts, those of a test's cases added up."""
    sums: dict[tuple[str, str, str], Tally] = {}
    for path in sorted(folder.glob("*.json")):
        one = Tally(**json.loads(path.read_text(encoding="utf-8")))
        test = one.test.partition("[")[0]
        total = sums.setdefault((one.kind, one.what, test), Tally(test, one.kind, one.what))
        total.tried += one.tried
        total.well += one.well
    return [sums[key] for key in sorted(sums)]


def table(tallies: Iterable[Tally]) -> str:
    """Markdown: one table per kind."""
    by_kind: dict[Kind, list[Tally]] = defaultdict(list)
    for tally in tallies:
        by_kind[tally.kind].append(tally)
    parts = []
    for kind, (headline, *columns) in TABLES.items():
        if by_kind[kind]:
            rows = [_row(t.what, t.tried, t.well, _link(t.test)) for t in by_kind[kind]]
            tried, well = (sum(getattr(t, name) for t in by_kind[kind]) for name in ("tried", "well"))
            head = f"| {headline} | {' | '.join(columns)} | test |\n|---|--:|--:|--:|---|"
            parts.append("\n".join([head, *rows, _row("**together**", tried, well, "")]))
    return "\n\n".join(parts)


def _row(what: str, tried: int, well: int, test: str) -> str:
    return f"| {what} | {tried:,} | {well:,} | {tried - well:,} | {test} |"


def _link(test: str) -> str:
    path, _, name = test.partition("::")
    return f"[`{name}`](../{path})"


def missing_tests(text: str) -> list[str]:
    """What the tables of a document name as a test and is none."""
    inside = text.partition(BEGIN)[2].partition(END)[0]
    found = re.findall(r"\[`([^`]+)`\]\(\.\./([^)]+)\)", inside)
    return [f"{path}::{name}" for name, path in found if not _is_test(ROOT / path, name)]


def _is_test(path: Path, name: str) -> bool:
    if not path.is_file():
        return False
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    return name in {node.name for node in nodes if isinstance(node, ast.FunctionDef)}


def write(document: Path, folder: Path) -> str:
    """Put the counts between the document's marks; returns them."""
    text, made = document.read_text(encoding="utf-8"), table(read(folder))
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise SystemExit(f"{document} has no {BEGIN} ... {END}")
    document.write_text(f"{before}{BEGIN}\n{made}\n{END}{after}", encoding="utf-8")
    return made


if __name__ == "__main__":
    if sys.argv[1:] == ["--check"]:
        sys.exit("\n".join(missing_tests(DOCUMENT.read_text(encoding="utf-8"))) or 0)
    print(write(DOCUMENT, FOLDER))  # noqa: T201 - run as a module
