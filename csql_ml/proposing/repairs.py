"""What has to be done to values before the contract can read them: dates with the day first, decimal commas, epochs.

A repair is SQL around a column. It is only proposed where nearly all sampled values have the one form.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from csql_ml.contract.tables import Column
from csql_ml.proposing.names import phrase
from csql_ml.proposing.sources import SourceColumn
from csql_ml.proposing.value_synonyms import value_phrases
from csql_ml.source_files import literal

#: Share of the distinct sampled values that must have the form.
ENOUGH = 0.95
#: Values that a CASE lists, and the share of rows it must know to be worth proposing.
_MOST_LISTED, _KNOWN = 40, 0.5
_DAY_MONTH = re.compile(r"^([0-9]{1,2})([./-])([0-9]{1,2})\2([0-9]{4})( [0-9]{1,2}:[0-9]{2}(:[0-9]{2})?)?$")
_COMMA = re.compile(r"^[+-]?([0-9]{1,3}([. ’'][0-9]{3})+|[0-9]+)(,[0-9]+)?$")
_THOUSANDS = re.compile(r"^[+-]?[0-9]{1,3}(,[0-9]{3})*([.][0-9]+)?$")
_SECONDS, _MILLISECONDS = re.compile(r"^1[0-9]{9}([.][0-9]+)?$"), re.compile(r"^1[0-9]{12}$")


@dataclass(frozen=True)
class Repair:
    """SQL with ``{x}`` for the column, and why it is needed: a part of a sentence.

    Attributes
    ----------
    other
        A second column of the same source that the SQL reads as ``{y}``.
    """

    sql: str
    why: str
    other: str = ""

    def of(self, column: str, other: str = "") -> str:
        """The SQL for a column, both names as SQL wants them."""
        parts = re.split(r"(\{[xy]\})", self.sql)
        return "".join({"{x}": column, "{y}": other}.get(part, part) for part in parts)


def repair_of(column: SourceColumn, wanted: Column, table: str, postgres: bool) -> Repair | None:
    """What makes the contract read a column; None where nothing is needed, or nothing is known to help."""
    if not column.tried:
        return None
    if wanted.values:
        return _listed(column, table, wanted.name)
    if column.readable.get(wanted.dtype, 0.0) >= ENOUGH:
        return None
    if wanted.dtype in ("date", "timestamp"):
        return _time(column, wanted, postgres)
    if wanted.dtype in ("integer", "number"):
        return _number(column, postgres)
    return outcome(column) if wanted.name == "won" else None


def _kept(sql: str, postgres: bool) -> str:
    """What cannot be turned stays as it is, so that `csql check` sets it aside instead of taking it for empty."""
    return sql if postgres else f"coalesce(CAST({sql} AS VARCHAR), CAST({{x}} AS VARCHAR))"


def _all(column: SourceColumn, fits: Callable[[str], object]) -> bool:
    return sum(bool(fits(value)) for value in column.tried) >= ENOUGH * len(column.tried)


def _time(column: SourceColumn, wanted: Column, postgres: bool) -> Repair | None:
    cast = "CAST" if postgres else "TRY_CAST"
    day = "CAST({0} AS DATE)" if wanted.dtype == "date" else "{0}"
    if wanted.dtype == "date" and column.readable.get("timestamp", 0.0) >= ENOUGH:
        return Repair(_kept(day.format(f"{cast}({{x}} AS TIMESTAMP)"), postgres), "a time of day is cut off")
    number = f"{cast}({{x}} AS DOUBLE PRECISION)"
    for form, divided, unit in ((_SECONDS, "", "seconds"), (_MILLISECONDS, " / 1000", "milliseconds")):
        if _all(column, form.match):
            instant = day.format(f"to_timestamp({number}{divided})")
            return Repair(_kept(instant, postgres), f"the values look like {unit} since 1970")
    return _day_and_month(column, day, postgres) if _all(column, _DAY_MONTH.match) else None


def _day_and_month(column: SourceColumn, day: str, postgres: bool) -> Repair | None:
    found = [match for match in map(_DAY_MONTH.match, column.tried) if match]
    signs, clock = {match[2] for match in found}, {match[5] and (2 if match[6] else 1) for match in found}
    if len(signs) > 1 or len(clock) > 1:
        return None
    day_first = signs == {"."} or any(int(match[1]) > 12 for match in found)
    month_first = signs != {"."} and any(int(match[3]) > 12 for match in found)
    if day_first == month_first:
        return None  # 03/04/2026 in every row, or both ways: nobody can tell
    sign, seconds = signs.pop(), clock.pop()
    if postgres:
        form = sign.join(("DD", "MM") if day_first else ("MM", "DD")) + f"{sign}YYYY"
        form += ("", " HH24:MI", " HH24:MI:SS")[seconds or 0]
        parsed = f"to_timestamp({{x}}, {literal(form)})"
    else:
        form = sign.join(("%d", "%m") if day_first else ("%m", "%d")) + f"{sign}%Y"
        parsed = f"try_strptime({{x}}, {literal(form + ('', ' %H:%M', ' %H:%M:%S')[seconds or 0])})"
    first = "day" if day_first else "month"
    return Repair(_kept(day.format(parsed), postgres), f"the {first} stands first in its dates")


def written_either_way(column: SourceColumn) -> bool:
    """Whether the dates are such as 03/04/2026 in every row."""
    return bool(column.tried) and _all(column, _DAY_MONTH.match)


def _number(column: SourceColumn, postgres: bool) -> Repair | None:
    cast = "CAST" if postgres else "TRY_CAST"
    if _all(column, _COMMA.match) and any("," in value or value.count(".") > 1 for value in column.tried):
        bare = "replace(replace(replace({x}, '.', ''), ' ', ''), ',', '.')"
        return Repair(_kept(f"{cast}({bare} AS DECIMAL(18, 2))", postgres), "the comma is its decimal sign")
    if _all(column, _THOUSANDS.match):
        bare = "replace({x}, ',', '')"
        return Repair(_kept(f"{cast}({bare} AS DECIMAL(18, 2))", postgres), "the comma stands between its thousands")
    return None


# ---------------------------------------------------------------- listed values


def _listed(column: SourceColumn, table: str, name: str) -> Repair | None:
    """A CASE that turns the company's values into those the contract allows."""
    known = value_phrases(table, name)
    meant = {value: known.get(phrase(value)) for value in column.counts}
    if all(value.lower() == meaning for value, meaning in meant.items()):
        return None
    rows = sum(column.counts[value] for value, meaning in meant.items() if meaning)
    if len(meant) > _MOST_LISTED or rows < _KNOWN * column.counts.total():
        return None
    lines = [
        f"WHEN {literal(value.lower())} THEN {literal(meaning)}"
        for value, meaning in dict(sorted((v.lower(), m) for v, m in meant.items() if m)).items()
        if value != meaning
    ]
    strangers = sorted(value for value, meaning in meant.items() if not meaning)
    why = "its values are given the contract's names"
    if strangers:
        why += f" ({', '.join(strangers[:5])} {'has' if len(strangers) == 1 else 'have'} none: add a WHEN)"
    case = " ".join(lines)
    return Repair(f"CASE lower({{x}}) {case} ELSE lower({{x}}) END", why)


def says(column: SourceColumn, word: str) -> tuple[str, ...]:
    """The values of a column with few of them that hold a word, in lower case and sorted."""
    if len(column.counts) > _MOST_LISTED:
        return ()
    return tuple(sorted({value.lower() for value in column.counts if word in phrase(value).split()}))


def outcome(column: SourceColumn) -> Repair | None:
    """Whether it was won, from a stage such as Closed Won."""
    won, lost = says(column, "won"), says(column, "lost")
    if not won:
        return None
    listed = f"WHEN lower({{x}}) IN ({', '.join(map(literal, won))}) THEN 'true'"
    if lost:
        listed += f" WHEN lower({{x}}) IN ({', '.join(map(literal, lost))}) THEN 'false'"
    return Repair(f"CASE {listed} END", "its stages say what was won and lost")


def closed_only(closed: SourceColumn, told: SourceColumn, flag: bool) -> Repair | None:
    """A closing day for what is closed only: CRMs fill it with the expected day before.

    Parameters
    ----------
    told
        The column that says what is closed: yes or no (``flag``), or a stage.
    """
    values = ("true", "t", "yes", "1") if flag else (*says(told, "won"), *says(told, "lost"))
    rows = zip(closed.values, told.values, strict=True)
    if not values or not any(day and (state or "").lower() not in values for day, state in rows):
        return None
    listed = ", ".join(map(literal, values))
    sql = f"CASE WHEN lower(CAST({{y}} AS VARCHAR)) IN ({listed}) THEN {{x}} END"
    return Repair(sql, "open ones have an expected day there, which is left out", told.name)
