"""Bring your own features: training and scoring on a feature table instead of the contract's tables.

One Parquet or CSV file, one row per account and as-of date: ``account_id``, ``as_of``, optional ``label`` (0, 1, empty
= open), optional ``amount`` (what an expansion brings), optional ``csm_id`` and group columns named in ``model.group``.
Every other column is a feature. No other table and hardly any configuration is needed.
"""

from csql_ml.own_features.scoring import score
from csql_ml.own_features.table import OwnTable, open_table
from csql_ml.own_features.training import train_champion, training_data

__all__ = ["OwnTable", "open_table", "score", "train_champion", "training_data"]
