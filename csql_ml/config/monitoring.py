"""The ``monitoring`` section of the configuration: what raises an alarm in ``csql monitor``."""

from __future__ import annotations

from pydantic import Field

from csql_ml.config.section import Names, Positive, Section, Share

_OF_THE_CALENDAR = (
    "tenure_days",
    "days_to_renewal",
    "earlier_csqls",
    "earlier_csqls_won",
    "earlier_csqls_rejected",
    "earlier_expansions",
    "days_since_failed_csql",
)


class Monitoring(Section):
    """What raises an alarm. The defaults are measured; see docs/monitoring.md."""

    false_alarms: float = Field(
        0.05, gt=0, le=0.5, description="share of runs in which chance alone may raise an alarm, over all checks"
    )
    smallest_shift: Positive = Field(0.15, description="standard deviations below which a sure shift raises no alarm")
    calendar: Names = Field(_OF_THE_CALENDAR, description="metrics that move by themselves: told, never an alarm")
    miscalibration: Positive = Field(0.2, description="expansions this much more or fewer than foretold (0.2: 20 %)")
    fresh_days: int = Field(7, ge=1, description="alarm if the newest event is older than this before the as-of date")
    volume_change: Share = Field(0.3, description="change of a week's events against the weeks before, at least")
    silence: float = Field(2.0, ge=1, description="a table stopped after this many times its longest gap of a year")
    accounts_change: Share = Field(0.25, description="change of the number of accounts between two runs, at least")
    unchanged_points: Share = Field(0.01, description="propensities this close count as unchanged (0.01: a point)")
    reason_churn: Share = Field(
        0.3, description="share of accounts with another main reason, score and facts unchanged"
    )
    most_accounts: int = Field(100_000, ge=1000, description="accounts of a run looked at; more are drawn from")
    seed: int = Field(7, ge=0, lt=2**31, description="of drawing")
