"""Metrics of one's own, as the configuration defines them."""

from __future__ import annotations

from string import Formatter
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from csql_ml.config.inputs import ALL_EVENTS
from csql_ml.config.section import Gate, Language, Positive, Section


class MetricScore(Section):
    """How a metric of one's own enters the weighted score: no points at ``zero_at``, full points at ``full_at``."""

    part: Literal["engagement", "fit", "intent"]
    zero_at: float
    full_at: float
    weight: Positive = 1.0


#: What the sentence of an own metric may quote, besides {value} and, where it is compared, {previous}.
_QUOTED: dict[str, tuple[str, ...]] = {
    "share": ("part", "part_previous", "whole", "whole_previous"),
    "change": ("amount", "amount_previous"),
}
Days = Annotated[int, Field(ge=2, le=730)]


class OwnMetric(Section):
    """A metric of one's own over a mapped signal of the product events; see docs/own-metrics.md."""

    signal: str = Field(description="a name under signals.own, a built-in signal, or all")
    measure: Literal["count", "sum", "users", "share", "change"] = Field(
        description="events, sum of their quantity, distinct users, share of another signal, change against the period "
        "before (0.25 = a quarter more)"
    )
    of: str = Field(ALL_EVENTS, description="for a share: the signal that is the whole")
    by: Literal["count", "sum", "users"] = Field("count", description="for a share or a change: of what")
    window: Annotated[tuple[Days, ...], BeforeValidator(lambda v: (v,) if isinstance(v, int) else v)] = Field(
        (30,), min_length=1, description="days; the first is the metric's own, each further one adds a column"
    )
    label: str = Field(min_length=1, description="what a reader calls it, in English")
    labels: dict[Language, str] = Field(default_factory=dict, description="the label in further languages")
    sentence: str | None = Field(None, min_length=1, description="the fact in English, with {value}, {previous}, ...")
    sentences: dict[Language, str] = Field(default_factory=dict, description="the sentence in further languages")
    description: str | None = None
    direction: Literal[-1, 0, 1] = Field(
        description="+1: more of it speaks for an expansion, -1: against, 0: no direction is claimed, never a reason"
    )
    part: Literal["success", "fit", "timing", "risk"] = "success"
    threshold: float | None = None
    gate: Gate | None = Field(None, description="the gate that opens when the threshold is reached")
    score: MetricScore | None = Field(None, description="its term of the weighted score; default: none")
    in_model: bool = Field(True, description="false: the model does not learn from it")
    shown: bool = Field(True, description="false: a report never gives it as a reason")
    actionable: bool = Field(False, description="a CSM can work on it with the customer")

    @property
    def compared(self) -> bool:
        """Whether the period before stands beside it; a change is that comparison already."""
        return self.measure != "change"

    @property
    def quotable(self) -> tuple[str, ...]:
        """The names its sentence may have in braces."""
        return ("value", *(("previous",) if self.compared else ()), *_QUOTED.get(self.measure, ()))

    @field_validator("window")
    @classmethod
    def _different(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(value)) < len(value):
            raise ValueError(f"the same number of days is given twice in {list(value)}")
        return value

    @model_validator(mode="after")
    def _fits_together(self) -> OwnMetric:
        if self.measure not in ("share", "change") and self.by != "count":
            raise ValueError(f"by goes with measure share or change, not with {self.measure}")
        if self.measure != "share" and "of" in self.model_fields_set:
            raise ValueError(f"of goes with measure share, not with {self.measure}")
        if self.measure == "share" and self.of == self.signal:
            raise ValueError(f"of and signal are both {self.of}: the share would always be 1")
        for sentence in (self.sentence, *self.sentences.values()):
            _check_sentence(sentence, self.quotable)
        return self


def _check_sentence(sentence: str | None, quotable: tuple[str, ...]) -> None:
    try:
        parts = list(Formatter().parse(sentence or ""))
    except ValueError as error:
        raise ValueError(f"sentence {sentence!r}: {error}; a brace that is text is written twice") from None
    for _, name, style, conversion in parts:
        if name is not None and (name not in quotable or style or conversion):
            allowed = ", ".join(f"{{{n}}}" for n in quotable)
            raise ValueError(f"sentence quotes {{{name}}}; this metric has {allowed}")
