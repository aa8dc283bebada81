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
from csql_ml.activity.rollup import counted, masked, signals_of
from csql_ml.contract.checking import row_rules, typed_rows
from csql_ml.contract.rules import first_problem
from csql_ml.contract.tables import EVENTS

if TYPE_CHECKING:
    from csql_ml.config import Config

#: Columns that are judged here, once per value.
_PEOPLE, _KINDS = ("account_id", "user_id"), ("event_name", "feature")
COLUMNS = (*_PEOPLE, *_KINDS)


class SameHashError(Exception):
    """Two people or two kinds have the same hash; another salt tells them apart."""


@dataclass(frozen=True)
class Vocabulary:
    """The people and kinds of some events.

    Attributes
    ----------
    kind_hashes, kind_places
        Sorted hashes and the position in ``kinds`` of each; -1 for a kind that breaks a rule.
    """

    people: People
    kinds: Kinds
    kind_hashes: npt.NDArray[np.uint64]
    kind_places: npt.NDArray[np.int64]

    def kinds_of(self, hashes: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
        """The positions of events' kinds."""
        found: npt.NDArray[np.int64] = self.kind_places[np.searchsorted(self.kind_hashes, hashes)]
        return found


def read_vocabulary(rows: EventRows, config: Config, salt: int = 0) -> Vocabulary:
    """The people and kinds of the rows of the view that is open.

    Raises
    ------
    SameHashError
        The numbers that the salt gives do not tell them apart.
    """
    kinds, hashes, places = _kinds(rows, config, salt)
    return Vocabulary(_people(rows, salt), kinds, hashes, places)


def _judged(rows: EventRows, columns: tuple[str, str], number: str, salt: int) -> Any:
    """Every combination of two columns once, typed, with whether it is bad."""
    different = rows.combinations("csql_vocabulary", *columns, number, salt)
    typed = typed_rows(EVENTS, different, beside=(number,))
    problem = first_problem(row_rules(EVENTS, [name for name in columns if name in different.columns], typed))
    return typed.select(*columns, number, bad=problem.notnull())


def _people(rows: EventRows, salt: int) -> People:
    judged = _judged(rows, _PEOPLE, PERSON, salt)
    table = judged.order_by([ibis.asc(judged[name], nulls_first=False) for name in _PEOPLE]).to_pyarrow()
    accounts, users = (table[name].combine_chunks() for name in _PEOPLE)
    new = ~(_equals_last(accounts) & _equals_last(users))
    bad = table["bad"].to_numpy()
    hashes, order = _in_order(table[PERSON].to_numpy())
    places = np.where(bad, -1, np.cumsum(new) - 1)[order]
    first = pa.array(np.flatnonzero(new))
    return People(hashes, places, accounts.take(first), users.take(first))


def _equals_last(texts: pa.Array) -> npt.NDArray[np.bool_]:
    """Whether each text equals the one before it; missing equals missing."""
    last, this = texts[:-1], texts[1:]
    same = pc.fill_null(pc.equal(this, last), False).to_numpy(zero_copy_only=False)
    missing = texts.is_null().to_numpy(zero_copy_only=False)
    return np.concatenate((np.zeros(min(len(texts), 1), np.bool_), same | (missing[1:] & missing[:-1])))


def _kinds(rows: EventRows, config: Config, salt: int) -> tuple[Kinds, npt.NDArray[np.uint64], npt.NDArray[np.int64]]:
    """Kinds that count for the same are one."""
    judged = _judged(rows, _KINDS, KIND, salt)
    signals = judged.select(KIND, "bad", **signals_of(judged, config))
    flags = {f"flag_{name}": flag.cast("int64") for name, flag in counted(signals, config).items()}
    table = signals.select(KIND, "bad", **flags, **masked(signals)).to_pyarrow()
    names = [name for name in table.column_names if name not in (KIND, "bad")]
    values = np.stack([table[name].to_numpy() for name in names], axis=1)
    different, place = np.unique(values, axis=0, return_inverse=True)
    hashes, order = _in_order(table[KIND].to_numpy())
    places = np.where(table["bad"].to_numpy(), -1, place.ravel())[order]
    by_name = dict(zip(names, different.T.copy(), strict=True))
    counts = {n.removeprefix("flag_"): v.astype(np.bool_) for n, v in by_name.items() if n.startswith("flag_")}
    return Kinds(counts, {n: v for n, v in by_name.items() if not n.startswith("flag_")}), hashes, places


def _in_order(hashes: npt.NDArray[np.uint64]) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.intp]]:
    order = np.argsort(hashes)
    ranked = hashes[order]
    if (ranked[1:] == ranked[:-1]).any():
        raise SameHashError
    return ranked, order
