"""Figures against their benchmarks, as plain sentences."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from csql_ml.outcomes.figures import Amount, Median, Rate
from csql_ml.outcomes.lead_book import STAGES
from csql_ml.outcomes.measure import Measured

if TYPE_CHECKING:
    from csql_ml.config import Config

Standing = Literal["met", "missed", "too early", "no data"]
_STAGE_WORDS = {"accepted": "were accepted", "opportunity": "became an opportunity", "won": "were won"}


@dataclass(frozen=True)
class Verdict:
    """One figure held against its benchmark.

    Attributes
    ----------
    standing
        ``met`` or ``missed`` whatever becomes of the open leads; ``too early`` where they decide.
    sure
        Whether the whole interval lies on that side: no more than chance could move it.
    """

    name: str
    benchmark: float
    standing: Standing
    sure: bool
    sentence: str


def verdicts(result: Measured, config: Config) -> tuple[Verdict, ...]:
    """The figures of the whole report that have a benchmark."""
    limits, line = config.outcomes.benchmarks, result.total
    rates = [_of_rate(stage, line.stages[stage], float(getattr(limits, stage))) for stage in STAGES]
    share = line.expansion_share or Amount(None, None, None)
    return (
        *rates,
        _of_cycle(line.cycle, limits.cycle_days),
        _of_share(share, limits.expansion_share, limits.expansion_share_quarters, result.share_due),
    )


def _of_rate(stage: str, found: Rate, limit: float) -> Verdict:
    if found.value is None or found.most is None or found.low is None or found.high is None:
        return Verdict(stage, limit, "no data", False, f"No leads, so none that {_STAGE_WORDS[stage]}.")
    standing: Standing = "met" if found.value >= limit else "missed" if found.most < limit else "too early"
    sure = found.low >= limit if standing == "met" else found.high < limit
    counted = f"{found.reached:,} of {found.created:,} leads {_STAGE_WORDS[stage]} ({found.value:.0%}"
    if found.open and f"{found.most:.0%}" != f"{found.value:.0%}":
        left = f"{found.open:,} open ones are" if found.open > 1 else "1 open one is"
        counted += f", and up to {found.most:.0%} once {left} decided"
    counted += ")"
    return Verdict(stage, limit, standing, sure, f"{counted}; {_held(standing, sure, f'at least {limit:.0%}')}.")


def _held(standing: Standing, sure: bool, benchmark: str) -> str:
    if standing == "too early":
        return f"too early to say against {benchmark}"
    side = "reaches the benchmark of" if standing == "met" else "misses the benchmark of"
    return f"{side} {benchmark}" + ("" if sure else ", though so few leads could be on that side by chance")


def _of_cycle(found: Median, limit: float) -> Verdict:
    seen = found.ended + found.open
    if not seen:
        return Verdict("cycle", limit, "no data", False, "No leads that were not rejected, so no cycle.")
    if found.value is None:
        longer = "fewer than half of the leads have been closed, so the median cycle is not reached yet"
        return Verdict("cycle", limit, "too early", False, f"{longer[0].upper()}{longer[1:]}.")
    standing: Standing = "met" if found.value <= limit else "missed"
    high, low = found.high, found.low
    sure = (high is not None and high <= limit) if standing == "met" else (low is not None and low > limit)
    censored = f", {found.open:,} of {seen:,} still open" if found.open else ""
    words = f"The median lead takes {found.value:.0f} days from created to closed{censored}"
    return Verdict("cycle", limit, standing, sure, f"{words}; {_held(standing, sure, f'at most {limit:.0f} days')}.")


def _of_share(found: Amount, limit: float, quarters: int, due: bool) -> Verdict:
    name = "expansion_share"
    if found.value is None:
        return Verdict(name, limit, "no data", False, "No expansion ARR was won in the period.")
    words = f"{found.value:.0%} of the expansion ARR began as a CSQL"
    reached = found.value >= limit
    if not reached and not due:
        wait = f"{limit:.0%} is due {quarters} quarters after the first lead"
        return Verdict(name, limit, "too early", False, f"{words}; {wait}.")
    standing: Standing = "met" if reached else "missed"
    end = found.low if reached else found.high
    sure = end is not None and (end >= limit if reached else end < limit)
    return Verdict(name, limit, standing, sure, f"{words}; {_held(standing, sure, f'at least {limit:.0%}')}.")


def sentences(result: Measured, config: Config) -> Iterator[str]:
    """The report for RevOps: one sentence per benchmark, then the money, then what to look at."""
    line = result.total
    if not line.created:
        yield "No leads were raised, so there is nothing to hold against the benchmarks."
    else:
        yield from (v.sentence for v in verdicts(result, config))
    if line.retention is not None and line.retention.with_csql.value is not None:
        yield _retention(result, config)
    if line.net_new is not None and line.net_new.created:
        share = f"{line.net_new.reached:,} of {line.net_new.created:,}"
        yield f"{share} leads were net-new: no opportunity of the account was open when they were raised."
    yield from _portfolios(result)


def _retention(result: Measured, config: Config) -> str:
    kept = result.total.retention
    assert kept is not None
    whole, rest, more = kept.with_csql.value, kept.without_csql.value, kept.uplift.value
    assert whole is not None
    assert rest is not None
    assert more is not None
    quarters = config.outcomes.nrr_quarters
    since = f"since {kept.period.start.isoformat()} ({quarters} quarter{'s' if quarters > 1 else ''})"
    return (
        f"Net revenue retention {since} is {whole:.1%}; without CSQL revenue it would be {rest:.1%}, so CSQLs "
        f"stand behind {more * 100:.1f} points of it."
    )


def _portfolios(result: Measured) -> Iterator[str]:
    judged = [c for c in result.csms if c.p_value is not None]
    apart = [c for c in judged if c.finding in ("above the team", "below the team")]
    if judged and not apart:
        yield "No CSM differs from what the team makes of leads like theirs by more than noise."
    for c in apart:
        assert c.decided.value is not None
        assert c.expected is not None
        yield (
            f"{c.csm} is {c.finding} at {c.stage}: {c.decided.value:.0%} of {c.decided.created:,} decided leads, "
            f"where {c.expected:.0%} would be expected of leads like these; more than noise."
        )
