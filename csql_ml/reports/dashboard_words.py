"""What the dashboard says: words for every code of ``csql measure`` and ``csql poc read``, and whole sentences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from csql_ml.reports import wording as w
from csql_ml.reports.texts import Texts
from csql_ml.reports.wording import N_

Data = Mapping[str, Any]

UNKNOWN = "unknown"
STAGE = {"accepted": N_("Accepted"), "opportunity": N_("To opportunity"), "won": N_("Won")}
FIGURE = STAGE | {"cycle": N_("Median cycle"), "expansion_share": N_("Share of expansion ARR")}
STANDING = {
    "met": N_("Met"),
    "missed": N_("Missed"),
    "too early": N_("Too early to say"),
    "no data": N_("No data"),
}
FINDING = {
    "within noise": N_("Within noise"),
    "above the team": N_("Above the team"),
    "below the team": N_("Below the team"),
    "too few leads": N_("Too few leads"),
    "no other CSM": N_("No other CSM"),
}
BASIS = {"propensity": N_("the model's propensity"), "type and band": N_("lead type and score band")}
FIX = {"threshold": N_("Threshold"), "gate": N_("Gate"), "feature": N_("Feature"), "label": N_("Label")}
REASON = {
    "weak_signal": N_("Weak signal"),
    "bad_timing": N_("Bad timing"),
    "no_buyer": N_("No buyer"),
    "no_value": N_("Value not proven"),
    "no_budget": N_("No budget"),
    "no_fit": N_("No fit"),
    "duplicate": N_("Duplicate"),
    "not_expansion": N_("Not an expansion"),
    "no reason given": N_("No reason given"),
    "not mapped": N_("Reason not mapped"),
}
#: The proposals of `csql_ml.config.outcomes.USUAL_REJECTIONS` and `csql_ml.outcomes.rejections`; others are the
#: company's own words and shown as they are.
PROPOSAL = (
    N_("raise the score from which an account is a lead: these were let through too early"),
    N_("tighten the timing gate (gates.recent_days): the trigger was too old or too weak"),
    N_("require the gate buyer_identified and keep table contacts up to date"),
    N_("tighten the gate value_proven or the risk check: success was not there yet"),
    N_("give the model a signal of money: map milestones of kind budget_expansion, or add a metric of your own"),
    N_("sharpen what says which product comes next: gated features per module, ticket topics, goals"),
    N_("map table opportunities completely: an account in work must not become a lead nor count as an outcome"),
    N_("log renewals and saves under their own type: they are neither leads nor outcomes to learn from"),
    N_("make the reason a required field in the CRM: without it nothing can be learned from a rejection"),
    N_("give these texts a type under outcomes.rejections in the configuration"),
)
#: The notes of `csql_ml.outcomes.measure`.
NOTE = (
    N_("{count} rows of table csqls are renewals or churn saves and are not counted"),
    N_("no --run was given, so score bands and champion versions are not known"),
    N_("{count} of {total} leads were scored by none of the runs given"),
    N_("{count} won leads have no ARR and count as 0"),
    N_("table opportunities is not mapped: no share of expansion ARR, and no net-new leads"),
    N_("opportunities have no source: CSQL revenue is what the leads won"),
    N_(
        "{count} leads were won, but no won expansion opportunity has the source {source}: the share of expansion ARR "
        "is too low until sales fills it in (handoff.lead_source names it)"
    ),
)
VERDICT = {
    "helps": N_("Working the leads helps"),
    "harms": N_("Working the leads harms"),
    "cannot tell": N_("Cannot tell"),
}
OUTCOME = {
    "expansion rate": N_("Expansion rate"),
    "ARR per account": N_("Expansion ARR per account"),
    "NRR": N_("Net revenue retention"),
}
_HELD = {
    ("met", True): N_("That reaches the benchmark of {limit}."),
    ("met", False): N_("That reaches the benchmark of {limit}, though so few leads could be there by chance."),
    ("missed", True): N_("That misses the benchmark of {limit}."),
    ("missed", False): N_("That misses the benchmark of {limit}, though so few leads could be there by chance."),
    ("too early", False): N_("It is too early to say against the benchmark of {limit}."),
}


def group(t: Texts, split: str, name: str) -> str:
    """What a group of a split is called."""
    if name == UNKNOWN:
        return t.gettext("No CSM") if split == "csm" else t.gettext("Not known")
    if split == "quarter":
        return t.quarter(name)
    words = {"type": w.LEAD_TYPE, "band": w.BAND}
    return w.word(t, words[split], name) if split in words else name


def interval(t: Texts, low: str, high: str) -> str:
    """An interval in words, of figures that are written already."""
    return t.gettext("{low} to {high}", low=low, high=high)


def rate_interval(t: Texts, rate: Data) -> str | None:
    """The interval of a rate or share; None where there is none."""
    if rate["low"] is None or rate["high"] is None:
        return None
    return interval(t, t.percent(rate["low"]), t.percent(rate["high"]))


def limit(t: Texts, name: str, benchmark: float) -> str:
    """A benchmark with its direction."""
    if name == "cycle":
        return t.ngettext("at most {n} day", "at most {n} days", benchmark)
    return t.gettext("at least {share}", share=t.percent(benchmark))


def sentence(t: Texts, verdict: Data, data: Data, quarters: int) -> str:
    """One benchmark in a sentence or two."""
    name, total = verdict["name"], data["total"]
    if name in STAGE:
        counted = _counted(t, name, total["stages"][name])
    elif name == "cycle":
        counted = _cycle(t, total["cycle_days"])
    else:
        counted = _share(t, total["expansion_share"])
    if verdict["standing"] == "no data" or (name == "cycle" and total["cycle_days"]["value"] is None):
        return counted
    due = limit(t, name, verdict["benchmark"])
    if name == "expansion_share" and verdict["standing"] == "too early":
        wait = t.ngettext(
            "The benchmark of {limit} is due {n} quarter after the first lead.",
            "The benchmark of {limit} is due {n} quarters after the first lead.",
            quarters,
            limit=due,
        )
        return f"{counted} {wait}"
    return f"{counted} {t.gettext(_HELD[verdict['standing'], verdict['sure']], limit=due)}"


def _counted(t: Texts, stage: str, rate: Data) -> str:
    if not rate["created"]:
        return t.gettext("No leads were raised.")
    values = {"reached": t.number(rate["reached"]), "share": t.percent(rate["value"]), "most": t.percent(rate["most"])}
    n = rate["created"]
    if more_to_come(t, rate):
        return {
            "accepted": t.ngettext(
                "{reached} of {n} lead was accepted ({share}, up to {most} once none is open).",
                "{reached} of {n} leads were accepted ({share}, up to {most} once none is open).",
                n,
                **values,
            ),
            "opportunity": t.ngettext(
                "{reached} of {n} lead became an opportunity ({share}, up to {most} once none is open).",
                "{reached} of {n} leads became an opportunity ({share}, up to {most} once none is open).",
                n,
                **values,
            ),
            "won": t.ngettext(
                "{reached} of {n} lead was won ({share}, up to {most} once none is open).",
                "{reached} of {n} leads were won ({share}, up to {most} once none is open).",
                n,
                **values,
            ),
        }[stage]
    return {
        "accepted": t.ngettext(
            "{reached} of {n} lead was accepted ({share}).",
            "{reached} of {n} leads were accepted ({share}).",
            n,
            **values,
        ),
        "opportunity": t.ngettext(
            "{reached} of {n} lead became an opportunity ({share}).",
            "{reached} of {n} leads became an opportunity ({share}).",
            n,
            **values,
        ),
        "won": t.ngettext(
            "{reached} of {n} lead was won ({share}).", "{reached} of {n} leads were won ({share}).", n, **values
        ),
    }[stage]


def more_to_come(t: Texts, rate: Data) -> bool:
    """Whether open leads can move the rate by as much as the page shows."""
    return bool(rate["open"]) and t.percent(rate["most"]) != t.percent(rate["value"])


def _cycle(t: Texts, median: Data) -> str:
    seen = median["ended"] + median["open"]
    if not seen:
        return t.gettext("No lead is in work or closed, so there is no cycle.")
    if median["value"] is None:
        return t.gettext("Fewer than half of the leads are closed, so the median cycle is not reached yet.")
    days = t.days(round(median["value"]))
    if not median["open"]:
        return t.gettext("The median lead takes {days} from created to closed.", days=days)
    return t.ngettext(
        "The median lead takes {days} from created to closed; {n} lead is still open and counted as such.",
        "The median lead takes {days} from created to closed; {n} leads are still open and counted as such.",
        median["open"],
        days=days,
    )


def _share(t: Texts, share: Data | None) -> str:
    if share is None or share["value"] is None:
        return t.gettext("No expansion ARR was won in the period.")
    return t.gettext("{share} of the expansion ARR began as a CSQL.", share=t.percent(share["value"]))


def note(t: Texts, said: Data) -> str:
    """A note about the data."""
    values = {k: t.number(v) if isinstance(v, int) else v for k, v in said["values"].items()}
    text = t.gettext(said["message"], **values)
    return text[:1].upper() + text[1:] + "."


def proposal(t: Texts, words: str) -> str:
    """A proposed fix: translated where it is one of the usual ones, else in the company's own words."""
    text = t.gettext(words) if words in PROPOSAL else words
    return text[:1].upper() + text[1:]


def experiment(t: Texts, read: Data) -> str:
    """What an experiment says about its first outcome."""
    effect = next(e for e in read["effects"] if e["outcome"] == read["primary"])
    if effect["difference"] is None or effect["low"] is None or effect["high"] is None:
        return t.gettext("An arm has too few units to compare them.")
    values = {
        "worked": t.percent(effect["worked"], 1),
        "held": t.percent(effect["held_out"], 1),
        "points": points(t, effect["difference"]),
        "low": points(t, effect["low"]),
        "high": points(t, effect["high"]),
    }
    return t.gettext(
        "{worked} of the worked accounts expanded and {held} of those held out: {points} points (interval {low} to "
        "{high}).",
        **values,
    )


def points(t: Texts, share: float) -> str:
    """A difference of shares in points, with its sign."""
    return t.signed_tenths(round(share * 1000))
