"""Types and money: which kind of expansion a win would be, what it would bring, and how sure that is.

* **Types.** P(type) = propensity * P(type | win, hypothesis): upsell, cross-sell and referral add up to the headline.
  P(type | win, hypothesis) starts as the rules (`RULES_SHARE` for the type of the hypothesis) and is worth
  `RULES_WINS` imagined wins; the company's own wins with that hypothesis outweigh them as they come in.
* **Money.** What a win of a type brings, as a share of the account's ARR at the as-of date: the median of the company's
  own wins (`csql_ml.model.assembly.arr_shares`), its 90 % interval from resampled wins, and the middle 80 % of the
  wins themselves. The first says how sure the expectation is, the second how far a single win may lie from it.
  Amounts come from leads of new revenue alone: renewals are no leads, and accounts with a lead or an expansion in work
  are no candidates, so neither is in any total.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from csql_ml.contract.tables import LEAD_TYPES

if TYPE_CHECKING:
    from csql_ml.config import Config
    from csql_ml.model.training_data import TrainingData

Floats = npt.NDArray[np.float64]

#: Column of the training table with the type of the rules' hypothesis, '' where the facts pointed at nothing.
HYPOTHESIS = "hypothesis_type"
NO_HYPOTHESIS = "none"
#: P(type of the hypothesis | win) while no win says better, and the number of wins this assumption is worth.
RULES_SHARE, RULES_WINS = 0.8, 10.0
#: From so many wins with a hypothesis on, its types are the company's own and no longer the rules'.
OWN_WINS = 20
_REPETITIONS = 500
_COVERAGE, _MIDDLE = 0.9, 0.8
_DRAWS = 2_000


def money_facts(data: TrainingData, config: Config) -> dict[str, Any]:
    """What wins say about types and amounts, as plain values for the champion's ``training``.

    Parameters
    ----------
    data
        Its table may hold `HYPOTHESIS`; each win counts once, though overlapping snapshots may see it several times.
    """
    rows = data.with_labels(data.now)
    wins = rows[(rows["label"] == 1) & rows["lead_type"].isin(LEAD_TYPES)]
    wins = wins.drop_duplicates(["account_id", "lead_type", "amount"])
    return {"types": _types(wins), "shares": _shares(wins, config)}


def _types(wins: pd.DataFrame) -> dict[str, Any]:
    """Per hypothesis: P(type | win), the wins it rests on, and whether these outweigh the rules."""
    if HYPOTHESIS in wins:
        said = wins[HYPOTHESIS].where(wins[HYPOTHESIS].isin(LEAD_TYPES), NO_HYPOTHESIS)
    else:
        said = pd.Series(NO_HYPOTHESIS, index=wins.index)
    return {h: _of_hypothesis(h, wins.loc[said == h, "lead_type"]) for h in (*LEAD_TYPES, NO_HYPOTHESIS)}


def _of_hypothesis(hypothesis: str, types: pd.Series) -> dict[str, Any]:
    counts = np.array([(types == t).sum() for t in LEAD_TYPES], dtype=np.float64)
    chance = (rules_types(hypothesis) * RULES_WINS + counts) / (RULES_WINS + counts.sum())
    return {
        "chance": dict(zip(LEAD_TYPES, chance.tolist(), strict=True)),
        "wins": int(counts.sum()),
        "source": "own_wins" if counts.sum() >= OWN_WINS else "rules",
    }


def rules_types(hypothesis: str | None) -> Floats:
    """(types,) P(type | win) by the rules alone, in the order of `LEAD_TYPES`; equal where nothing is pointed at."""
    if hypothesis not in LEAD_TYPES:
        return np.full(len(LEAD_TYPES), 1 / len(LEAD_TYPES))
    others = (1 - RULES_SHARE) / (len(LEAD_TYPES) - 1)
    return np.array([RULES_SHARE if t == hypothesis else others for t in LEAD_TYPES])


def _shares(wins: pd.DataFrame, config: Config) -> dict[str, Any]:
    """Per type: expected share of ARR with its interval, and the middle of single wins; assumed ones have neither."""
    found = {}
    for number, kind in enumerate(LEAD_TYPES):
        of = wins[(wins["lead_type"] == kind) & wins["amount"].notna() & (wins["arr"] > 0)]
        share = (of["amount"] / of["arr"]).to_numpy(dtype=np.float64)
        if len(share) < config.handoff.min_wins_for_arr:
            assumed = float(getattr(config.handoff.arr_share, kind))
            found[kind] = {"share": assumed, "wins": len(share), "source": "assumed", "interval": None, "single": None}
            continue
        rng = np.random.default_rng([config.model.seed, number])
        medians = np.median(rng.choice(np.sort(share), (_REPETITIONS, len(share))), axis=1)
        found[kind] = {
            "share": float(np.median(share)),
            "wins": len(share),
            "source": "own_wins",
            "interval": _between(medians, _COVERAGE),
            "single": _between(share, _MIDDLE),
        }
    return found


def _between(values: Floats, share: float) -> list[float]:
    return [float(v) for v in np.quantile(values, [(1 - share) / 2, (1 + share) / 2])]


def account_money(
    facts: Mapping[str, Any] | None,
    *,
    propensity: float,
    interval: Mapping[str, Any] | None,
    arr: float | None,
    hypothesis: str | None,
    expected_arr: float | None,
) -> dict[str, Any]:
    """Types and money of one account, for its record.

    Parameters
    ----------
    facts
        As `money_facts` gave them; None for bundles without: the rules alone then. Its ``types`` are None where nobody
        knows the types of wins (a feature table).
    interval
        ``low`` and ``high`` of the propensity; None where there is none.
    hypothesis
        Type of the rules' hypothesis, None where the facts point at nothing.
    expected_arr
        As in the scores.

    Returns
    -------
    dict
        ``types``: per type its probability, which add up to ``propensity``, or None; ``types_from``: ``own_wins``,
        ``rules`` or ``not_known``;
        ``expected_arr`` with ``low`` and ``high`` (None where ARR or wins are not known); ``if_won``: ``low`` and
        ``high`` of four in five wins.
    """
    types, source = _account_types(facts, propensity, hypothesis)
    return {
        "types": types,
        "types_from": source,
        "expected_arr": _expected(facts, propensity, interval, arr, hypothesis, expected_arr),
        "if_won": _if_won(facts, arr, hypothesis),
    }


def _account_types(
    facts: Mapping[str, Any] | None, propensity: float, hypothesis: str | None
) -> tuple[dict[str, float] | None, str]:
    if facts is not None and facts["types"] is None:
        return None, "not_known"
    known = hypothesis if hypothesis in LEAD_TYPES else NO_HYPOTHESIS
    of = None if facts is None else facts["types"][known]
    chance = rules_types(hypothesis) if of is None else np.array([of["chance"][t] for t in LEAD_TYPES])
    by_type = dict(zip(LEAD_TYPES, (propensity * chance).tolist(), strict=True))
    return by_type, "rules" if of is None else str(of["source"])


def _share_of(facts: Mapping[str, Any] | None, arr: float | None, hypothesis: str | None) -> Mapping[str, Any] | None:
    """The shares of the hypothesis' type, where they are the company's own and there is an ARR to take them of."""
    if facts is None or arr is None or hypothesis not in LEAD_TYPES:
        return None
    found: Mapping[str, Any] = facts["shares"][hypothesis]
    return found if found["source"] == "own_wins" else None


def _expected(
    facts: Mapping[str, Any] | None,
    propensity: float,
    interval: Mapping[str, Any] | None,
    arr: float | None,
    hypothesis: str | None,
    expected_arr: float | None,
) -> dict[str, float | None]:
    share = _share_of(facts, arr, hypothesis)
    if share is None or expected_arr is None or arr is None:
        return {"value": expected_arr, "low": None, "high": None}
    low, high = (propensity, propensity) if interval is None else (float(interval["low"]), float(interval["high"]))
    least, most = share["interval"]
    return {"value": expected_arr, "low": low * arr * least, "high": high * arr * most}


def _if_won(facts: Mapping[str, Any] | None, arr: float | None, hypothesis: str | None) -> dict[str, float] | None:
    share = _share_of(facts, arr, hypothesis)
    if share is None or arr is None:
        return None
    least, most = share["single"]
    return {"low": arr * least, "high": arr * most}


def total_expected(
    facts: Mapping[str, Any] | None, propensity: Floats, potential: Floats, kinds: Sequence[str | None], seed: int = 7
) -> dict[str, float | int | None]:
    """Incremental ARR that some accounts are expected to bring together, and its 90 % interval.

    Accounts win or not by their propensities, independently; a win brings its potential, spread as the middle of the
    company's own wins where there are enough (a log-normal with these quantiles). Leave out accounts that cannot be a
    lead now, so that open pipeline does not count.

    Parameters
    ----------
    propensity, potential
        (n,) probabilities, and what a win brings; accounts without a potential count nothing.
    kinds
        (n,) types of the hypotheses.
    """
    known = np.isfinite(potential)
    p, amount = propensity[known], potential[known]
    kinds = [k for k, there in zip(kinds, known, strict=True) if there]
    if not len(p):
        return {"accounts": 0, "value": None, "low": None, "high": None}
    spread = np.array([_log_spread(facts, k) for k in kinds])
    rng = np.random.default_rng(seed)
    totals = np.zeros(_DRAWS)
    for draw in range(_DRAWS):
        won = rng.random(len(p)) < p
        totals[draw] = (amount[won] * np.exp(spread[won] * rng.standard_normal(int(won.sum())))).sum()
    low, high = np.quantile(totals, [(1 - _COVERAGE) / 2, (1 + _COVERAGE) / 2])
    return {"accounts": len(p), "value": float((p * amount).sum()), "low": float(low), "high": float(high)}


def _log_spread(facts: Mapping[str, Any] | None, kind: str | None) -> float:
    """Standard deviation of the logarithm of what wins of a type bring; 0 where it is not known."""
    share = _share_of(facts, 1.0, kind)
    if share is None or not share["single"][0] > 0:
        return 0.0
    from scipy.stats import norm

    return float(np.log(share["single"][1] / share["single"][0]) / (2 * norm.ppf((1 + _MIDDLE) / 2)))
