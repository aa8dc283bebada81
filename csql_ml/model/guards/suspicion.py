"""What a suspect is, and the sentence it is named with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["predicts_too_well", "known_after", "missing_by_label", "importance", "skew"]


@dataclass(frozen=True)
class Suspect:
    """A column under suspicion.

    Attributes
    ----------
    feature
        Name as the user knows it: the metric, or the column of a feature table.
    kind
        Why it is suspected.
    figure, limit
        What was measured and from where on it is suspicious, in the unit of the kind: a ROC-AUC, a share, a difference
        of shares or a distance between distributions (0 to 1).
    sentence
        The suspicion in words, with figures and what to do.
    """

    feature: str
    kind: Kind
    figure: float
    limit: float
    sentence: str

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "feature": self.feature,
            "kind": self.kind,
            "figure": round(self.figure, 6),
            "limit": round(self.limit, 6),
            "sentence": self.sentence,
        }


def predicts_too_well(feature: str, auc: float, limit: float, rest: float | None) -> Suspect:
    """A single column that ranks the outcomes better than can be believed."""
    beside = "" if rest is None else f", all columns that are not suspected reach {rest:.3f} together"
    return Suspect(
        feature,
        "predicts_too_well",
        auc,
        limit,
        f"{feature} alone reaches a ROC-AUC of {auc:.3f} out of fold (suspicious from {limit:.3f} on{beside}); make "
        "sure that its values were known before the as-of date",
    )


def dates_ahead(feature: str, share: float, limit: float) -> Suspect:
    """A column of dates that lie after the as-of date."""
    return Suspect(
        feature,
        "known_after",
        share,
        limit,
        f"{feature} holds dates on or after the as-of date in {share:.1%} of the filled rows; dates that were planned "
        "(a renewal) are fine, dates of what happened later are not",
    )


def changes_with_label(feature: str, of_positives: float, of_negatives: float, limit: float) -> Suspect:
    """A column that changes where the label is 1 and hardly anywhere else."""
    return Suspect(
        feature,
        "known_after",
        of_positives,
        limit,
        f"{feature} changes from one as-of date to the next in {of_positives:.1%} of the rows with an expansion and in "
        f"{of_negatives:.1%} of those without one; it may be written down because of the expansion",
    )


def missing_by_label(feature: str, positive: float, negative: float, limit: float) -> Suspect:
    """A column whose gaps know the outcome."""
    return Suspect(
        feature,
        "missing_by_label",
        abs(positive - negative),
        limit,
        f"{feature} is missing in {positive:.1%} of the rows with an expansion and in {negative:.1%} of those without "
        "one; make sure that it is not filled in (or emptied) because of the outcome",
    )


def important(feature: str, share: float, limit: float, together: str | None) -> Suspect:
    """A column, alone or as one of two, that nearly all of a model rests on."""
    who = f"{feature} carries" if together is None else f"{feature} and {together} carry"
    return Suspect(
        feature,
        "importance",
        share,
        limit,
        f"{who} {share:.0%} of what a model makes of all columns; make sure that such a model is wanted and that the "
        "values were known before the as-of date",
    )
