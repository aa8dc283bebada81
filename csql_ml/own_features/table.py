"""A feature table of one's own, checked: keys, labels, portfolios, and which columns are features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from csql_ml.config import Config
from csql_ml.errors import FeatureError
from csql_ml.metrics.definition import Feature
from csql_ml.own_features.columns import kind_of, numbers, texts
from csql_ml.own_features.keys import account_ids, as_of_days, refuse_duplicates
from csql_ml.own_features.reading import read

KEYS = ("account_id", "as_of")
_OUTCOME = ("label", "amount")
_OWNER = "csm_id"
#: Names the training table uses itself; a feature of that name stands there under `OWN` + name.
_TAKEN = frozenset({"portfolio", "arr", "state", "lead_type", "period"})
OWN = "own."


@dataclass(frozen=True, eq=False)
class OwnTable:
    """A feature table, ordered by as-of date and account.

    Attributes
    ----------
    rows
        ``account_id`` (text), ``as_of`` (date), ``portfolio`` (text, '' where unknown), ``label`` (1.0, 0.0, NaN),
        ``amount`` and ``arr`` (NaN where unknown).
    names
        The feature columns of the file.
    empty
        Columns without a single value; they are not features.
    yes_or_no
        Feature columns that are true or false; they are read as 1 and 0.
    """

    path: Path
    rows: pd.DataFrame
    names: tuple[str, ...]
    empty: tuple[str, ...]
    yes_or_no: frozenset[str]
    _table: pa.Table = field(repr=False)
    _numbers: Mapping[str, pd.Series] = field(repr=False)

    @property
    def features(self) -> tuple[Feature, ...]:
        """The features for a model: numbers as they are, text as categories, no direction claimed."""
        return tuple(Feature(column_of(n), n, categorical=n not in self._numbers) for n in self.names)

    @property
    def dates(self) -> tuple[date, ...]:
        """The as-of dates, oldest first."""
        return tuple(sorted(set(self.rows["as_of"])))

    def frame(self, features: Sequence[Feature]) -> pd.DataFrame:
        """Feature columns as a model knows them, rows as in ``rows``.

        Raises
        ------
        FeatureError
            The file lacks a column, or a column is of another kind than the model learned.
        """
        wanted = {f.name: _file_name(f.name) for f in features}
        there = set(self._table.column_names)
        if missing := [n for n in wanted.values() if n not in there]:
            raise FeatureError(
                f"feature table {self.path} has no column {_listed(missing)}, which the model was trained with; add it "
                "(empty where unknown), name another model with --model, or train again"
            )
        values = {f.name: self._values(wanted[f.name], categorical=f.categorical) for f in features}
        return pd.DataFrame(values)

    def _values(self, name: str, *, categorical: bool) -> pd.Series:
        if categorical:
            return texts(self._table[name], name)
        known = self._numbers.get(name)
        return finite_numbers(self._table[name], name) if known is None else known

    def attribute(self, name: str) -> pd.Series:
        """(n,) a column as text for people to read, None where the file has none."""
        if name not in self._table.column_names:
            return pd.Series([None] * len(self.rows), dtype=object)
        return texts(self._table[name], name)


def open_table(path: Path, config: Config) -> OwnTable:
    """Read and check a feature table.

    Raises
    ------
    FeatureError
        The file cannot be used; the message says which column and how many rows, or which account.
    """
    table = read(path)
    names = table.column_names
    if missing := [n for n in KEYS if n not in names]:
        raise FeatureError(
            f"feature table {path} has no column {_listed(missing)}; expected account_id, as_of and at least one "
            "feature"
        )
    if missing := [n for n in config.model.group if n not in names]:
        raise FeatureError(
            f"feature table {path} has no column {_listed(missing)}, which model.group of the configuration names; "
            "add it, or correct the configuration"
        )
    rows = _keyed_rows(table, config)
    order = rows.sort_values(["as_of", "account_id"], kind="stable").index
    table, rows = table.take(pa.array(order)), rows.loc[order].reset_index(drop=True)
    kinds = {n: kind_of(table[n], n, inferred=_is_csv(path)) for n in _candidates(names, config)}
    features = tuple(n for n, kind in kinds.items() if kind != "empty")
    if not features:
        empty = f" ({len(kinds)} without any value)" if kinds else ""
        raise FeatureError(
            f"feature table {path} has no feature column{empty}; expected at least one beside account_id, as_of, "
            "label, amount, csm_id and the group columns"
        )
    values = {n: numbers(table[n], n) for n in features if kinds[n] != "category"}
    _refuse_infinite(values)
    return OwnTable(
        path=path,
        rows=rows.assign(arr=values.get("arr", np.nan)),
        names=features,
        empty=tuple(n for n, kind in kinds.items() if kind == "empty"),
        yes_or_no=frozenset(n for n in values if kinds[n] == "yes_or_no"),
        _table=table,
        _numbers=values,
    )


def column_of(name: str) -> str:
    """Name under which a feature of the file stands in the training table."""
    return OWN + name if name in _TAKEN else name


def _file_name(column: str) -> str:
    name = column.removeprefix(OWN)
    return name if name in _TAKEN else column


def finite_numbers(column: pa.ChunkedArray, name: str) -> pd.Series:
    """As `csql_ml.own_features.columns.numbers`; infinity is an error."""
    values = numbers(column, name)
    if count := int(np.isinf(values).sum()):
        raise FeatureError(_infinite(name, count))
    return values


def _candidates(names: Sequence[str], config: Config) -> list[str]:
    """Columns that are features unless they are empty."""
    other = {*KEYS, *_OUTCOME, _OWNER, *config.model.group}
    return [n for n in names if n not in other]


def _is_csv(path: Path) -> bool:
    return not path.name.lower().endswith(".parquet")


def _keyed_rows(table: pa.Table, config: Config) -> pd.DataFrame:
    names = table.column_names
    rows = pd.DataFrame({"account_id": account_ids(table["account_id"]), "as_of": as_of_days(table["as_of"])})
    refuse_duplicates(rows)
    owner = next((n for n in (_OWNER, *config.model.group) if n in names), None)
    portfolio = texts(table[owner], owner) if owner else pd.Series([None] * len(rows), dtype=object)
    return rows.assign(
        portfolio=portfolio.where(portfolio.notna(), ""),
        label=_labels(table, rows),
        amount=_money(table, "amount"),
    )


def _labels(table: pa.Table, rows: pd.DataFrame) -> pd.Series:
    """1.0, 0.0 or NaN (open)."""
    if "label" not in table.column_names:
        return pd.Series(np.full(len(rows), np.nan))
    try:
        values = numbers(table["label"], "label")
    except FeatureError as error:
        raise FeatureError(f"{error}: 1 for an expansion, 0 for none, empty while open") from error
    wrong = values.notna() & ~values.isin([0.0, 1.0])
    if wrong.any():
        first = rows[wrong].iloc[0]
        raise FeatureError(
            f"column label of the feature table is neither 0 nor 1 in {int(wrong.sum())} rows (the first: account "
            f"{first['account_id']}, {first['as_of']}); expected 1 for an expansion, 0 for none, empty while open"
        )
    return values


def _money(table: pa.Table, name: str) -> pd.Series:
    if name not in table.column_names:
        return pd.Series(np.full(table.num_rows, np.nan))
    return finite_numbers(table[name], name)


def _refuse_infinite(values: Mapping[str, pd.Series]) -> None:
    counts = {n: int(np.isinf(v).sum()) for n, v in values.items()}
    bad = [n for n, count in counts.items() if count]
    if bad:
        more = f" ({len(bad) - 1} more columns have some too)" if len(bad) > 1 else ""
        raise FeatureError(_infinite(bad[0], counts[bad[0]]) + more)


def _infinite(name: str, count: int) -> str:
    return (
        f"column {name} of the feature table holds {count} infinite values; expected finite numbers: leave them "
        "empty or fix the division that made them"
    )


def _listed(names: Sequence[str]) -> str:
    """The first few names, and how many more there are."""
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(names[:5]) + more
