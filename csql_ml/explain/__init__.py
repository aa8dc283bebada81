"""Why an account has its score: points per metric that add up to it, and the facts behind them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from csql_ml.model.champion import Champion

__all__ = ["explain"]


def explain(bundle: Champion | str | Path, features: pd.DataFrame) -> pd.DataFrame:
    """Explain scores: exact points in probability space per account and metric.

    Parameters
    ----------
    bundle
        A champion, or the folder of its bundle.
    features
        (n, columns) feature rows with ``account_id``, as `csql features` writes them. ``<metric>_previous`` is read as
        the earlier value where the table has it.

    Returns
    -------
    DataFrame
        One row per account and metric, and one for the reference: ``account_id, metric, value, previous_value, points,
        rank, value_text``. Points are probabilities (0.01 is one percentage point); the row ``reference`` (rank 0) is
        the mean propensity of the reference accounts, and the points of an account sum to its propensity. Rank 1 has
        the largest absolute points. For a weighted score that is champion they come from its exact linear parts.

    Raises
    ------
    BundleError
        The folder holds no bundle, or a damaged one.
    FeatureError
        A column is absent, there twice or of the wrong type.

    Examples
    --------
    >>> table = explain("models/stack-0123456789ab", features)  # doctest: +SKIP
    >>> table[table["account_id"] == "a17"].head(3)[["metric", "value", "points", "rank"]]  # doctest: +SKIP
                metric  value    points  rank
    0        reference    NaN  0.212011     0
    1  seat_saturation   0.92  0.086673     1
    2    intent_events   3.00  0.041377     2
    """
    from csql_ml.explain.contributions import explain as points_of
    from csql_ml.feature_matrix import require_columns
    from csql_ml.model.bundle import load

    require_columns(features, ["account_id"])
    champion = load(bundle) if isinstance(bundle, str | Path) else bundle
    return points_of(champion, features)
