"""What the model report is made of: sections with figures, each with its table, and the words that all of them use."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from csql_ml.reports import wording as w
from csql_ml.reports.evidence_text import Facts
from csql_ml.reports.texts import Texts
from csql_ml.reports.wording import N_

Plain = Mapping[str, Any]
Cell = str | Markup

JUDGED = {
    "model": N_("Model"),
    "logistic": N_("Logistic regression"),
    "baseline": N_("Rules"),
    "champion": N_("Champion"),
    "challenger": N_("Challenger"),
}
FIGURE = {
    "roc_auc": N_("ROC-AUC"),
    "average_precision": N_("Average precision"),
    "log_loss": N_("Log loss (less is better)"),
    "brier": N_("Brier score (less is better)"),
    "ece": N_("Calibration error, ECE (less is better)"),
    "precision_at_k": N_("Precision at capacity"),
    "arr_at_k": N_("ARR won at capacity"),
    "arr_share_at_k": N_("Share of the ARR won at capacity"),
}
#: Class of a judged model's drawings: a challenger is drawn like the model, a champion like the second line.
KIND = {"model": "model", "challenger": "model", "logistic": "other", "champion": "other", "baseline": "rules"}
_SHARES = ("precision_at_k", "arr_share_at_k")
_DIGITS = 4


@dataclass(frozen=True)
class Figure:
    """A drawing with its words and its table.

    Attributes
    ----------
    chart
        None for a table alone.
    key
        Class and word of what the drawing shows.
    header, rows
        The table; cells of the columns in ``left`` are texts, others numbers.
    unfolded
        Whether the table is open from the start.
    wide
        Whether it takes the whole width.
    """

    title: str
    chart: Markup | None
    header: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    hint: str = ""
    key: Sequence[tuple[str, str]] = ()
    left: frozenset[int] = frozenset({0})
    unfolded: bool = False
    wide: bool = False


@dataclass(frozen=True)
class Section:
    """A part of the page; ``says`` are its sentences, ``absent`` why there is nothing else."""

    id: str
    title: str
    hint: str = ""
    says: Sequence[str] = ()
    figures: Sequence[Figure] = ()
    absent: str = ""
    swarm: Sequence[Mapping[str, Any]] = ()
    swarm_axis: Sequence[str] = ()


@dataclass(frozen=True)
class Words:
    """Texts of one language, and the names of metrics and judged models in it."""

    texts: Texts
    facts: Facts

    def judged(self, name: str) -> str:
        """What a judged model is called."""
        return w.word(self.texts, JUDGED, name)

    def figure(self, name: str) -> str:
        """What a figure is called."""
        return w.word(self.texts, FIGURE, name)

    def value(self, value: float | None, figure: str, *, signed: bool = False) -> str:
        """A figure's value in its unit; ``signed``: a difference, of shares in percentage points."""
        texts = self.texts
        if value is None:
            return texts.gettext("not known")
        if figure == "arr_at_k":
            return texts.signed_money(round(value)) if signed else texts.money(round(value))
        if figure in _SHARES:
            return texts.signed_decimals(100 * value, 1) if signed else texts.percent(value, 1)
        return texts.signed_decimals(value, _DIGITS) if signed else texts.decimals(value, _DIGITS)

    def interval(self, low: float | None, high: float | None, figure: str, *, signed: bool = False) -> str:
        """From low to high, or nothing where there is none."""
        if low is None or high is None:
            return ""
        one, other = (self.value(v, figure, signed=signed) for v in (low, high))
        return self.texts.gettext("{low} to {high}", low=one, high=other)

    def estimate(self, of: Plain, figure: str, *, signed: bool = False, prefix: str = "") -> str:
        """A value with its interval."""
        value, low, high = (of[f"{prefix}{k}"] for k in ("value", "low", "high"))
        return self.ranged(value, low, high, lambda v: self.value(v, figure, signed=signed))

    def ranged(self, value: float | None, low: float | None, high: float | None, write: Callable[[float], str]) -> str:
        """A value with its interval, where there are any."""
        if value is None:
            return self.texts.gettext("not known")
        if low is None or high is None:
            return write(value)
        return self.texts.gettext("{value} ({low} to {high})", value=write(value), low=write(low), high=write(high))

    def points(self, share: float) -> str:
        """Probability as signed percentage points."""
        return self.texts.signed_decimals(100 * share, 1)

    def axis(self, figure: str) -> Callable[[float], str]:
        """How a figure is written on an axis."""
        texts = self.texts
        if figure == "arr_at_k":
            return texts.short_money
        if figure in _SHARES:
            return texts.percent
        return lambda value: texts.number(value, 3)


def key_of(names: Sequence[str], words: Words) -> list[tuple[str, str]]:
    """Class and word of judged models."""
    return [(KIND[name], words.judged(name)) for name in names]
