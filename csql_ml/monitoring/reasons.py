"""Reason churn: how many accounts got another main reason between two runs although their score did not move.

Some of that is right: facts change, and two of them may change places. So the accounts are told apart in which neither
the old main reason's fact nor the new one's has moved: there only the model did, and what a CSM said last month is not
what the page says today. An alarm is about those alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow.compute as pc
import pyarrow.parquet as pq

from csql_ml.monitoring.findings import Finding
from csql_ml.monitoring.realised import Share, share
from csql_ml.monitoring.run_values import RunValues

if TYPE_CHECKING:
    from csql_ml.config import Config

#: Reasons of an account that are compared, by their points.
TOP = 3
#: Accounts below which no share is judged.
_FEWEST = 20
#: A fact stands still if it moves less than so many standard deviations of all accounts.
_SAME = 0.1


@dataclass(frozen=True)
class Churn:
    """Reasons of a run against those of an earlier one.

    Attributes
    ----------
    same_model
        Whether one champion gave both.
    shared, unchanged
        Accounts in both runs; those among them whose score did not move.
    main, kept
        Of the unchanged: share with another main reason; mean share of the three strongest that stayed.
    unfounded
        Of the unchanged: share with another main reason though neither fact moved.
    swaps
        The most frequent changes of the main reason: before, now, accounts.
    """

    before: date
    same_model: bool
    shared: int
    unchanged: int
    main: Share
    unfounded: Share
    kept: float | None
    swaps: tuple[tuple[str, str, int], ...]


def churn(run: RunValues, earlier: RunValues, config: Config) -> Churn:
    """Compare the reasons of two runs; accounts that have none in one of them count as having lost it."""
    columns = ["account_id", "propensity"]
    both = run.scores[columns].merge(earlier.scores[columns], on="account_id", suffixes=("", "_before"))
    moved = (both["propensity"] - both["propensity_before"]).abs()
    accounts = both.loc[moved <= config.monitoring.unchanged_points, "account_id"]
    now, before = (_reasons(r.folder, set(accounts)).reindex(accounts) for r in (run, earlier))
    pairs = [(_listed(a), _listed(b)) for a, b in zip(before, now, strict=True)]
    changed = np.array([a[:1] != b[:1] for a, b in pairs], dtype=np.float64)
    still = _still(run, earlier, accounts)
    facts_stood = np.array([still(i, {*a[:1], *b[:1]}) for i, (a, b) in enumerate(pairs)], dtype=np.float64)
    kept = [len(set(a) & set(b)) / max(len(a), len(b)) for a, b in pairs if a or b]
    swaps = Counter((_first(a), _first(b)) for a, b in pairs if a[:1] != b[:1])
    frequent = sorted(((a, b, n) for (a, b), n in swaps.items()), key=lambda s: (-s[2], s[0], s[1]))
    return Churn(
        before=earlier.as_of,
        same_model=run.model_version == earlier.model_version,
        shared=len(both),
        unchanged=len(accounts),
        main=share(changed),
        unfounded=share(changed * facts_stood),
        kept=sum(kept) / len(kept) if kept else None,
        swaps=tuple(frequent[:5]),
    )


def _still(run: RunValues, earlier: RunValues, accounts: pd.Series) -> Callable[[int, Collection[str]], bool]:
    """``still(i, metrics)``: whether the facts of the i-th account hardly moved between the runs."""
    places = [pd.Index(r.scores["account_id"]).get_indexer(pd.Index(accounts)) for r in (earlier, run)]

    def moved(metric: str) -> npt.NDArray[np.bool_]:
        if metric not in earlier.numbers or metric not in run.numbers:
            return np.ones(len(accounts), dtype=bool)
        before, now = (r.numbers[metric][at] for r, at in zip((earlier, run), places, strict=True))
        words = [r.texts[metric][at] for r, at in zip((earlier, run), places, strict=True)]
        scale = float(np.nanstd(run.numbers[metric])) if np.isfinite(run.numbers[metric]).any() else 0.0
        stood = np.isclose(before, now, rtol=0.0, atol=max(_SAME * scale, 1e-12), equal_nan=True)
        return np.asarray(~stood | np.array([a != b for a, b in zip(*words, strict=True)], dtype=bool))

    of = {m: moved(m) for m in {*earlier.numbers, *run.numbers}}
    return lambda i, metrics: not any(of[m][i] if m in of else True for m in metrics)


def _reasons(folder: Path, accounts: set[str]) -> pd.Series:
    """Per account the metrics that speak for it most, strongest first."""
    parts = []
    file = pq.ParquetFile(folder / "explanations.parquet")
    for batch in file.iter_batches(batch_size=1 << 18, columns=["account_id", "metric", "points", "rank"]):
        strong = batch.filter(pc.and_(pc.greater(batch["rank"], 0), pc.greater(batch["points"], 0.0)))
        rows = strong.to_pandas()
        parts.append(rows[rows["account_id"].isin(accounts)])
    rows = pd.concat(parts, ignore_index=True).sort_values(["account_id", "rank"], kind="stable")
    top = rows.groupby("account_id", sort=True).head(TOP)
    listed: pd.Series = top.groupby("account_id", sort=True)["metric"].agg(lambda names: tuple(map(str, names)))
    return listed


def _listed(reasons: object) -> tuple[str, ...]:
    return reasons if isinstance(reasons, tuple) else ()


def _first(reasons: tuple[str, ...]) -> str:
    return reasons[0] if reasons else ""


def findings(found: Churn | None, config: Config) -> list[Finding]:
    """An alarm if surely more reasons changed without a changed fact than may."""
    if found is None:
        return [Finding("reasons_no_earlier", "unknown")]
    values = {
        "before": found.before,
        "changed": found.main.reached,
        "unfounded": found.unfounded.reached,
        "of": found.unchanged,
        "low": found.unfounded.low,
        "high": found.unfounded.high,
        "same_model": found.same_model,
    }
    if found.unchanged < _FEWEST:
        return [Finding("reasons_few", "unknown", values=values)]
    surely = (found.unfounded.low or 0.0) > config.monitoring.reason_churn
    return [Finding("reasons_churn" if surely else "reasons_fine", "alarm" if surely else "fine", values=values)]
