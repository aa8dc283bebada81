"""The values and scores a run was made of, read from its files: no input table is needed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from csql_ml.errors import OutputError
from csql_ml.model.distributions import Distribution, Distributions, distribution
from csql_ml.run_files import read_manifest

SCORES = ("propensity", "baseline_score")
_EXPLAINED = ["account_id", "metric", "value", "value_text"]
_BASE = "reference"


@dataclass(frozen=True, eq=False)
class RunValues:
    """One run as far as drift looks at it.

    Attributes
    ----------
    manifest
        See `csql_ml.batch_run.about_run`.
    accounts
        Accounts of the run; ``scores`` holds as many of them as are looked at.
    scores
        ``account_id, status, csm_id`` and `SCORES`, ordered by account.
    numbers, texts
        Per metric its values over the accounts looked at: float64 (missing as NaN), or texts (missing as None).
    """

    folder: Path
    manifest: Mapping[str, Any]
    as_of: date
    accounts: int
    scores: pd.DataFrame
    numbers: Mapping[str, npt.NDArray[np.float64]]
    texts: Mapping[str, npt.NDArray[np.object_]]

    @property
    def model_version(self) -> str:
        return str(self.manifest["model_version"])

    @property
    def metrics(self) -> tuple[str, ...]:
        """Metrics in the order of their names."""
        return tuple(sorted(self.numbers))

    def values(self, metric: str, *, text: bool) -> npt.NDArray[Any]:
        """A metric's values as text or as numbers; all missing where it has none of that kind."""
        return self.texts[metric] if text else self.numbers[metric]

    def is_text(self, metric: str) -> bool:
        return any(value is not None for value in self.texts[metric])

    def as_reference(self) -> Distributions:
        """The run as what a later one is held against."""
        metrics = {m: distribution(self.values(m, text=self.is_text(m))) for m in self.metrics}
        scores = {name: distribution(self.scores[name].to_numpy(dtype=np.float64)) for name in SCORES}
        return Distributions(len(self.scores), self.as_of, metrics, scores)

    def score_like(self, name: str, reference: Distribution) -> Distribution:
        """The distribution of a score in the bins of another one."""
        return reference.again(self.scores[name].to_numpy(dtype=np.float64))

    def like(self, metric: str, reference: Distribution) -> Distribution:
        """The distribution of a metric in the bins of another one."""
        return reference.again(self.values(metric, text=reference.is_text))


def read_values(folder: Path, most: int, seed: int) -> RunValues:
    """Read a run.

    Parameters
    ----------
    most
        Of a run with more accounts so many are drawn.

    Raises
    ------
    OutputError
        The folder is no run, or was changed after the run.
    """
    manifest = read_manifest(folder)
    try:
        columns = ["account_id", "status", "csm_id", *SCORES]
        scores = pd.read_parquet(folder / "scores.parquet", columns=columns)
        scores = scores.sort_values("account_id", kind="stable", ignore_index=True)
        total = len(scores)
        if total > most:
            places = np.sort(np.random.default_rng(seed).choice(total, size=most, replace=False))
            scores = scores.iloc[places].reset_index(drop=True)
        numbers, texts = _explained(folder / "explanations.parquet", scores["account_id"], whole=total <= most)
        as_of = date.fromisoformat(str(manifest["as_of"])[:10])
    except (OSError, KeyError, ValueError, pa.ArrowException) as error:
        raise OutputError(f"run {folder} cannot be read: {error}; score again") from error
    return RunValues(folder, manifest, as_of, total, scores, numbers, texts)


def _explained(
    path: Path, accounts: pd.Series, *, whole: bool
) -> tuple[dict[str, npt.NDArray[np.float64]], dict[str, npt.NDArray[np.object_]]]:
    """The values of the accounts wanted, part by part of the file, so that memory holds no more than these."""
    index = pd.Index(accounts, dtype=object)
    wanted = None if whole else pa.array(accounts, pa.large_string())
    numbers: dict[str, npt.NDArray[np.float64]] = {}
    texts: dict[str, npt.NDArray[np.object_]] = {}
    for rows in _parts(path, wanted):
        places = index.get_indexer(pd.Index(rows["account_id"], dtype=object))
        for metric, at in rows.groupby("metric", sort=False).indices.items():
            name, at = str(metric), at[places[at] >= 0]
            values = numbers.setdefault(name, np.full(len(index), np.nan))
            words = texts.setdefault(name, np.full(len(index), None, dtype=object))
            values[places[at]] = rows["value"].to_numpy()[at]
            words[places[at]] = rows["value_text"].to_numpy()[at]
    numbers.pop(_BASE, None)
    texts.pop(_BASE, None)
    return numbers, texts


def _parts(path: Path, wanted: pa.Array | None) -> Iterator[pd.DataFrame]:
    for batch in pq.ParquetFile(path).iter_batches(batch_size=1 << 18, columns=_EXPLAINED):
        table = pa.table(batch)
        if wanted is not None:
            table = table.filter(pc.is_in(table["account_id"].cast(pa.large_string()), wanted))
        frame = table.to_pandas()
        frame["value_text"] = frame["value_text"].astype(object).where(frame["value_text"].notna(), None)
        yield frame
