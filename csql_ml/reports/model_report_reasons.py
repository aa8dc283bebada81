"""Sections on what the model rests on: its members, its metrics, how they work, and how stable its reasons are."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from csql_ml.metrics.definition import Unit
from csql_ml.reports import wording as w
from csql_ml.reports.model_report_charts import Bar, Mark, Plot, Series, forest, plot, share_bar, stacked, swarm, ticks
from csql_ml.reports.model_report_parts import Figure, Plain, Section, Words
from csql_ml.reports.wording import N_

_OUTLOOK = {
    "rules": N_("The outcomes show nothing yet that the rules do not say."),
    "learning": N_("The rules still weigh more than what was learned."),
    "learned": N_("What was learned weighs more than the rules."),
}
_DIRECTION = {
    "1": N_("▲ more may only speak for"),
    "-1": N_("▼ more may only speak against"),
    "0": N_("◆ no direction claimed"),
}
#: Words of a category that are drawn; a table shows all of them.
_MOST_WORDS = 8


def reason_sections(facts: Plain, words: Words) -> list[Section]:
    """What the model trained now is made of; of the rules where there is no model."""
    return [_maturity(facts, words), _importance(facts, words), _dependence(facts["reasons"], words)]


# --- maturity and stability -------------------------------------------------------------------------------------------


def _maturity(facts: Plain, words: Words) -> Section:
    texts, found = words.texts, facts["maturity"]
    title = texts.gettext("Maturity")
    if found is None:
        absent = texts.gettext("No model was trained: the rules decide alone, and their reasons are exact.")
        return Section("maturity", title, absent=absent)
    shares = found["shares"]
    parts = {
        "p-rules": (texts.gettext("Rules"), found["rules_share"]),
        "p-other": (texts.gettext("Logistic regression"), shares["ridge"]),
        "p-model": (texts.gettext("Trees (LightGBM)"), shares["trees"]),
    }
    says = [
        texts.gettext(
            "After {labels} outcomes ({positives} positive), the model is made of rules ({rules}), a logistic "
            "regression ({ridge}) and trees ({trees}).",
            labels=texts.number(found["labels"]),
            positives=texts.number(found["positives"]),
            rules=texts.percent(found["rules_share"]),
            ridge=texts.percent(shares["ridge"]),
            trees=texts.percent(shares["trees"]),
        ),
        w.word(texts, _OUTLOOK, found["stage"]),
    ]
    if found["more_outcomes"] is not None:
        says.append(
            texts.ngettext(
                "About {n} more outcome until what was learned weighs as much as the rules.",
                "About {n} more outcomes until what was learned weighs as much as the rules.",
                found["more_outcomes"],
            )
        )
    heading = texts.gettext("Weights of the members")
    chart = stacked([Bar("", [(k, v) for k, (_, v) in parts.items()])], heading, says[0])
    rows = [[name, texts.percent(share, 1)] for name, share in parts.values()]
    header = [texts.gettext("Member"), texts.gettext("Share")]
    weights = Figure(heading, chart, header, rows, key=[(k, name) for k, (name, _) in parts.items()], unfolded=True)
    stability = _stability(facts["stability"], words)
    if stability is None:
        says.append(texts.gettext("There are no bootstrap refits, so nothing is said of how stable its reasons are."))
    return Section("maturity", title, says=says, figures=[weights, *([stability] if stability else [])])


def _stability(found: Plain, words: Words) -> Figure | None:
    if "stability" not in found:
        return None
    texts = words.texts
    names = {
        "stability": texts.gettext("Strongest reasons that stand again in a refit"),
        "printed": texts.gettext("Strongest reasons steady enough to be shown"),
    }
    by_chance = texts.gettext("by chance")
    marks, rows = [], []
    for key, name in names.items():
        value, chance = found[key], found[f"{key}_chance"]
        marks.append(Mark(name, value, value, value, texts.percent(value), "model"))
        marks.append(Mark(by_chance, chance, chance, chance, texts.percent(chance), "rules"))
        rows.append([name, texts.percent(value, 1), texts.percent(chance, 1)])
    title = texts.gettext("Stability of reasons")
    hint = texts.gettext(
        "Of the three strongest reasons of each side of every reference account, in {n} bootstrap refits; beside each "
        "figure what chance alone would give.",
        n=texts.number(found["refits"]),
    )
    header = ["", texts.gettext("Measured"), texts.gettext("By chance")]
    return Figure(title, forest(marks, title, hint, texts.percent, top=1.0), header, rows, hint)


# --- importance -------------------------------------------------------------------------------------------------------


def _importance(facts: Plain, words: Words) -> Section:
    texts, found = words.texts, facts["reasons"]
    title = texts.gettext("What moves the score")
    if "absent" in found:
        absent = texts.gettext("No metric tells the reference accounts apart, so there are no reasons to show.")
        return Section("reasons", title, absent=absent)
    hint = texts.gettext(
        "Points are what account pages show: how much a metric moves the probability of each of {n} reference "
        "accounts. The bar is their mean size; every account is a dot.",
        n=texts.number(found["accounts"]),
    )
    if facts["about"]["told"]["kind"] == "rules":
        hint += " " + texts.gettext("These are the exact parts of the weighted score.")
    low = min(p for one in found["swarm"] for p in one["points"])
    high = max(p for one in found["swarm"] for p in one["points"])
    largest = found["metrics"][0]["size"]
    swarms = [
        _swarm(one, metric, (low, high), largest, words)
        for one, metric in zip(found["swarm"], found["metrics"], strict=False)
    ]
    rows = [
        [
            words.facts.label(m["metric"]),
            words.points(m["size"]).removeprefix("+"),
            texts.percent(m["share"], 1),
            texts.gettext("{low} to {high}", low=words.points(m["low"]), high=words.points(m["high"])),
        ]
        for m in found["metrics"]
    ]
    header = [
        texts.gettext("Metric"),
        texts.gettext("Mean size, points"),
        texts.gettext("Share of all"),
        texts.gettext("Points of 90% of the accounts"),
    ]
    table = Figure(texts.gettext("All metrics"), None, header, rows, wide=True)
    axis = [words.points(low), texts.gettext("points"), words.points(high)]
    return Section("reasons", title, hint, figures=[table], swarm=swarms, swarm_axis=axis)


def _swarm(one: Plain, metric: Plain, ends: tuple[float, float], largest: float, words: Words) -> dict[str, object]:
    texts = words.texts
    name = words.facts.label(one["metric"])
    title = texts.gettext("{metric}: points of the reference accounts", metric=name)
    told = texts.gettext(
        "90% of the accounts lie between {low} and {high} points.",
        low=words.points(metric["low"]),
        high=words.points(metric["high"]),
    )
    size = words.points(metric["size"]).removeprefix("+")
    return {
        "name": name,
        "size": size,
        "share": texts.percent(metric["share"]),
        "bar": share_bar(metric["size"] / largest),
        "chart": swarm(one["points"], one["levels"], *ends, title, told),
    }


# --- dependence -------------------------------------------------------------------------------------------------------


def _dependence(found: Plain, words: Words) -> Section:
    texts = words.texts
    title = texts.gettext("How the strongest metrics work")
    if "absent" in found:
        return Section("dependence", title, absent=texts.gettext("No metric has an effect that could be drawn."))
    hint = texts.gettext(
        "Every dot is a reference account, the line joins the means of parts of equal size. Directions are those the "
        "model must keep."
    )
    figures = [_categories(one, words) if one["categorical"] else _numbers(one, words) for one in found["dependence"]]
    return Section("dependence", title, hint, figures=figures)


def _numbers(one: Plain, words: Words) -> Figure:
    texts, unit = words.texts, words.facts.unit(one["feature"])
    name, parts = words.facts.label(one["metric"]), one["parts"]

    def written(value: float) -> str:
        return texts.value(value, unit)

    missing = _missing(one, words)
    values = one["values"] or [0.0]
    ends, low, high = (min(values), max(values)), min([0.0, *one["points"]]), max([0.0, *one["points"]])
    drawn = Plot(
        title=texts.gettext("{metric}: points by value", metric=name),
        description=w.word(texts, _DIRECTION, str(one["direction"])),
        series=[
            Series("cloudy", list(zip(one["values"], one["points"], strict=True)), line=False, dots=True),
            Series("model", [((p["from"] + p["to"]) / 2, p["mean"]) for p in parts]),
        ],
        x=ends,
        y=(low, high),
        x_marks=[(v, _axis_value(v, unit, words)) for v in _few(ticks(*ends))],
        y_marks=[(v, words.points(v)) for v in ticks(low, high)],
        x_name=name if len(name) <= 44 else name[:43] + "…",
        level=0.0,
    )
    rows = [[_range(p, written, words), texts.number(p["accounts"]), words.points(p["mean"])] for p in parts]
    hint = drawn.description + (f" · {missing[0]}" if missing else "")
    return Figure(name, plot(drawn), _header(words), [*rows, missing[1]] if missing else rows, hint)


def _axis_value(value: float, unit: Unit | None, words: Words) -> str:
    if unit in ("ratio", "change"):
        return words.texts.percent(value)
    return words.texts.short_money(value) if unit == "money" else _number(value, words)


def _number(value: float, words: Words) -> str:
    return words.texts.short_number(value) if abs(value) >= 10 else words.texts.number(value, 3)


def _few(marks: Sequence[float]) -> list[float]:
    """At most four marks, so that long numbers do not meet."""
    return list(marks[:: max(1, -(-len(marks) // 4))])


def _range(part: Plain, write: Callable[[float], str], words: Words) -> str:
    if part["from"] == part["to"]:
        return write(part["from"])
    return words.texts.gettext("{low} to {high}", low=write(part["from"]), high=write(part["to"]))


def _categories(one: Plain, words: Words) -> Figure:
    texts, name = words.texts, words.facts.label(one["metric"])
    missing = _missing(one, words)
    by_word: dict[str, list[float]] = {}
    for word, points in zip(one["values"], one["points"], strict=True):
        by_word.setdefault(word, []).append(points)
    marks = [
        Mark(
            p["word"] if len(p["word"]) <= 28 else p["word"][:27] + "…",
            p["mean"],
            min(by_word[p["word"]]),
            max(by_word[p["word"]]),
            words.points(p["mean"]),
            "model",
        )
        for p in one["parts"][:_MOST_WORDS]
    ]
    rows = [[p["word"], texts.number(p["accounts"]), words.points(p["mean"])] for p in one["parts"]]
    told = texts.gettext("Mean points per category; the line spans all accounts of it.")
    chart = forest(marks, texts.gettext("{metric}: points by value", metric=name), told, words.points, zero=True)
    hint = told + (f" · {missing[0]}" if missing else "")
    return Figure(name, chart if marks else None, _header(words), [*rows, missing[1]] if missing else rows, hint)


def _missing(one: Plain, words: Words) -> tuple[str, list[str]] | None:
    """A sentence on the accounts without a value, and their row of the table."""
    if one["missing"] is None:
        return None
    count, mean = words.texts.number(one["missing"]["accounts"]), words.points(one["missing"]["mean"])
    said = words.texts.ngettext(
        "{n} account without a value: {mean}",
        "{n} accounts without a value: {mean}",
        one["missing"]["accounts"],
        mean=mean,
    )
    return said, [words.texts.missing, count, mean]


def _header(words: Words) -> list[str]:
    texts = words.texts
    return [texts.gettext("Value"), texts.gettext("Accounts"), texts.gettext("Mean points")]
