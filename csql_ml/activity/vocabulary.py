"""Who and what the events are about: every person and every kind of event once, checked and in order.

Texts are checked, trimmed and compared once per person and kind, not once per event.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import ibis
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from csql_ml.activity.counting import Kinds, People
from csql_ml.activity.event_rows import KIND, PERSON, EventRows
from csql_ml.activity.places import Places
from csql_ml.activity.rollup import counted, masked, signals_of
from csql_ml.contract.checking import row_rules, typed_rows
from csql_ml.contract.rules import first_problem
from csql_ml.contract.tables import EVENTS

if TYPE_CHECKING:
    from csql_ml.config import Config

#: Columns that are judged here, once per value.
_PEOPLE, _KINDS = ("account_id", "user_id"), ("event_name", "feature")
COLUMNS = (*_PEOPLE, *_KINDS)


@dataclass(frozen=True)
class Vocabulary:
    """The people and kinds of some events, and where to find them by the numbers that events name them by."""

    people: People
    places: Places
    kinds: Kinds
    kind_places: Places


def read_vocabulary(rows: EventRows, config: Config, salt: int = 0) -> Vocabulary:
    """The people and kinds of the rows of the view that is open.

    Raises
    ------
    SameHashError
        The numbers that the salt gives do not tell them apart.
    """
    return Vocabulary(*_people(rows, salt), *_kinds(rows, config, salt))


def _judged(rows: EventRows, columns: tuple[str, str], number: str, salt: int) -> Any:
    """Every combination of two columns once, typed, with whether it is bad."""
    different = rows.combinations("csql_vocabulary", *columns, number, salt)
    typed = typed_rows(EVENTS, different, beside=(number,))
    problem = first_problem(row_rules(EVENTS, [name for name in columns if name in different.columns], typed))
    return typed.select(*columns, number, bad=problem.notnull())


def _people(rows: EventRows, salt: int) -> tuple[People, Places]:
    judged = _judged(rows, _PEOPLE, PERSON, salt)
    table = judged.order_by([ibis.asc(judged[name], nulls_first=False) for name in _PEOPLE]).to_pyarrow()
    accounts, users = (table[name].combine_chunks() for name in _PEOPLE)
    new = ~(_equals_last(accounts) & _equals_last(users))
    bad = table["bad"].to_numpy()
    places = Places(table[PERSON].to_numpy(), np.where(bad, -1, np.cumsum(new) - 1))
    first = pa.array(np.flatnonzero(new))
    return People(accounts.take(first), users.take(first)), places


def _equals_last(texts: pa.Array) -> npt.NDArray[np.bool_]:
    """Whether each text equals the one before it; missing equals missing."""
    last, this = texts[:-1], texts[1:]
    same = pc.fill_null(pc.equal(this, last), False).to_numpy(zero_copy_only=False)
    missing = texts.is_null().to_numpy(zero_copy_only=False)
    return np.concatenate((np.zeros(min(len(texts), 1), np.bool_), same | (missing[1:] & missing[:-1])))


def _kinds(rows: EventRows, config: Config, salt: int) -> tuple[Kinds, Places]:
    """Kinds that count for the same are one."""
    judged = _judged(rows, _KINDS, KIND, salt)
    signals = judged.select(KIND, "bad", **signals_of(judged, config))
    flags = {f"flag_{name}": flag.cast("int64") for name, flag in counted(signals, config).items()}
    table = signals.select(KIND, "bad", **flags, **masked(signals)).to_pyarrow()
    names = [name for name in table.column_names if name not in (KIND, "bad")]
    values = np.stack([table[name].to_numpy() for name in names], axis=1)
    different, place = np.unique(values, axis=0, return_inverse=True)
    places = Places(table[KIND].to_numpy(), np.where(table["bad"].to_numpy(), -1, place.ravel()))
    by_name = dict(zip(names, different.T.copy(), strict=True))
    counts = {n.removeprefix("flag_"): v.astype(np.bool_) for n, v in by_name.items() if n.startswith("flag_")}
    return Kinds(counts, {n: v for n, v in by_name.items() if not n.startswith("flag_")}), places
