"""What is proposed for each contract table: the mapping, what stands in for what is missing, and remarks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from csql_ml.contract.tables import TABLES
from csql_ml.proposing.choice import Choice
from csql_ml.proposing.columns import CERTAIN, Fit, Match
from csql_ml.proposing.names import phrase
from csql_ml.proposing.queries import Query, query_of
from csql_ml.proposing.sources import Landscape
from csql_ml.proposing.stand_ins import STAND_INS

State = Literal["mapped", "incomplete", "absent"]
_PER_YEAR = {"mrr": 12, "monthly": 12, "monat": 12, "month": 12, "quarterly": 4, "mensuel": 12, "mensual": 12}
_ADVICE = {
    ("contracts", "arr"): "a contract needs its revenue per year",
    ("contracts", "seats"): "a contract needs its licensed seats; join the table that has them",
    ("accounts", "created_at"): "the day on which the account became a customer; its first contract's start may serve",
    ("tickets", "severity"): "tickets without a severity would count as harmless, which nobody knows",
}


@dataclass(frozen=True)
class TableProposal:
    """One contract table of a proposal.

    Attributes
    ----------
    state
        ``mapped``; ``incomplete``: a source is there, but required columns are not; ``absent``: no source fits.
    columns
        Contract column -> what it is taken from, for people.
    query
        The query that is needed; None where the source can be mapped as it is.
    suggestion
        A query for a person to complete or to switch on, and why.
    missing
        Required columns that were not found.
    remarks
        Whole sentences.
    """

    name: str
    state: State
    fit: Fit | None = None
    columns: Mapping[str, str] | None = None
    query: Query | None = None
    suggestion: tuple[str, Query] | None = None
    missing: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()

    @property
    def active(self) -> bool:
        """Whether the configuration maps it: what is complete, and required tables in any case."""
        return self.state == "mapped" or (self.state == "incomplete" and not TABLES[self.name].optional)


def propose_table(name: str, choice: Choice, landscape: Landscape) -> TableProposal:
    """The proposal for one contract table."""
    fitted = choice.fits.get(name)
    if fitted is None:
        return TableProposal(name, "absent")
    stand_ins = _stand_ins(fitted)
    missing = tuple(c for c in fitted.missing if c not in stand_ins)
    needs_query = (
        bool(stand_ins)
        or fitted.join is not None
        or any(m.repair or fitted.source.column(m.theirs).inside for m in fitted.matches.values())
        or bool(_left_out(fitted))
    )
    remarks = [
        *(STAND_INS[name][column].remark for column in stand_ins),
        *_about_join(fitted),
        *_about_matches(fitted),
        *_about_missing(fitted, missing),
        *_about_doubtful(fitted, stand_ins, missing),
        *_about_others(fitted, choice),
    ]
    return TableProposal(
        name,
        "incomplete" if missing else "mapped",
        fitted,
        _columns(fitted, stand_ins),
        query_of(fitted, stand_ins, landscape) if needs_query else None,
        _suggestion(fitted, stand_ins, landscape) if missing else None,
        missing,
        tuple(remarks),
    )


def _left_out(fitted: Fit) -> list[str]:
    """Columns with a name of the contract that are not to be used; without a query the reader would take them."""
    own = {match.theirs for column, match in fitted.matches.items() if match.theirs.lower() == column}
    names = TABLES[fitted.table].column_names
    return [c.name for c in fitted.source.columns if c.name.lower() in names and c.name not in own]


def _stand_ins(fitted: Fit) -> dict[str, str]:
    """SQL for required columns that may be made up, since that says nothing untrue."""
    lacking = {c: one.sql for c, one in STAND_INS.get(fitted.table, {}).items() if c in fitted.missing}
    if "feature" not in fitted.matches:
        lacking.pop("event_name", None)
    return lacking


def _columns(fitted: Fit, stand_ins: Mapping[str, str]) -> dict[str, str]:
    found = {}
    for column in TABLES[fitted.table].column_names:
        match = fitted.matches.get(column)
        if match is not None:
            found[column] = match.theirs
        elif column == "account_id" and fitted.join is not None:
            found[column] = f"{fitted.join.other.location}: {fitted.join.account}"
        elif column in stand_ins:
            found[column] = stand_ins[column]
    return found


# ---------------------------------------------------------------- remarks


def _about_join(fitted: Fit) -> list[str]:
    join = fitted.join
    if join is None:
        return []
    return [
        (
            f"Its rows name no account. {join.share:.0%} of the sampled values of {join.ours} are in {join.theirs} of "
            f"{join.other.location}, which has the account."
        )
    ]


def _about_matches(fitted: Fit) -> list[str]:
    remarks = [
        f"Look at {column}: it is taken from {match.theirs}; {match.why}."
        for column, match in fitted.matches.items()
        if match.why and (match.score < CERTAIN or match.repair is not None or column == "account_id")
    ]
    if fitted.table == "contracts" and "end_date" in fitted.matches:
        remarks.append(
            "end_date is the first day after the term. If yours is the last day of it, write a query that adds a day."
        )
        ends = fitted.source.column(fitted.matches["end_date"].theirs)
        if 0 < ends.counts.total() < len(ends.values):
            remarks.append(
                "Some contracts have no end. If an end is only filled in once somebody cancels, old snapshots would "
                "know it too early: make two versions of each ended contract, as configs/ravenstack.yaml does."
            )
    return remarks


def _about_missing(fitted: Fit, missing: tuple[str, ...]) -> list[str]:
    remarks = []
    for column in missing:
        allowed = TABLES[fitted.table].column(column).values
        advice = _ADVICE.get((fitted.table, column), "name its column under columns, or write a query that computes it")
        if allowed:
            advice = f"write a query with a CASE that gives {', '.join(allowed)}"
        remarks.append(f"{column} is required and was not found: {advice}.")
    return remarks


def _about_doubtful(fitted: Fit, stand_ins: Mapping[str, str], missing: tuple[str, ...]) -> list[str]:
    remarks = []
    for column, matches in fitted.doubtful.items():
        if column in fitted.matches and fitted.matches[column].score >= CERTAIN:
            continue
        names = ", ".join(match.theirs for match in matches[:4])
        if column in fitted.matches:
            remarks.append(f"{column} might also be {names}.")
        elif column in missing or column in stand_ins or matches[0].score >= 0.3:
            remarks.append(f"{column} might be {names}, but {_why_not(fitted, column, matches[0])}.")
    return remarks


def _why_not(fitted: Fit, column: str, match: Match) -> str:
    times = _per_year(match.theirs) if column == "arr" else None
    if times:
        return f"{match.theirs} looks like an amount per {'month' if times == 12 else 'quarter'}, and arr is per year"
    return match.why or "another column fits as well"


def _about_others(fitted: Fit, choice: Choice) -> list[str]:
    others = choice.others.get(fitted.table, ())
    return [f"{', '.join(others)} would fit nearly as well: make sure that the right one is used."] if others else []


def _per_year(name: str) -> int | None:
    found = set(phrase(name).split())
    return next((times for word, times in _PER_YEAR.items() if word in found), None)


def _sensible(fitted: Fit, match: Match) -> bool:
    """Whether the contract can read most of a column's values."""
    column = TABLES[fitted.table].column(match.column)
    return column.values is None and fitted.source.column(match.theirs).readable.get(column.dtype, 0.0) > 0.5


def _suggestion(fitted: Fit, stand_ins: Mapping[str, str], landscape: Landscape) -> tuple[str, Query] | None:
    """A query in which the likeliest columns stand for those that are missing."""
    more, reasons = dict(stand_ins), []
    for column in (c for c in fitted.missing if c not in stand_ins):
        matches = [match for match in fitted.doubtful.get(column, ()) if _sensible(fitted, match)]
        if not matches:
            return None
        theirs = "{" + matches[0].theirs + "}"
        times = _per_year(matches[0].theirs) if column == "arr" else None
        more[column] = f"{times} * CAST({theirs} AS DECIMAL(18, 2))" if times else theirs
        reasons.append(f"{column} from {matches[0].theirs}" + (f" times {times}" if times else ""))
    why = f"If {' and '.join(reasons)} is right, map the table by this query instead"
    return why, query_of(fitted, more, landscape)
