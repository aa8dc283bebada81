"""Realised results: whether as many accounts expanded as foretold, and how many of the qualified ones.

Only outcomes that can be known count. A run is judged when the horizon of its as-of date has ended; until then the
answer is that day. Accounts nobody would have worked are not failures but unobserved (`csql_ml.labels`), and a lead
that is still open is neither: it is counted once as lost and once as won, and there is an alarm only if both agree.

Whether more or fewer expanded than foretold by chance is answered by drawing outcomes from the propensities themselves
(`scipy.stats.monte_carlo_test`): exact at any number of accounts, where tests for large samples are not. Intervals of
rates are Wilson's (statsmodels).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from csql_ml.errors import OutputError
from csql_ml.labels import LabelBook, Spine
from csql_ml.monitoring.findings import Finding, Level
from csql_ml.monitoring.run_values import RunValues
from csql_ml.scoring import QUALIFIED

if TYPE_CHECKING:
    from csql_ml.company import Company
    from csql_ml.config import Config

Floats = npt.NDArray[np.float64]
#: Share of the false alarms that calibration may raise; see `csql_ml.monitoring.drift`.
OF_CALIBRATION = 0.2
CONFIDENCE = 0.95
#: Bins of the calibration table hold at least so many accounts; there are at most `_MOST_BINS`.
_FEWEST, _MOST_BINS = 20, 10
_DRAWS = 9_999
_CELLS = 4_000_000


@dataclass(frozen=True)
class Share:
    """A rate with its interval; None without accounts."""

    reached: int
    of: int
    low: float | None
    high: float | None

    @property
    def value(self) -> float | None:
        return self.reached / self.of if self.of else None


@dataclass(frozen=True)
class Bin:
    """Accounts of about one propensity: what was foretold and what came."""

    foretold: float
    realised: Share


@dataclass(frozen=True)
class Realised:
    """What became of a run's accounts.

    Attributes
    ----------
    complete_from
        The first day after the horizon.
    mature
        Whether that day has come.
    prior
        The propensities were a starting assumption, because no outcome had been seen.
    observed, open, unobserved
        Accounts with an outcome, with an open lead, and those nobody would have worked.
    foretold, came
        Sum of the propensities of the observed accounts, and how many of them expanded.
    p_value
        Chance of a difference so large, or of so crooked a table, if the propensities were right; the better one of
        open leads all lost and all won. None where nothing was judged.
    overall, precision, at_capacity
        All observed; the qualified ones; those at the top of each portfolio, as many as can be worked.
    foretold_precision, foretold_at_capacity
        Mean propensity of the same accounts.
    """

    run_id: str
    as_of: date
    model_version: str
    complete_from: date
    mature: bool
    prior: bool
    observed: int = 0
    open: int = 0
    unobserved: int = 0
    foretold: float = 0.0
    came: int = 0
    p_value: float | None = None
    overall: Share = Share(0, 0, None, None)
    precision: Share = Share(0, 0, None, None)
    foretold_precision: float | None = None
    at_capacity: Share = Share(0, 0, None, None)
    foretold_at_capacity: float | None = None
    bins: tuple[Bin, ...] = ()


def realised(run: RunValues, company: Company, now: date, config: Config) -> Realised:
    """Hold a run against its outcomes as known before ``now``."""
    end = company.horizon_end(run.as_of)
    prior = not run.manifest.get("labels_seen", False)
    found = Realised(str(run.manifest["run_id"]), run.as_of, run.model_version, end, now >= end, prior)
    return _with_outcomes(found, _rows(run, company, now), config) if found.mature else found


def _rows(run: RunValues, company: Company, now: date) -> pd.DataFrame:
    """The run's accounts with their label states as known before ``now``."""
    spine = run.scores.assign(as_of=run.as_of, in_work=run.scores["account_id"].isin(_in_work(run.folder)))
    book = LabelBook(company.builder, Spine(spine[["account_id", "as_of", "csm_id", "in_work"]]), company.config)
    return spine.merge(book.known(now)[["account_id", "state"]], on="account_id", how="inner", validate="one_to_one")


def _in_work(run: Path) -> set[str]:
    """Accounts on which a lead or an expansion was being worked already."""
    found = set()
    try:
        with (run / "accounts.jsonl").open(encoding="utf-8") as lines:
            for line in lines:
                record = json.loads(line)
                if "lead_in_work" in (record.get("ineligible_because") or ()):
                    found.add(str(record["account_id"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise OutputError(f"{run}/accounts.jsonl cannot be read: {error}; score again") from error
    return found


def _with_outcomes(found: Realised, rows: pd.DataFrame, config: Config) -> Realised:
    states = rows["state"].value_counts()
    seen = rows[rows["state"].isin(["positive", "negative"])]
    came = np.asarray(seen["state"] == "positive", dtype=np.float64)
    propensity = seen["propensity"].to_numpy(dtype=np.float64)
    qualified = (seen["status"] == QUALIFIED).to_numpy()
    top = _at_capacity(seen, config.scoring.capacity_per_portfolio)
    values: dict[str, Any] = {
        "observed": len(seen),
        "open": int(states.get("open", 0)),
        "unobserved": int(states.get("unobserved", 0)),
        "foretold": float(propensity.sum()),
        "came": int(came.sum()),
        "overall": share(came),
        "precision": share(came[qualified]),
        "foretold_precision": _mean(propensity[qualified]),
        "at_capacity": share(came[top]),
        "foretold_at_capacity": _mean(propensity[top]),
        "bins": _bins(propensity, came),
    }
    if len(seen) >= _FEWEST and not found.prior:
        values["p_value"] = _p_value(rows, config.monitoring.seed)
    return Realised(**{**vars(found), **values})


def _at_capacity(seen: pd.DataFrame, capacity: int) -> npt.NDArray[np.bool_]:
    """The highest propensities of each portfolio, ties by account."""
    order = seen.reset_index(drop=True).sort_values(["propensity", "account_id"], ascending=[False, True])
    place = order.groupby(order["csm_id"].fillna(""), sort=False).cumcount()
    return np.asarray((place < capacity).sort_index())


def share(came: Floats) -> Share:
    """The rate of those that came, with Wilson's interval."""
    if not len(came):
        return Share(0, 0, None, None)
    from statsmodels.stats.proportion import proportion_confint

    reached = int(came.sum())
    low, high = proportion_confint(reached, len(came), alpha=1 - CONFIDENCE, method="wilson")
    value = reached / len(came)
    return Share(reached, len(came), min(max(float(low), 0.0), value), max(min(float(high), 1.0), value))


def _mean(values: Floats) -> float | None:
    return float(values.mean()) if len(values) else None


def _places(propensity: Floats) -> list[npt.NDArray[np.intp]]:
    """Rows of each bin: about as many accounts in each, equal propensities in one."""
    order = np.argsort(propensity, kind="stable")
    wanted = min(_MOST_BINS, max(1, len(order) // _FEWEST))
    cuts = np.unique(np.quantile(propensity, np.arange(1, wanted) / wanted, method="inverted_cdf"))
    parts = np.split(order, np.searchsorted(propensity[order], cuts, side="right"))
    return [part for part in parts if len(part)]


def _bins(propensity: Floats, came: Floats) -> tuple[Bin, ...]:
    if not len(propensity):
        return ()
    return tuple(Bin(float(propensity[at].mean()), share(came[at])) for at in _places(propensity))


def _p_value(rows: pd.DataFrame, seed: int) -> float:
    """The larger p-value of both ways in which the open leads may end."""
    known = rows[rows["state"] != "unobserved"]
    propensity = known["propensity"].to_numpy(dtype=np.float64)
    won: Floats = np.asarray(known["state"] == "positive", dtype=np.float64)
    ends = [won]
    if (known["state"] == "open").any():
        ends.append(np.asarray(np.where(known["state"] == "open", 1.0, won), dtype=np.float64))
    return max(calibration_p(propensity, came, seed) for came in ends)


def calibration_p(propensity: Floats, came: Floats, seed: int) -> float:
    """Whether the outcomes could have been drawn from the propensities: of their sum, and of the sums per bin.

    Twice the smaller of both p-values (Bonferroni), at most 1.
    """
    from scipy.stats import monte_carlo_test

    rng = np.random.default_rng(seed)
    spread = np.maximum(propensity * (1 - propensity), 1e-12)
    bins = _places(propensity)

    def total(outcomes: Floats, axis: int = -1) -> Any:
        return np.abs((outcomes - propensity).sum(axis=axis))

    def table(outcomes: Floats, axis: int = -1) -> Any:
        gaps = outcomes - propensity
        return sum(gaps[..., at].sum(axis=-1) ** 2 / spread[at].sum() for at in bins)

    def drawn(size: tuple[int, ...]) -> Floats:
        return np.asarray(rng.random(size) < propensity, dtype=np.float64)

    batch = max(1, _CELLS // len(propensity))
    values = [
        float(
            monte_carlo_test(
                came, drawn, s, vectorized=True, n_resamples=_DRAWS, batch=batch, alternative="greater"
            ).pvalue
        )
        for s in (total, table)
    ]
    return min(1.0, 2 * min(values))


def findings(results: Sequence[Realised], config: Config) -> list[Finding]:
    """The newest mature run is judged; for the newest of all it is said from which day it can be.

    Parameters
    ----------
    results
        Oldest run first.
    """
    last = results[-1]
    waits = [Finding("outcomes_wait", "unknown", values={"day": last.complete_from, "as_of": last.as_of})]
    mature = [r for r in results if r.mature]
    if not mature:
        return waits
    newest = mature[-1]
    values = {
        "as_of": newest.as_of,
        "came": newest.came,
        "foretold": newest.foretold,
        "observed": newest.observed,
        "open": newest.open,
    }
    found = [_calibration(newest, values, config)]
    if newest.precision.of:
        precision = {
            "as_of": newest.as_of,
            "rate": newest.precision.value,
            "low": newest.precision.low,
            "high": newest.precision.high,
            "of": newest.precision.of,
            "foretold": newest.foretold_precision,
        }
        found.append(Finding("precision", "fine", values=precision))
    return found if last.mature else [*found, *waits]


def _calibration(newest: Realised, values: dict[str, Any], config: Config) -> Finding:
    if newest.prior:
        return Finding("calibration_prior", "unknown", values=values)
    if newest.p_value is None:
        return Finding("calibration_few", "unknown", values=values)
    limit = OF_CALIBRATION * config.monitoring.false_alarms
    if newest.p_value > limit:
        return Finding("calibration_fine", "fine", values=values)
    # The smallest change that the open leads leave possible.
    ratios = [(newest.came + extra) / max(newest.foretold, 1e-9) - 1 for extra in (0, newest.open)]
    off = 0.0 if min(ratios) < 0 < max(ratios) else min(ratios, key=abs)
    level: Level = "alarm" if abs(off) >= config.monitoring.miscalibration else "watch"
    code = "calibration_crooked" if abs(off) < config.monitoring.miscalibration else "calibration_off"
    return Finding(code, level, values={**values, "off": off})
