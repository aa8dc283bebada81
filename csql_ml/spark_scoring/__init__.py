"""Features and scores on a Spark cluster, from the snapshot's plan to finished files; no rows meet on the driver.

wide_rows   the plan, the account's attributes and its contacts: one wide row per account; Arrow batches -> snapshots
job         what workers need to score, as bytes: the champion's files, the configuration, metrics without formulas
tasks       what runs on workers: the same scoring functions as everywhere, on parts of a snapshot
standings   ranks and percentiles over all accounts, without sorting them in one place
staging     the folder that executors write and the driver reads
batch       the run, step by step
run_parts   part files -> the files of a run
features    the feature table
"""

from csql_ml.spark_scoring.batch import score_on_spark
from csql_ml.spark_scoring.features import features_on_spark

__all__ = ["features_on_spark", "score_on_spark"]
