"""What `csql monitor` found, in sentences: one template per code, filled with formatted values."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from csql_ml.metrics import registry
from csql_ml.metrics.faces import Spoken
from csql_ml.monitoring.findings import Finding
from csql_ml.reports import wording as w
from csql_ml.reports.evidence_text import Facts
from csql_ml.reports.run_folder import own_metrics_of
from csql_ml.reports.texts import Texts
from csql_ml.reports.wording import N_

LEVEL = {"alarm": N_("Alarm"), "watch": N_("Watch"), "fine": N_("Fine"), "unknown": N_("Not judged")}
SCORE = {"propensity": N_("Propensity"), "baseline_score": N_("Weighted score")}
SENTENCE = {
    "drift_score": N_(
        "{subject} stands elsewhere than in the reference: {distance} of the accounts moved past some value (chance "
        "alone: below {chance}), the mean by {shift} standard deviations."
    ),
    "drift_metric": N_(
        "{subject} has drifted: {distance} of the accounts moved past some value (chance alone: below {chance}), the "
        "mean by {shift} standard deviations."
    ),
    "drift_words": N_("{subject} has drifted: {distance} of the accounts moved (chance alone: below {chance})."),
    "drift_missing": N_("{subject} is missing for {after} of the accounts; in the reference for {before}."),
    "drift_fine": N_("Nothing among scores and metrics drifted further than chance and the configured size allow."),
    "reference_old_bundle": N_(
        "The bundle of model {subject} was written before bundles kept distributions, so drift was not judged; train "
        "again, or name an earlier run with --reference."
    ),
    "reference_no_bundle": N_(
        "The bundle of model {subject} is not in the models folder, so drift was not judged; name a bundle or an "
        "earlier run with --reference."
    ),
    "reference_old_bundle_run": N_(
        "The bundle of model {subject} was written before bundles kept distributions; drift was judged against the "
        "run of {before} instead."
    ),
    "reference_no_bundle_run": N_(
        "The bundle of model {subject} is not in the models folder; drift was judged against the run of {before} "
        "instead."
    ),
    "outcomes_wait": N_(
        "Outcomes of the run of {as_of} are complete from {day}; until then nothing can be said of them."
    ),
    "calibration_prior": N_(
        "The propensities of the run of {as_of} were a starting assumption: {came} of {observed} accounts expanded."
    ),
    "calibration_few": N_("Only {observed} accounts of the run of {as_of} have an outcome: too few to judge."),
    "calibration_fine": N_(
        "Of {observed} accounts of the run of {as_of}, {came} expanded and {open} have an open lead; {foretold} "
        "were foretold. That is within chance."
    ),
    "calibration_off": N_(
        "Of {observed} accounts of the run of {as_of}, {came} expanded and {open} have an open lead; {foretold} "
        "were foretold. That is more than chance: {off} against what was foretold."
    ),
    "calibration_crooked": N_(
        "Of {observed} accounts of the run of {as_of}, {came} expanded and {open} have an open lead; {foretold} "
        "were foretold. In all that is near, but among high or low propensities it is not: see the table."
    ),
    "precision": N_(
        "Of {of} qualified accounts of the run of {as_of}, {rate} expanded ({low} to {high}); {foretold} were foretold."
    ),
    "own_features": N_("The run was made from a feature table: there are no outcomes and no arrivals to look at."),
    "no_events": N_("No event was known before {as_of}."),
    "events_late": N_("The newest event is of {day}, {days} before the as-of date; at most {limit} are usual."),
    "events_fresh": N_("The newest event is of {day}, {days} before the as-of date."),
    "volume_short": N_("Events reach back too few weeks to say how many are usual."),
    "volume_usual": N_("The last week had {events} events; between {low} and {high} are usual."),
    "volume_changed": N_(
        "The last week had {events} events, {change} against the weeks before; between {low} and {high} are usual."
    ),
    "volume_holes": N_("{days} without any event in the last four weeks, the first on {first}."),
    "table_stopped": N_(
        "Table {subject} has had no news since {day}, for {days}; its longest gap in a year was {longest}."
    ),
    "accounts_usual": N_("{accounts} accounts were scored, {earlier} in the run of {before}."),
    "accounts_changed": N_("{accounts} accounts were scored, {change} against the {earlier} in the run of {before}."),
    "reasons_no_earlier": N_("Reasons were not compared: name an earlier run with --earlier."),
    "reasons_few": N_("Only {of} accounts have an unchanged score since {before}: too few to compare reasons."),
    "reasons_fine": N_(
        "Of {of} accounts with an unchanged score since {before}, {changed} have another main reason, {unfounded} of "
        "them without a changed fact."
    ),
    "reasons_churn": N_(
        "Of {of} accounts with an unchanged score since {before}, {changed} have another main reason, and {unfounded} "
        "of them without a changed fact: the model speaks differently of the same accounts."
    ),
}
_SHARES = ("distance", "chance", "before", "after", "rate", "low", "high", "off", "foretold", "change")
_DAYS = ("days", "limit", "longest")


class MonitorTexts:
    """Sentences for one run in one language.

    Parameters
    ----------
    manifest
        Of the run; its own metrics have their words there.
    """

    def __init__(self, texts: Texts, manifest: Mapping[str, Any]) -> None:
        self.texts = texts
        metrics: dict[str, Spoken] = {**registry(), **own_metrics_of(manifest)}
        self._facts = Facts(texts, metrics)

    def name(self, subject: str) -> str:
        """What a reader calls a score or a metric."""
        return w.word(self.texts, SCORE, subject) if subject in SCORE else self._facts.label(subject)

    def sentence(self, finding: Finding) -> str:
        """The finding as a sentence."""
        values = {key: self._written(finding.code, key, value) for key, value in finding.values.items()}
        code = finding.code
        if code in ("drift_metric", "drift_score") and finding.values["shift"] is None:
            code = "drift_words"
        named = code.startswith("drift")
        return self.texts.gettext(
            SENTENCE[code], **values, subject=self.name(finding.subject) if named else finding.subject
        )

    def _written(self, code: str, key: str, value: Any) -> str:
        texts = self.texts
        if value is None:
            return texts.missing
        if isinstance(value, date):
            return texts.date(value)
        if key == "shift":
            return signed(texts, value)
        if key in _DAYS:
            return texts.days(value)
        counted = key in ("low", "high", "usual") and code.startswith("volume")
        if key == "change" or (key == "off" and code == "calibration_off"):
            return texts.signed_percent(value)
        if key in _SHARES and isinstance(value, float) and not counted and not self._sum(code, key):
            return texts.percent(value)
        return texts.number(value, 1 if self._sum(code, key) else 0)

    def _sum(self, code: str, key: str) -> bool:
        return key == "foretold" and code.startswith("calibration")


def signed(texts: Texts, value: float) -> str:
    """A difference with its sign and two decimals."""
    rounded = round(value, 2)
    sign = "+" if rounded > 0 else "\N{MINUS SIGN}" if rounded < 0 else ""
    return sign + texts.number(abs(rounded), 2)
