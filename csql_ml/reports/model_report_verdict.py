"""The verdict as a headline, sentences and the figures it rests on."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from csql_ml.reports import wording as w
from csql_ml.reports.model_report_parts import Plain, Words
from csql_ml.reports.wording import N_

_VERDICT = {"promote": N_("The model replaces the rules"), "keep": N_("The rules stay")}
_SUCCESSION = {
    "promote": N_("The challenger replaces the champion"),
    "keep": N_("The champion stays"),
    "fall_back": N_("The rules come back"),
}
_REASON = {
    "promoted": N_("The whole interval is on the better side, so the model replaces the rules."),
    "worse_loss": N_("The whole interval is on the worse side, so the rules stay."),
    "worse_top": N_("At the top of the list, where it counts, the model is proven worse, so the rules stay."),
    "cannot_tell": N_(
        "The interval holds zero, so it cannot be told yet whether the model is better, and the rules stay."
    ),
    "no_usable_signal": N_(
        "There is no usable signal: neither the model nor the rules told accounts that expanded from the others "
        "reliably better than a coin would, so the rules stay."
    ),
    "no_labels": N_("No outcome is complete yet, so the rules are used."),
    "too_few_positives": N_("The rules stay: there are too few positive outcomes to judge a model on."),
    "too_few_negatives": N_("The rules stay: there are too few negative outcomes to judge a model on."),
}
_OPENING = {
    "better": N_("The challenger is proven better than the champion."),
    "champion_failed": N_(
        "The champion has become worse than the rules, and the challenger is proven better than they are."
    ),
    "rules_better": N_(
        "The champion has become worse than the rules, and the challenger is not proven better than they are."
    ),
    "same_model": N_("Training now gives the same model again."),
    "worse": N_("The challenger is proven worse than the champion."),
    "cannot_tell": N_("It cannot be told whether the challenger is better than the champion."),
    "too_few_left": N_("There is too little that champion and challenger could be judged on."),
    "cannot_score": N_("The champion cannot score any more, because the metrics it was trained on have changed."),
    "rolled_back": N_(
        "What was trained now is the very model that was rolled back; it does not come back without new data."
    ),
}


def headline(facts: Plain, words: Words) -> str:
    """What is in force from now on."""
    found = facts["succession"]
    if found is not None:
        return w.word(words.texts, _SUCCESSION, found["outcome"])
    return w.word(words.texts, _VERDICT, facts["verdict"]["outcome"])


def level(facts: Plain) -> str:
    """Class of the headline's sign: promoted, kept, or nothing could be judged."""
    outcome = (facts["succession"] or facts["verdict"])["outcome"]
    if outcome == "promote":
        return "fine"
    return "watch" if outcome == "fall_back" or facts["verdict"]["figures"] else "unknown"


def sentences(facts: Plain, words: Words) -> list[str]:
    """The paragraph: against the champion where there was one, then against the rules."""
    said = [] if facts["succession"] is None else _succession(facts["succession"], facts, words)
    return said + _verdict(facts["verdict"], words, closing=facts["succession"] is None)


def _verdict(verdict: Plain, words: Words, *, closing: bool) -> list[str]:
    texts, reason = words.texts, verdict["reason"]
    if not verdict["figures"]:
        return _unjudged(verdict, words)
    rows = by_figure(verdict)
    loss = rows["model", "log_loss"]
    said = [_judged_on(verdict["evidence"], words), _loss(loss, words)]
    if closing:
        worse = "worse_loss" if loss["difference_low"] > 0 else "worse_top"
        code = {None: "promoted", "worse_than_rules": worse}.get(reason, reason)
        said.append(w.word(texts, _REASON, code))
    if reason == "cannot_tell" and closing:
        said.append(_outlook(verdict["more_outcomes"], words))
    said.append(_at_capacity(verdict, rows, words))
    if not verdict["validated_in_time"]:
        said.append(
            texts.gettext(
                "It was not validated in time: no later snapshot could be judged, so accounts were held out at random "
                "instead, which tends to flatter every model."
            )
        )
    return said


def by_figure(verdict: Plain) -> Mapping[tuple[str, str], Plain]:
    """Rows of the verdict's table by judged model and figure."""
    return {(row["judged"], row["figure"]): row for row in verdict["figures"]}


def _unjudged(verdict: Plain, words: Words) -> list[str]:
    texts, seen = words.texts, verdict["evidence"]
    said = [w.word(texts, _REASON, verdict["reason"])]
    if verdict["reason"] != "no_labels":
        said.append(
            texts.gettext(
                "{outcomes} outcomes of {accounts} accounts are complete, {positives} of them positive; a model is "
                "judged from {least} positive and as many negative ones on.",
                outcomes=texts.number(seen["outcomes"]),
                accounts=texts.number(seen["accounts"]),
                positives=texts.number(seen["positives"]),
                least=texts.number(verdict["min_positives"]),
            )
        )
    if verdict["wait_until"]:
        day = texts.date(date.fromisoformat(verdict["wait_until"]))
        said.append(texts.gettext("Outcomes are complete from {day} on: train again then.", day=day))
    return said


def _judged_on(seen: Plain, words: Words) -> str:
    texts = words.texts
    counts = {k: texts.number(seen[k]) for k in ("judged", "judged_accounts", "judged_positives")}
    first, last = (texts.date(date.fromisoformat(seen[k])) for k in ("first", "last"))
    if first == last:
        return texts.gettext(
            "Judged on {judged} held-out outcomes of {judged_accounts} accounts ({judged_positives} positive) of the "
            "snapshot of {first}.",
            first=first,
            **counts,
        )
    return texts.gettext(
        "Judged on {judged} held-out outcomes of {judged_accounts} accounts ({judged_positives} positive), snapshots "
        "from {first} to {last}.",
        first=first,
        last=last,
        **counts,
    )


def _loss(row: Plain, words: Words) -> str:
    return words.texts.gettext(
        "The model's log loss differs from that of the rules by {difference} (90% interval: {low} to {high}); below "
        "zero is better.",
        difference=words.value(row["difference_value"], "log_loss", signed=True),
        low=words.value(row["difference_low"], "log_loss", signed=True),
        high=words.value(row["difference_high"], "log_loss", signed=True),
    )


def _outlook(more: int | None, words: Words) -> str:
    if more is None:
        return words.texts.gettext(
            "A gain worth having would have shown by now; more outcomes of the same kind will hardly change this."
        )
    return words.texts.ngettext(
        "About {n} more outcome would show whether the gain is real.",
        "About {n} more outcomes would show whether the gain is real.",
        more,
    )


def _at_capacity(verdict: Plain, rows: Mapping[tuple[str, str], Plain], words: Words) -> str:
    texts, model, rules = words.texts, rows["model", "precision_at_k"], rows["baseline", "precision_at_k"]
    return texts.gettext(
        "Of the {capacity} accounts per portfolio that a CSM would work, {model} expanded when the model chose and "
        "{rules} when the rules did (90% interval of the difference in points: {low} to {high}).",
        capacity=texts.number(verdict["capacity_per_portfolio"]),
        model=texts.percent(model["value"]),
        rules=texts.percent(rules["value"]),
        low=words.value(model["difference_low"], "precision_at_k", signed=True),
        high=words.value(model["difference_high"], "precision_at_k", signed=True),
    )


def _succession(found: Plain, facts: Plain, words: Words) -> list[str]:
    texts, trial = words.texts, found["trial"]
    said = [w.word(texts, _OPENING, found["reason"])]
    if trial is None:
        return said
    if trial["judged"] != trial["outcomes"]:
        said.append(
            texts.gettext(
                "Of the {outcomes} complete outcomes of the judged quarter, {judged} are of accounts of which the "
                "champion had not learned within it; only those count.",
                outcomes=texts.number(trial["outcomes"]),
                judged=texts.number(trial["judged"]),
            )
        )
    return said + _trial(trial, words) if trial["figures"] else said


def _trial(trial: Plain, words: Words) -> list[str]:
    rows: dict[tuple[str, str], Any] = {(r["judged"], r["figure"]): r for r in trial["figures"]}
    loss, texts = rows["challenger", "log_loss"]["minus_champion"], words.texts
    return [
        texts.gettext(
            "On {judged} outcomes of the snapshot of {quarter} ({positives} positive), the challenger's log loss "
            "differs from the champion's by {difference} (90% interval: {low} to {high}); below zero is better.",
            judged=texts.number(trial["judged"]),
            quarter=texts.date(date.fromisoformat(trial["quarter"])),
            positives=texts.number(trial["positives"]),
            **{
                name: words.value(loss[key], "log_loss", signed=True)
                for name, key in (("difference", "value"), ("low", "low"), ("high", "high"))
            },
        )
    ]


def tiles(facts: Plain, words: Words) -> list[dict[str, str]]:
    """The figures a reader looks for first."""
    verdict, texts = facts["verdict"], words.texts
    seen = verdict["evidence"]
    outcomes = {
        "name": texts.gettext("Complete outcomes"),
        "value": texts.number(seen["outcomes"]),
        "small": texts.gettext("{n} of them positive", n=texts.number(seen["positives"])),
    }
    if not verdict["figures"]:
        return [outcomes]
    rows = by_figure(verdict)
    loss = rows["model", "log_loss"]
    against = {
        "name": texts.gettext("Log loss against the rules"),
        "value": words.value(loss["difference_value"], "log_loss", signed=True),
        "small": words.interval(loss["difference_low"], loss["difference_high"], "log_loss", signed=True),
    }
    return [against, *(_tile(rows, name, words) for name in ("precision_at_k", "arr_at_k", "roc_auc")), outcomes]


def _tile(rows: Mapping[tuple[str, str], Plain], figure: str, words: Words) -> dict[str, str]:
    model, rules = (rows[name, figure]["value"] for name in ("model", "baseline"))
    value = words.value(model, figure)
    if figure == "arr_at_k" and model is not None:
        value = words.texts.short_money(round(model))
    small = "" if rules is None else words.texts.gettext("rules: {value}", value=words.value(rules, figure))
    return {"name": words.figure(figure), "value": value, "small": small}
