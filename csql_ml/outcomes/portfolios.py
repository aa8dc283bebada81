"""Figures per CSM beside what their leads would be expected to give, and whether the difference is more than noise.

Portfolios are uneven, so a CSM is not held against the team's plain rate but against what the team makes of leads like
theirs. Only decided leads are compared: how many are still open says when they were raised, not how good they are.

- Where the model's propensity is known for (nearly) all of them and a stage is what the model was trained on, the
  expected rate comes from a logistic regression of the outcome on the log-odds of the propensity, over the team's
  leads; the test is its score test for the CSM.
- Else from the team's rate per lead type and score band; the test is Cochran-Mantel-Haenszel's over those cells.

Both compare with a team that the CSM is part of, and both count that the team's rate is itself an estimate. Holm's
correction over all comparisons of a report keeps the chance that any CSM is called different by noise alone within
1 - confidence.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from csql_ml.outcomes.figures import Rate, rate
from csql_ml.outcomes.lead_book import STAGES, UNKNOWN

if TYPE_CHECKING:
    from csql_ml.config import Config

Finding = Literal["within noise", "above the team", "below the team", "too few leads", "no other CSM"]
Floats = npt.NDArray[np.float64]
#: Outcomes of either kind from which a regression on two parameters is fitted (ten per parameter).
_FEWEST_OUTCOMES = 20
#: Share of decided leads whose propensity must be known.
_MOST_KNOWN = 0.9


@dataclass(frozen=True)
class Comparison:
    """One CSM at one stage.

    Attributes
    ----------
    decided
        Of the CSM's decided leads, how many reached the stage.
    expected
        The rate that the team's outcomes give for leads like these.
    basis
        ``propensity`` or ``type and band``.
    p_value
        Corrected for all comparisons of the report; None where nothing could be tested.
    """

    csm: str
    stage: str
    decided: Rate
    expected: float | None
    basis: str
    p_value: float | None
    finding: Finding

    @property
    def difference(self) -> float | None:
        """Own rate less the expected one."""
        return None if self.decided.value is None or self.expected is None else self.decided.value - self.expected


def compare(book: pd.DataFrame, config: Config) -> list[Comparison]:
    """Every CSM at every stage, by CSM and stage."""
    found = [c for stage in STAGES for c in _at_stage(book, stage, config)]
    tested = [i for i, c in enumerate(found) if c.p_value is not None]
    if tested:
        from statsmodels.stats.multitest import multipletests

        alpha = 1.0 - config.outcomes.confidence
        corrected = multipletests([found[i].p_value for i in tested], alpha=alpha, method="holm")[1]
        for i, p in zip(tested, corrected, strict=True):
            found[i] = replace(found[i], p_value=float(p), finding=_finding(found[i], float(p), alpha))
    return sorted(found, key=lambda c: (c.csm, STAGES.index(c.stage)))


def _finding(one: Comparison, p: float, alpha: float) -> Finding:
    if p >= alpha or one.difference is None:
        return "within noise"
    return "above the team" if one.difference > 0 else "below the team"


def _at_stage(book: pd.DataFrame, stage: str, config: Config) -> Iterator[Comparison]:
    decided = book[book[stage] != "open"].reset_index(drop=True)
    reached = (decided[stage] == "reached").to_numpy()
    csms = sorted(set(decided["csm"]) - {UNKNOWN})
    team = _team(decided, reached, stage, config)
    for csm in csms:
        own = (decided["csm"] == csm).to_numpy()
        figure = rate(int(reached[own].sum()), 0, int(own.sum()), config.outcomes.confidence)
        expected, p_value, finding = None, None, None
        if len(csms) == 1:
            finding = "no other CSM"
        else:
            expected, p_value = team.judge(own)
            if own.sum() < config.outcomes.fewest_leads:
                finding, p_value = "too few leads", None
        yield Comparison(csm, stage, figure, expected, team.basis, p_value, finding or "within noise")  # type: ignore[arg-type]


@dataclass(frozen=True)
class _Cells:
    """The team's rate per lead type and score band."""

    reached: npt.NDArray[np.bool_]
    cells: npt.NDArray[np.int64]
    basis: str = "type and band"

    def judge(self, own: npt.NDArray[np.bool_]) -> tuple[float, float]:
        """Expected rate of some leads, and the chance of a difference like theirs (or larger) by noise alone."""
        counts = np.bincount(self.cells)
        expected = (np.bincount(self.cells, weights=self.reached) / np.maximum(counts, 1))[self.cells[own]].mean()
        tables = [t for cell in np.unique(self.cells[own]) if _informs(t := self._table(cell, own))]
        if not tables:
            return float(expected), 1.0
        from statsmodels.stats.contingency_tables import StratifiedTable

        return float(expected), float(StratifiedTable(tables).test_null_odds(correction=True).pvalue)

    def _table(self, cell: int, own: npt.NDArray[np.bool_]) -> Floats:
        """The CSM's and the others' leads of a cell, by whether they reached the stage."""
        here = self.cells == cell
        return np.array(
            [[(here & side & self.reached).sum(), (here & side & ~self.reached).sum()] for side in (own, ~own)],
            dtype=float,
        )


def _informs(table: Floats) -> bool:
    """Whether a cell could say anything: both sides have leads, and not all ended alike."""
    return bool((table.sum(axis=0) > 0).all() and (table.sum(axis=1) > 0).all())


@dataclass(frozen=True)
class _Propensities:
    """The team's outcomes by the model's propensity; leads without one have a rate of their own."""

    fitted: Any
    known: npt.NDArray[np.bool_]
    basis: str = "propensity"

    def judge(self, own: npt.NDArray[np.bool_]) -> tuple[float | None, float | None]:
        chosen = own[self.known]
        if not chosen.any():
            return None, None
        p_value = float(np.ravel(self.fitted.score_test(exog_extra=chosen.astype(float)[:, None])[1])[0])
        return float(np.asarray(self.fitted.fittedvalues)[chosen].mean()), p_value if np.isfinite(p_value) else 1.0


def _team(decided: pd.DataFrame, reached: npt.NDArray[np.bool_], stage: str, config: Config) -> Any:
    known = decided["propensity"].notna().to_numpy()
    outcomes = reached[known]
    enough = len(outcomes) and min(outcomes.sum(), (~outcomes).sum()) >= _FEWEST_OUTCOMES
    if stage == config.labels.stage and enough and known.mean() >= _MOST_KNOWN:
        propensity = decided["propensity"].to_numpy()[known]
        if np.ptp(propensity) > 0:
            return _Propensities(_fit(outcomes, propensity), known)
    labels = decided["type"].astype(str) + "\x1f" + decided["band"].astype(str)
    return _Cells(reached, labels.astype("category").cat.codes.to_numpy().astype(np.int64))


def _fit(outcomes: npt.NDArray[np.bool_], propensity: Floats) -> Any:
    from scipy.special import logit
    from statsmodels.genmod.families import Binomial
    from statsmodels.genmod.generalized_linear_model import GLM

    log_odds = logit(np.clip(propensity, 1e-4, 1 - 1e-4))
    design = np.column_stack([np.ones(len(log_odds)), log_odds])
    return GLM(outcomes.astype(float), design, family=Binomial()).fit()
