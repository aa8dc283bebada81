"""A feature table of one's own, checked: keys, labels, portfolios, and which columns are features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from csql_ml.config import Config
from csql_ml.errors import FeatureError
from csql_ml.metrics.definition import Feature
from csql_ml.own_features.advice import LABEL_WORDS, without_keys, without_labels
from csql_ml.own_features.columns import Kind, days_before, is_other_date, is_text, kind_of, numbers, texts
from csql_ml.own_features.identifiers import is_identifier
from csql_ml.own_features.keys import account_ids, as_of_days, refuse_duplicates
from csql_ml.own_features.reading import read

KEYS = ("account_id", "as_of")
_OUTCOME = ("label", "amount")
_OWNER = "csm_id"
#: Names the training table uses itself; a feature of that name stands there under `OWN` + name.
_TAKEN = frozenset({"portfolio", "arr", "state", "lead_type", "period"})
OWN = "own."
#: Kinds that Parquet holds as they are: reading them again costs less than keeping them.
_PLAIN: tuple[Kind, ...] = ("number", "yes_or_no")


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
    constant, identifiers
        Feature columns with one value throughout, and those that name the row (`identifiers.is_identifier`): a model
        that is scored may name them, but there is nothing to learn from them.
    infinite
        Per column how many values are infinite; they read as missing.
    ahead
        Per column of dates the share of filled, labelled rows whose date lies on or after the as-of date.
    yes_or_no
        Feature columns that are true or false; they are read as 1 and 0.
    numeric
        Columns that are read as numbers; features among the others are categories.
    """

    path: Path
    rows: pd.DataFrame
    names: tuple[str, ...]
    empty: tuple[str, ...]
    constant: tuple[str, ...]
    identifiers: tuple[str, ...]
    infinite: Mapping[str, int]
    ahead: Mapping[str, float]
    yes_or_no: frozenset[str]
    numeric: frozenset[str]
    _table: pa.Table = field(repr=False)
    _numbers: Mapping[str, pd.Series] = field(repr=False)

    @property
    def features(self) -> tuple[Feature, ...]:
        """The features for a model: numbers as they are, text as categories, no direction claimed."""
        return tuple(Feature(column_of(n), n, categorical=n not in self.numeric) for n in self.names)

    @property
    def learnable(self) -> tuple[Feature, ...]:
        """The features that vary from row to row without naming the row.

        Raises
        ------
        FeatureError
            There are none.
        """
        useless = {*self.constant, *self.identifiers}
        found = tuple(f for f in self.features if _file_name(f.name) not in useless)
        if not found:
            raise FeatureError(
                f"feature table {self.path} has no feature column to learn from: {_listed(self.names)} have one value "
                "throughout or another value in most rows; add columns that tell accounts apart"
            )
        return found

    @property
    def notes(self) -> tuple[str, ...]:
        """What was not taken as it stands in the file, in words."""
        found = (
            ("without any value", self.empty, "left out"),
            ("with one value throughout", self.constant, "left out"),
            ("with another value in most rows (identifiers)", self.identifiers, "left out"),
            ("with infinite values, which read as missing", tuple(self.infinite), "kept"),
            ("of dates not written YYYY-MM-DD, which read as categories", self._other_dates, "kept"),
        )
        return tuple(
            f"{done} {len(names)} column{'s' * (len(names) > 1)} {why}: {_listed(names)}"
            for why, names, done in found
            if names
        )

    @property
    def _other_dates(self) -> tuple[str, ...]:
        return tuple(n for n in self.names if n not in self.numeric and is_other_date(self._table[n]))

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
        numeric = [f.name for f in features if not f.categorical]
        # One block, filled column by column: nothing is held twice, which counts with thousands of columns.
        block = np.empty((len(self.rows), len(numeric)), order="F")
        for place, name in enumerate(numeric):
            block[:, place] = self._values(wanted[name], categorical=False)
        words = {f.name: self._values(wanted[f.name], categorical=True) for f in features if f.categorical}
        numbers = pd.DataFrame(block, columns=numeric, copy=False)
        return pd.concat([numbers, pd.DataFrame(words)], axis=1) if words else numbers

    def _values(self, name: str, *, categorical: bool) -> pd.Series:
        if categorical:
            return texts(self._table[name], name)
        known = self._numbers.get(name)
        return finite(numbers(self._table[name], name)) if known is None else known

    def no_labels(self) -> FeatureError:
        """The error for a training that finds no label: which columns may be meant."""
        return without_labels(self.path, self._table, (*KEYS, _OWNER))

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
    table = _with_usual_names(read(path))
    names = table.column_names
    if missing := [n for n in KEYS if n not in names]:
        raise without_keys(path, table, missing)
    if missing := [n for n in config.model.group if n not in names]:
        raise FeatureError(
            f"feature table {path} has no column {_listed(missing)}, which model.group of the configuration names; "
            "add it, or correct the configuration"
        )
    rows = _keyed_rows(table, config)
    order = rows.sort_values(["as_of", "account_id"], kind="stable").index
    if not (np.diff(order) == 1).all():
        table, rows = table.take(pa.array(order)), rows.loc[order].reset_index(drop=True)
    kinds = {n: kind_of(table[n], n, inferred=_is_csv(path)) for n in _candidates(names, config)}
    return _judged(path, table, rows, kinds)


def _judged(path: Path, table: pa.Table, rows: pd.DataFrame, kinds: Mapping[str, Kind]) -> OwnTable:
    """The columns as what they are."""
    judged = {n: _judge(n, table[n], kind, rows) for n, kind in kinds.items()}
    empty = [n for n, found in judged.items() if found.empty]
    features = tuple(n for n, found in judged.items() if not found.empty)
    if not features:
        counted = f" ({len(empty)} without any value)" if empty else ""
        raise FeatureError(
            f"feature table {path} has no feature column{counted}; expected at least one beside account_id, as_of, "
            "label, amount, csm_id and the group columns"
        )
    arr = judged["arr"].values if "arr" in judged else None
    if arr is None and kinds.get("arr") in _PLAIN:
        arr = finite(numbers(table["arr"], "arr"))
    return OwnTable(
        path=path,
        rows=rows.assign(arr=np.nan if arr is None else arr),
        names=features,
        empty=tuple(empty),
        constant=tuple(n for n in features if judged[n].constant),
        identifiers=tuple(n for n in features if is_identifier(n, table[n], kinds[n])),
        infinite={n: found.infinite for n, found in judged.items() if found.infinite},
        ahead={n: found.ahead for n, found in judged.items() if kinds[n] == "date"},
        yes_or_no=frozenset(n for n, kind in kinds.items() if kind == "yes_or_no"),
        numeric=frozenset(n for n, kind in kinds.items() if kind not in ("category", "empty")),
        _table=table,
        _numbers={n: found.values for n, found in judged.items() if found.values is not None and not found.empty},
    )


@dataclass(frozen=True, eq=False)
class _Judged:
    """What is to be said of a column; ``values`` where reading them again would take long."""

    empty: bool = False
    constant: bool = False
    infinite: int = 0
    ahead: float = 0.0
    values: pd.Series | None = None


def _judge(name: str, column: pa.ChunkedArray, kind: Kind, rows: pd.DataFrame) -> _Judged:
    if kind == "empty":
        return _Judged(empty=True)
    if kind == "category":
        return _Judged(constant=not column.null_count and len(pc.unique(column)) < 2)
    raw = _numbers(column, name, kind, rows)
    values = finite(raw)
    plain = values.to_numpy()
    return _Judged(
        empty=bool(np.isnan(plain).all()),
        constant=bool((plain == plain[0]).all()),
        infinite=0 if values is raw else int(np.isinf(raw).sum()),
        ahead=_share_ahead(plain[rows["label"].notna().to_numpy()]) if kind == "date" else 0.0,
        values=None if kind in _PLAIN and not is_text(column.type) else values,
    )


def _with_usual_names(table: pa.Table) -> pa.Table:
    """Keys and outcomes under their usual names, however they are capitalised; exact names come first."""
    names = table.column_names
    usual = {n: [c for c in names if c.strip().lower() == n] for n in (*KEYS, *_OUTCOME, _OWNER) if n not in names}
    changed = {found[0]: n for n, found in usual.items() if len(found) == 1}
    return table.rename_columns([changed.get(n, n) for n in names]) if changed else table


def _numbers(column: pa.ChunkedArray, name: str, kind: Kind, rows: pd.DataFrame) -> pd.Series:
    return days_before(column, rows["as_of"]) if kind == "date" else numbers(column, name)


def finite(values: pd.Series) -> pd.Series:
    """Numbers with infinity as missing (a division by zero has no size); the same object where there is none."""
    absurd = np.isinf(values.to_numpy())
    return values.mask(absurd) if absurd.any() else values


def _share_ahead(days: np.ndarray) -> float:
    filled = days[~np.isnan(days)]
    return float((filled <= 0).mean()) if len(filled) else 0.0


def column_of(name: str) -> str:
    """Name under which a feature of the file stands in the training table."""
    return OWN + name if name in _TAKEN else name


def _file_name(column: str) -> str:
    name = column.removeprefix(OWN)
    return name if name in _TAKEN else column


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
    column = table["label"]
    values = _label_words(column)
    if values is None:
        try:
            values = numbers(column, "label")
        except FeatureError as error:
            raise FeatureError(
                f"{error}: 1 for an expansion, 0 for none, empty while open (yes and no, true and false, won and lost "
                "are understood, too); rewrite the column so"
            ) from error
    wrong = values.notna() & ~values.isin([0.0, 1.0])
    if wrong.any():
        first = rows[wrong].iloc[0]
        raise FeatureError(
            f"column label of the feature table is neither 0 nor 1 in {int(wrong.sum())} rows (the first: account "
            f"{first['account_id']}, {first['as_of']}); expected 1 for an expansion, 0 for none, empty while open"
        )
    return values


def _label_words(column: pa.ChunkedArray) -> pd.Series | None:
    """Labels written as words; None where they are numbers or other texts."""
    text = (
        pa.types.is_dictionary(column.type) or pa.types.is_string(column.type) or pa.types.is_large_string(column.type)
    )
    if not text:
        return None
    words = texts(column, "label").str.strip().str.lower()
    values = words.map(LABEL_WORDS).astype("float64")
    return None if (values.isna() & words.notna()).any() else values


def _money(table: pa.Table, name: str) -> pd.Series:
    if name not in table.column_names:
        return pd.Series(np.full(table.num_rows, np.nan))
    return finite(numbers(table[name], name))


def _listed(names: Sequence[str]) -> str:
    """The first few names, and how many more there are."""
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(names[:5]) + more
