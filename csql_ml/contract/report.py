"""What validation found, as plain frozen objects."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

import ibis.expr.types as ir

from csql_ml.errors import ContractError


@dataclass(frozen=True)
class Problem:
    """One kind of problem of one table.

    Attributes
    ----------
    column
        The column, or several with commas between them; empty for a problem of the whole table.
    kind
        Short name: ``missing``, ``wrong_type``, ``not_finite``, ``not_allowed``, ``out_of_bounds``,
        ``impossible_date``, ``unknown_account``, ``duplicate``, ``conflicting_duplicate``, the name of a declared
        check, ``before_first_contract``, ``not_mapped``, ``absent_column``, ``empty``, ``all_bad``.
    rows
        How many rows have it. A quarantined row is counted once, with its first problem.
    action
        ``quarantine``: the rows are set aside; ``warn``: they are kept; ``stop``: the job cannot go on.
    examples
        Keys of up to five of the rows.
    """

    table: str
    column: str
    kind: str
    rows: int
    action: Literal["quarantine", "warn", "stop"]
    message: str
    examples: tuple[str, ...] = ()

    def __str__(self) -> str:
        where = f"{self.table}.{self.column}" if self.column and "," not in self.column else self.table
        return f"{where}: {self.message}" + (f" ({self.rows} rows)" if self.rows else "")


@dataclass(frozen=True)
class TableReport:
    """Row counts and problems of one mapped table; ``read = kept + quarantined``."""

    name: str
    read: int
    kept: int
    quarantined: int
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True)
class Inputs:
    """The validated input tables.

    Attributes
    ----------
    con
        The Ibis backend the tables live in.
    tables
        Kept rows by contract table, with every declared column in its declared type (absent optional columns as
        nulls) and ``known_at`` (naive UTC timestamp). Tables that are not mapped or broken are not in it.
    absent
        Optional tables that are not mapped.
    present_columns
        By table, the columns that the source really has; empty for absent tables.
    """

    con: Any
    tables: dict[str, ir.Table]
    reports: tuple[TableReport, ...]
    absent: tuple[str, ...]
    present_columns: dict[str, frozenset[str]]

    def stop_if_broken(self) -> None:
        """Raise ContractError, in one line, if any table's problem is of the kind that stops."""
        broken = [p for report in self.reports for p in report.problems if p.action == "stop"]
        if broken:
            more = f" (and {len(broken) - 1} more; csql check shows all)" if broken[1:] else ""
            raise ContractError(f"{broken[0]}{more}")


def summary_rows(inputs: Inputs) -> list[dict[str, Any]]:
    """One plain dict per contract table, for the terminal and for ``--json``.

    Keys: ``table, mapped, read, kept, quarantined, problems``; a problem has the keys of `Problem` but ``table``.
    """
    rows: list[dict[str, Any]] = [
        {
            "table": report.name,
            "mapped": not any(p.kind == "not_mapped" for p in report.problems),
            "read": report.read,
            "kept": report.kept,
            "quarantined": report.quarantined,
            "problems": [_plain(problem) for problem in report.problems],
        }
        for report in inputs.reports
    ]
    nothing = {"mapped": False, "read": 0, "kept": 0, "quarantined": 0}
    return rows + [{"table": name, **nothing, "problems": []} for name in inputs.absent]


def _plain(problem: Problem) -> dict[str, Any]:
    plain = asdict(problem)
    del plain["table"]
    return {**plain, "examples": list(problem.examples)}
