"""A proposal as the text of a configuration file: YAML with its reasons as comments. The same input, the same bytes."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from csql_ml.contract.tables import TABLES
from csql_ml.proposing.signals import Names, Signals
from csql_ml.proposing.sources import Landscape
from csql_ml.proposing.tables import TableProposal

_WIDTH = 110


@dataclass(frozen=True)
class Places:
    """What the file says of its surroundings, each relative to itself."""

    config: str
    data: str
    models: str
    activity: str


def config_text(
    places: Places, landscape: Landscape, tables: Sequence[TableProposal], signals: Signals, notes: Sequence[str]
) -> str:
    """The whole file."""
    lines = [
        *_comment(
            "Proposed by csql init from names and a sample of rows; nothing here was confirmed by a person. Read the "
            f"remarks, correct what is wrong, then run: csql check -c {places.config}"
        ),
        *_comment("configs/default.yaml explains every key; what is left out has its default."),
        *(line for note in notes for line in _comment(note)),
        "",
        *_company(),
        "",
        *_data(places, landscape, tables),
        "",
        *_signals(signals),
        "",
        *_comment("Apart from other companies' champions: a champion scores whoever its folder belongs to."),
        f"models_folder: {scalar(places.models)}",
        f"activity_folder: {scalar(places.activity)} # the daily rollup of events; may be deleted at any time",
    ]
    return "\n".join(lines) + "\n"


def scalar(value: str) -> str:
    """A text as YAML on one line, in quotes where it must be."""
    dumped: str = yaml.safe_dump(value, allow_unicode=True, width=10**9)
    dumped = dumped.removesuffix("\n").removesuffix("...").removesuffix("\n")
    if "\n" not in dumped and value.isprintable():
        return dumped
    return _quoted(value, spelled_out=True)


def _quoted(value: str, *, spelled_out: bool) -> str:
    """A text as YAML in double quotes; what is not ASCII may be spelled out."""
    quoted: str = yaml.safe_dump(value, default_style='"', allow_unicode=not spelled_out, width=10**9)
    return quoted.removesuffix("\n")


def _comment(text: str, indent: int = 0) -> list[str]:
    """Comment lines; what would end a line or turn its direction is spelled out."""
    plain = "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in text)
    width = max(40, _WIDTH - indent)
    wrapped = textwrap.wrap(plain, width, break_long_words=False, break_on_hyphens=False)
    return [f"{' ' * indent}# {line}" for line in wrapped]


def _commented(lines: Iterable[str], indent: int) -> list[str]:
    """Lines of YAML switched off."""
    return [f"{' ' * indent}# {line[indent:] if line[:indent].isspace() else line}" for line in lines]


def _company() -> list[str]:
    return [
        "company: # set all three",
        "  name: Your company # shown in reports and lead records",
        "  time_zone: UTC # IANA name such as Europe/Berlin; at which instant a day begins",
        "  currency: USD # ISO 4217 code of every amount",
    ]


# ---------------------------------------------------------------- data


def _data(places: Places, landscape: Landscape, tables: Sequence[TableProposal]) -> list[str]:
    lines = ["data:"]
    if landscape.postgres:
        lines += [
            *_comment("The address with its password stands in the environment, never here.", 2),
            f"  database: {landscape.database}",
        ]
    elif landscape.database is not None:
        lines += [f"  folder: {scalar(places.data)}", f"  database: {scalar(landscape.database)}"]
    else:
        lines.append(f"  folder: {scalar(places.data)}")
        raw = {s.name: s.location for t in tables for q in _queries(t) for s in q.reads}
        if raw:
            lines.append("  raw: # names of files for the queries below")
            lines += [f"    {name}: {scalar(location)}" for name, location in sorted(raw.items())]
    lines.append(
        "  tables:" if any(table.active for table in tables) else "  tables: {} # none of those below is complete"
    )
    for table in tables:
        if table.state != "absent":
            lines += [*_table(table, landscape), ""]
    absent = [t.name for t in tables if t.state == "absent"]
    if absent:
        lines += _comment(f"No source was found that fits well enough for: {', '.join(absent)}.", 4)
    if "csqls" in absent:
        lines += _comment("Without csqls (leads and what became of them) nothing is learned; the rules stay.", 4)
    required = [name for name in absent if not TABLES[name].optional]
    if required:
        lines += _comment(
            f"Without {' and '.join(required)} nothing can run: export what is missing and map it here.", 4
        )
    return lines if lines[-1] else lines[:-1]


def _queries(table: TableProposal) -> list[Any]:
    suggested = [table.suggestion[1]] if table.suggestion else []
    return [*([table.query] if table.query else []), *suggested]


def _table(table: TableProposal, landscape: Landscape) -> list[str]:
    lines = [line for remark in table.remarks for line in _comment(remark, 4)]
    mapping = _mapping(table, landscape)
    if table.active:
        lines += mapping
    else:
        lines += [*_comment(f"Complete it and take the # away to use it; it lacks {', '.join(table.missing)}.", 4)]
        lines += _commented(mapping, 4)
    if table.suggestion is not None:
        why, query = table.suggestion
        lines += [*_comment(f"{why}:", 4), *_commented([f"    {table.name}:", *_query_lines(query.sql)], 4)]
    return lines


def _mapping(table: TableProposal, landscape: Landscape) -> list[str]:
    assert table.fit is not None
    if table.query is not None:
        return [f"    {table.name}:", *_query_lines(table.query.sql)]
    kind = "file" if landscape.database is None else "table"
    renamed = {c: m.theirs for c, m in table.fit.matches.items() if m.theirs.lower() != c}
    own = [column for column in table.fit.matches if column not in renamed]
    lines = [f"    {table.name}:", f"      {kind}: {scalar(table.fit.source.location)}"]
    if own:
        lines += _comment(f"Under their own names: {', '.join(own)}.", 6)
    if renamed:
        lines.append("      columns:")
        lines += [f"        {ours}: {scalar(theirs)}" for ours, theirs in renamed.items()]
    return lines


def _query_lines(sql: str) -> list[str]:
    if all(line.isprintable() for line in sql.split("\n")):
        return ["      query: |", *(f"        {line}" for line in sql.split("\n"))]
    return [f"      query: {scalar(sql)}"]


# ---------------------------------------------------------------- signals


def _signals(signals: Signals) -> list[str]:
    lines = [
        *_comment("Which of your names carry which signal: guesses by keywords and counts. Confirm each."),
        "signals:",
    ]
    for key, names in signals.signals.items():
        lines += _names(key, names)
    return [
        *lines,
        "",
        "catalogue: # what there is to buy next; modules are to be added by hand",
        *_names("plans", signals.plans),
    ]


def _names(key: str, names: Names) -> list[str]:
    return [*_comment(names.remark, 2), f"  {key}: [{', '.join(_item(name) for name in names.names)}]"]


def _item(name: str) -> str:
    """A name inside brackets, where more signs than usual mean something."""
    plain = scalar(name)
    return _quoted(name, spelled_out=False) if any(sign in name for sign in ",[]{}#") and plain == name else plain
