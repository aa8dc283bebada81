"""Sections on metrics, score, gates, labels, model, hand-off and tracking."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from csql_ml.config.section import Gate, Names, Positive, Section, Share, Stage, Weight


class MetricSettings(Section):
    """Overrides of single metrics: threshold, weight in the score, the ramp from nothing to full points."""

    threshold: float | None = None
    weight: Weight | None = None
    zero_at: float | None = None
    full_at: float | None = None
    exclude: bool = Field(False, description="leave this metric out of score and model")


class Engagement(Section):
    """The engagement score, 0 to 100: weights of its parts and what counts as full use."""

    breadth: Weight = 0.4
    depth: Weight = 0.3
    frequency: Weight = 0.3
    full_depth: Positive = Field(12.0, description="core events per active user and day that count as full depth")
    full_frequency: Positive = Field(15.0, description="active days per active user in 30 days that count as full")

    @model_validator(mode="after")
    def _some_weight(self) -> Engagement:
        if self.breadth + self.depth + self.frequency <= 0:
            raise ValueError("at least one of breadth, depth, frequency must be above 0")
        return self


class IdealCustomer(Section):
    """Ideal customer profile (ICP): how close a segment, an industry or a size is to it, 0 to 1."""

    segments: dict[str, Share] = Field(default_factory=dict)
    industries: dict[str, Share] = Field(default_factory=dict)
    min_employees: int | None = Field(None, ge=0)
    max_employees: int | None = Field(None, ge=0)


class ScoreWeights(Section):
    """CSQL score = engagement * w1 + fit * w2 + intent * w3."""

    engagement: Weight = 0.4
    fit: Weight = 0.25
    intent: Weight = 0.35

    @model_validator(mode="after")
    def _some_weight(self) -> ScoreWeights:
        if self.engagement + self.fit + self.intent <= 0:
            raise ValueError("at least one of engagement, fit, intent must be above 0")
        return self


class Risk(Section):
    """What holds an account back; ``null`` switches a check off."""

    open_high_severity_tickets: int | None = Field(1, ge=1, description="hold from this many on")
    usage_decline: float | None = Field(-0.25, le=0, description="hold at this month-over-month change or below")
    engagement_decline: float | None = Field(-25.0, le=0, description="hold at this change in points or below")


class Gates(Section):
    """The four hard gates, and what opens them."""

    required: tuple[Gate, ...] = ("value_proven", "next_product", "buyer_identified", "timing")
    recent_days: int = Field(180, ge=1, description="how long a milestone or a new sponsor counts as a trigger")


class Baseline(Section):
    """The rule-based champion of day one."""

    weights: ScoreWeights = ScoreWeights()
    threshold: float = Field(50.0, ge=0, le=100, description="score from which an account is a CSQL")
    prior_rate: float = Field(0.1, gt=0, lt=1, description="expected share of expansions while there are no labels")


class Eligibility(Section):
    """Who can be a CSQL at all."""

    min_tenure_days: int = Field(30, ge=0)
    cooldown_days: int = Field(30, ge=0, description="after a rejected or lost lead")


class Labels(Section):
    """What counts as an expansion."""

    stage: Stage = "won"
    horizon_quarters: int = Field(1, ge=0, le=8, description="full quarters after the current one")
    without_coverage: Literal["unobserved", "negative"] = Field(
        "unobserved", description="accounts without a lead where there is no coverage table"
    )
    min_coverage_share: Share = Field(
        0.5, description="share of the days from the as-of date to its quarter's end that must be covered"
    )


class Model(Section):
    """Training. The defaults are measured; see docs/benchmarks.md before changing them."""

    seed: int = Field(7, ge=0, lt=2**31)
    bags: int = Field(4, ge=1, le=50)
    shrinkage: Weight = Field(5.0, description="pull of the stack towards the weighted score")
    reference_size: int = Field(300, ge=20, le=500, description="accounts that explanations compare with")
    refits: int = Field(20, ge=0, le=99, description="bootstrap refits behind intervals and stable reasons; 0: none")
    bootstrap: int = Field(200, ge=20, le=5000, description="account bootstrap repetitions in the verdict")
    min_positives: int = Field(20, ge=5, description="fewer positive labels than this: keep the rules")
    test_snapshots: int = Field(2, ge=1, le=24, description="newest mature snapshots the verdict is made on")
    group: Names = Field((), description="extra group columns of a feature table (--features)")
    selection: Literal["none", "inverse_propensity"] = Field(
        "none", description="whether worked accounts are weighted to stand for all accounts"
    )
    trusted: Names = Field((), description="metrics or columns that are never suspected of knowing the outcome")


class Scoring(Section):
    """Capacity and bands."""

    capacity_per_portfolio: int = Field(10, ge=1, description="accounts a CSM can work; the k of every top-k figure")
    high_band: Share = Field(0.9, description="percentile above which the band is 'high'")
    medium_band: Share = Field(0.7, description="percentile above which the band is 'medium'")

    @model_validator(mode="after")
    def _ordered(self) -> Scoring:
        if self.high_band < self.medium_band:
            raise ValueError("high_band must not be below medium_band")
        return self


class ArrShare(Section):
    """Expected incremental ARR as a share of today's ARR, until the company's own wins say better."""

    upsell: Weight = 0.20
    cross_sell: Weight = 0.25
    referral: Weight = 0.10


class Handoff(Section):
    """The lead record."""

    lead_source: str = "CSQL"
    sla_days: int = Field(5, ge=1, description="days the account executive has to answer")
    arr_share: ArrShare = ArrShare()
    min_wins_for_arr: int = Field(10, ge=1, description="won leads of a type from which their median share is used")


class Tracking(Section):
    """MLflow. Default: a SQLite file beside the models."""

    uri: str | None = None
    experiment: str = "csql_ml"
    registered_model: str = "csql"
    enabled: bool = True
