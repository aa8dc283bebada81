"""What to do next with a table that cannot be used as it came: which of its columns look like what is lacking."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from csql_ml.errors import FeatureError
from csql_ml.own_features.columns import is_text

#: What a label may be called besides 1 and 0; case does not matter.
LABEL_WORDS = {
    **dict.fromkeys(("1", "1.0", "true", "t", "yes", "y", "won", "positive"), 1.0),
    **dict.fromkeys(("0", "0.0", "false", "f", "no", "n", "lost", "negative"), 0.0),
}
#: What outcomes are usually called, as part of a name.
_OUTCOME_NAMES = re.compile(
    r"label|target|outcome|churn|attrition|convert|conversion|expan|upsell|upgrade|purchase|bought|buy|won|default|exited"
    r"|cancel|renew|respon|subscri|approv|reject|denied|deny|class|status|result|success|surviv|income|\by\b"
)
_MOST_NAMED = 3
#: An id is told by other values in nearly all rows.
_DIFFERENT = 0.9


def without_keys(path: Path, table: pa.Table, missing: Sequence[str]) -> FeatureError:
    """The error for a table without its keys: what the columns hold, and which may be meant."""
    steps = {"account_id": _rename(_ids(table), "account_id", "the customer's id"), "as_of": _DATE}
    return FeatureError(
        f"feature table {path} has no column {', '.join(missing)}; expected account_id, as_of and at least one "
        "feature: " + "; ".join(steps[name] for name in missing)
    )


def without_labels(path: Path, table: pa.Table, used: Sequence[str]) -> FeatureError:
    """The error for a training table without labels; ``used`` are columns that are something else."""
    if "label" in table.column_names:
        todo = "fill it in for the rows whose outcome is known"
    else:
        free = [n for n in table.column_names if n not in used]
        todo = _rename(_outcomes(table.select(free)), "label", "the outcome")
    return FeatureError(
        f"feature table {path} has no labels; expected a column label with 1 for an expansion, 0 for none, empty while "
        f"open: {todo}"
    )


_DATE = (
    "add a column as_of with the day whose midnight the values were known at, as YYYY-MM-DD (the same in every row of "
    "a table drawn once)"
)


def _rename(found: Sequence[str], name: str, what: str) -> str:
    if not found:
        return f"add {what} as column {name}"
    more = " ..." if len(found) > _MOST_NAMED else ""
    looks = "looks" if len(found) == 1 else "look"
    return f"rename the column with {what} to {name} ({', '.join(found[:_MOST_NAMED])}{more} {looks} like it)"


def _ids(table: pa.Table) -> list[str]:
    """Columns of texts or whole numbers that differ in nearly all rows; those called so come first."""
    found = [n for n in table.column_names if _id_like(table[n]) and n != "label"]
    return sorted(found, key=lambda n: not n.lower().replace(" ", "_").endswith(("id", "key", "number", "no")))


def _id_like(column: pa.ChunkedArray) -> bool:
    if not (pa.types.is_integer(column.type) or is_text(column.type)) or column.null_count:
        return False
    distinct = pc.unique(column)
    if len(distinct) <= _DIFFERENT * len(column):
        return False
    whole = not is_text(column.type) or not pc.any(pc.match_substring_regex(distinct, r"^\s*-?\d*[.,]\d*$")).as_py()
    return bool(whole)


def _outcomes(table: pa.Table) -> list[str]:
    """Columns of two values; first those called like an outcome, then those whose values are understood as labels.

    Of equals the last of the table comes first, where outcomes often stand.
    """
    found = {n: [str(v).strip().lower() for v in pc.drop_null(pc.unique(table[n])).to_pylist()] for n in _few(table)}
    two = [n for n, values in reversed(found.items()) if len(values) == 2]
    return sorted(two, key=lambda n: (not _OUTCOME_NAMES.search(n.lower()), not LABEL_WORDS.keys() >= set(found[n])))


def _few(table: pa.Table) -> list[str]:
    plain = [f.name for f in table.schema if not pa.types.is_nested(f.type)]
    return [n for n in plain if len(pc.unique(table[n])) <= 3]  # two values, and missing
