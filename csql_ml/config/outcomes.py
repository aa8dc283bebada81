"""The ``outcomes`` section of the configuration: what the funnel is held against, what reasons mean, experiments."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from csql_ml.config.section import Names, OwnName, Positive, Section, Share

#: What a reason for a rejection says should be looked at.
Fix = Literal["threshold", "gate", "feature", "label"]
OpportunityKinds = tuple[Literal["renewal", "expansion", "new"], ...]


class Benchmarks(Section):
    """What the field starts from; a team puts its own figures here after its first quarter."""

    accepted: Share = Field(0.70, description="accepted / created, at least")
    opportunity: Share = Field(0.50, description="became an opportunity / created, at least")
    won: Share = Field(0.30, description="won / created, at least")
    cycle_days: Positive = Field(45.0, description="median days from created to closed, at most")
    expansion_share: Share = Field(0.30, description="share of expansion ARR that began as a CSQL, at least")
    expansion_share_quarters: int = Field(2, ge=0, description="quarters after the first lead until that share is due")


class Rejection(Section):
    """One type of reason: the texts a CRM has for it, and what they ask for."""

    texts: Annotated[Names, Field(min_length=1)]
    fix: Fix
    proposal: str = Field(min_length=1, description="what to do about it, as a sentence")


def _usual_rejections() -> dict[str, Rejection]:
    usual: dict[str, tuple[tuple[str, ...], Fix, str]] = {
        "weak_signal": (
            ("weak signal", "not qualified", "not ready", "not interested", "no interest", "low score"),
            "threshold",
            "raise the score from which an account is a lead: these were let through too early",
        ),
        "bad_timing": (
            ("bad timing", "timing", "too early", "not now", "later", "next year"),
            "gate",
            "tighten the timing gate (gates.recent_days): the trigger was too old or too weak",
        ),
        "no_buyer": (
            ("no buyer", "no decision maker", "wrong contact", "no champion", "no sponsor"),
            "gate",
            "require the gate buyer_identified and keep table contacts up to date",
        ),
        "no_value": (
            ("no value", "value not proven", "no roi", "unhappy", "open issues", "at risk"),
            "gate",
            "tighten the gate value_proven or the risk check: success was not there yet",
        ),
        "no_budget": (
            ("no budget", "budget", "too expensive", "price"),
            "feature",
            "give the model a signal of money: map milestones of kind budget_expansion, or add a metric of your own",
        ),
        "no_fit": (
            ("no fit", "wrong product", "no need", "no use case", "not relevant"),
            "feature",
            "sharpen what says which product comes next: gated features per module, ticket topics, goals",
        ),
        "duplicate": (
            ("duplicate", "already in progress", "already known", "existing opportunity"),
            "label",
            "map table opportunities completely: an account in work must not become a lead nor count as an outcome",
        ),
        "not_expansion": (
            ("not expansion", "renewal", "churn save", "not an expansion", "support request"),
            "label",
            "log renewals and saves under their own type: they are neither leads nor outcomes to learn from",
        ),
    }
    return {name: Rejection(texts=texts, fix=fix, proposal=words) for name, (texts, fix, words) in usual.items()}


#: The types most CRMs can be mapped to; ``outcomes.rejections`` adds types and replaces those of the same name.
USUAL_REJECTIONS = _usual_rejections()


class Experiment(Section):
    """How a proof of concept is planned and read."""

    holdout_share: float = Field(0.5, gt=0, lt=1, description="share of the units that is not worked")
    follow_up_days: int = Field(75, ge=0, description="days after the last worked day until outcomes are complete")
    power: float = Field(0.8, gt=0, lt=1, description="chance to see the smallest detectable effect")


class Outcomes(Section):
    """Funnel figures (``csql measure``) and the proof of concept (``csql poc``)."""

    confidence: float = Field(0.95, gt=0.5, lt=1, description="of every interval")
    benchmarks: Benchmarks = Benchmarks()
    nrr_quarters: int = Field(4, ge=1, le=8, description="quarters that net revenue retention looks back")
    net_new_blocked_by: OpportunityKinds = Field(
        ("renewal", "expansion", "new"),
        description="kinds of opportunity that, open when a lead is raised, make it not net-new",
    )
    run_match_days: int = Field(
        92, ge=1, description="a lead belongs to the newest run of at most so many days before it"
    )
    fewest_leads: int = Field(5, ge=2, description="leads of a CSM from which a difference to the team is judged")
    resamples: int = Field(999, ge=199, le=9999, description="bootstrap repetitions for sums and shares of money")
    rejections: dict[OwnName, Rejection] = Field(
        default_factory=dict, description="types of reasons beside the usual ones, or in their place by the same name"
    )
    experiment: Experiment = Experiment()

    @field_validator("rejections")
    @classmethod
    def _says_one_thing(cls, value: dict[str, Rejection]) -> dict[str, Rejection]:
        seen: dict[str, str] = {}
        for name, rejection in value.items():
            for text in rejection.texts:
                key = plain_reason(text)
                if not key:
                    raise ValueError(f"{name}.texts: {text!r} has neither letters nor digits")
                if seen.setdefault(key, name) != name:
                    raise ValueError(f"{name}.texts: {text!r} stands under {seen[key]}, too; a text has one type")
        return value

    @model_validator(mode="after")
    def _something_blocks(self) -> Outcomes:
        if not self.net_new_blocked_by:
            raise ValueError("net_new_blocked_by must name at least one of renewal, expansion, new")
        return self


def plain_reason(text: str) -> str:
    """A reason in lower case, words apart by one space, without punctuation: what reasons are compared by."""
    return " ".join("".join(c if c.isalnum() else " " for c in text.casefold()).split())
