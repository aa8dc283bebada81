"""Columns that name a row instead of saying anything about it: free text, customer numbers, row numbers."""

from __future__ import annotations

import re

import pyarrow as pa
import pyarrow.compute as pc

from csql_ml.own_features.columns import Kind

#: A text column is an identifier, and no feature, if more than this share of its filled rows are different texts ...
_DIFFERENT = 0.5
#: ... and there are more of them than a vocabulary holds.
_FEWEST_DIFFERENT = 100
#: Whole numbers are one if nearly all of them differ and the name says so: a table sorted by outcome would otherwise
#: be learned by its row numbers.
_NEARLY_ALL = 0.9
_NAMED = re.compile(
    r"(.*[ _.-])?(id|key|index|idx|uuid|guid|row|rownames?)"
    r"|(.*[ _.-])?(row|customer|client|account|user|invoice|order|case|record|serial|phone)[ _.-]?(no|nr|num|number)\.?"
)
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")


def is_identifier(name: str, column: pa.ChunkedArray, kind: Kind) -> bool:
    """Whether a column names the row rather than describing it."""
    filled = len(column) - column.null_count
    if kind == "category":
        distinct = len(pc.unique(column))
        return distinct > _FEWEST_DIFFERENT and distinct > _DIFFERENT * filled
    if kind != "number" or not is_named_so(name):
        return False
    distinct = len(pc.unique(column))
    return distinct > _FEWEST_DIFFERENT and distinct > _NEARLY_ALL * filled


def is_named_so(name: str) -> bool:
    """Whether a name is that of an identifier: customerID, row_number, Invoice No."""
    return _NAMED.fullmatch(_CAMEL.sub("_", name.strip()).lower()) is not None
