"""Ranks and percentiles over all accounts of a run, equal to `csql_ml.scoring.ranked`, without one place for all.

Accounts are cut into ranges of propensity. Each range is numbered by itself, and the sizes of the ranges before it are
added; where the cuts lie does not matter to the result. Spark compares texts byte by byte, which is the order of code
points that pandas sorts by.
"""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING

from csql_ml.scoring import INELIGIBLE

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

#: Accounts numbered in one task.
IN_ONE_RANGE = 100_000


def standings(scored: DataFrame, accounts: int, in_one_range: int = IN_ONE_RANGE) -> DataFrame:
    """Where each account stands.

    Parameters
    ----------
    scored
        ``account_id, propensity, baseline_score, status, csm_id``; read several times.
    accounts
        How many there are.

    Returns
    -------
    DataFrame
        ``account_id``, ``ahead`` (accounts that stand before this one by propensity), ``rank`` (the order of work) and
        ``rank_in_portfolio``.
    """
    from pyspark.sql import functions as F

    barred = (F.col("status") == INELIGIBLE).cast("int")
    rows = scored.select(
        "account_id",
        "propensity",
        "baseline_score",
        F.coalesce("csm_id", F.lit("")).alias("portfolio"),
        _range(_cuts(scored, accounts, in_one_range)).alias("range"),
        barred.alias("barred"),
    )
    rows = _numbered(rows, ["range"], [], "ahead")
    rows = _numbered(rows, ["barred", "range"], [], "rank")
    rows = _numbered(rows, ["barred", "range"], ["portfolio"], "rank_in_portfolio")
    return rows.select("account_id", (F.col("ahead") - 1).alias("ahead"), "rank", "rank_in_portfolio")


def _cuts(scored: DataFrame, accounts: int, in_one_range: int) -> list[float]:
    """Propensities that part the accounts into about equal ranges, highest first."""
    ranges = ceil(accounts / in_one_range)
    shares = [i / ranges for i in range(1, ranges)]
    return sorted(set(scored.approxQuantile("propensity", shares, 0.1 / ranges)), reverse=True) if shares else []


def _range(cuts: list[float]) -> Column:
    """The number of cuts above the propensity: 0 for the highest range."""
    from pyspark.sql import functions as F

    number = F.lit(0)
    for cut in cuts:
        number += (F.col("propensity") < F.lit(cut)).cast("int")
    return number


def _numbered(rows: DataFrame, ranges: list[str], groups: list[str], name: str) -> DataFrame:
    """Rows numbered from 1 in each group: by the columns ``ranges`` first, then by score and account id."""
    from pyspark.sql import Window
    from pyspark.sql import functions as F

    order = [F.desc("propensity"), F.desc("baseline_score"), F.asc("account_id")]
    keys = [*groups, *ranges]
    sizes = rows.groupBy(*keys).agg(F.count("*").alias("size"))
    # Without groups these are as few rows as there are ranges; that all are one group has to be said all the same.
    group = [F.col(name) for name in groups] or [F.lit(0)]
    together = Window.partitionBy(*group).orderBy(*ranges).rowsBetween(Window.unboundedPreceding, -1)
    before = sizes.select(*keys, F.coalesce(F.sum("size").over(together), F.lit(0)).alias("before"))
    inside = Window.partitionBy(*keys).orderBy(*order)
    numbered = rows.withColumn("inside", F.row_number().over(inside)).join(before, keys)
    return numbered.withColumn(name, (F.col("inside") + F.col("before")).cast("bigint")).drop("inside", "before")
