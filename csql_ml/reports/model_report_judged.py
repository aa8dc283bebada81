"""Sections on how good the model is: at capacity, lift, calibration, curves per snapshot, what more outcomes do."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from csql_ml.reports.chart import axis_top
from csql_ml.reports.model_report_charts import Mark, Plot, Series, forest, plot, ticks
from csql_ml.reports.model_report_curves import curves, percent_marks
from csql_ml.reports.model_report_parts import KIND, Figure, Plain, Section, Words, key_of
from csql_ml.reports.model_report_verdict import by_figure

_ORDER = ("model", "logistic", "baseline")
_TRIAL = ("champion", "challenger", "baseline")


def judged_sections(facts: Plain, words: Words) -> list[Section]:
    """Everything that rests on held-out outcomes."""
    texts = words.texts
    if not facts["verdict"]["figures"]:
        absent = texts.gettext(
            "Nothing was judged, as outcomes are too few: no figures, no lift, no calibration, no curves."
        )
        return [Section("capacity", texts.gettext("How good it is"), absent=absent)]
    return [
        _capacity(facts, words),
        _lift(facts, words),
        _calibration(facts, words),
        curves(facts, words),
        _learning(facts["learning"], words),
    ]


# --- at capacity ------------------------------------------------------------------------------------------------------


def _capacity(facts: Plain, words: Words) -> Section:
    texts, verdict = words.texts, facts["verdict"]
    figures = [
        _differences(verdict, words),
        _at_capacity("precision_at_k", verdict, words),
        _at_capacity("arr_at_k", verdict, words),
        _trial(facts["succession"], words),
        _all_figures(verdict, words),
    ]
    says = []
    if by_figure(verdict)["model", "arr_at_k"]["value"] is None:
        says.append(texts.gettext("No amount won is known of these outcomes, so there is no figure in money."))
    hint = texts.gettext(
        "The model, a plain logistic regression and the rules on the same held-out outcomes. Lines are 90% intervals "
        "of {n} account bootstraps; differences are paired.",
        n=texts.number(facts["about"]["repetitions"]),
    )
    return Section("capacity", texts.gettext("At capacity"), hint, says, [f for f in figures if f])


def _differences(verdict: Plain, words: Words) -> Figure:
    """Log loss minus that of the rules: what decides."""
    rows, texts = by_figure(verdict), words.texts
    marks, table = [], []
    for name in ("model", "logistic"):
        row = rows[name, "log_loss"]
        told = words.estimate(row, "log_loss", signed=True, prefix="difference_")
        ends = (row["difference_low"], row["difference_high"])
        marks.append(Mark(words.judged(name), row["difference_value"], *ends, told, KIND[name]))
        table.append([words.judged(name), told])
    title = texts.gettext("Log loss minus that of the rules")
    hint = texts.gettext("Decides: a model is promoted where the whole interval lies below zero.")
    header = [texts.gettext("Judged"), texts.gettext("Difference (90% interval)")]
    return Figure(title, forest(marks, title, hint, words.axis("log_loss"), zero=True), header, table, hint)


def _at_capacity(figure: str, verdict: Plain, words: Words) -> Figure | None:
    rows, texts = by_figure(verdict), words.texts
    if rows["model", figure]["value"] is None:
        return None
    marks, table = [], []
    for name in _ORDER:
        row = rows[name, figure]
        told = words.estimate(row, figure)
        marks.append(Mark(words.judged(name), row["value"], row["low"], row["high"], told, KIND[name]))
        difference = words.estimate(row, figure, signed=True, prefix="difference_") if name != "baseline" else "–"
        table.append([words.judged(name), told, difference])
    title = words.figure(figure)
    hint = texts.gettext(
        "Among the {capacity} accounts per portfolio and snapshot that a CSM would work.",
        capacity=texts.number(verdict["capacity_per_portfolio"]),
    )
    header = [
        texts.gettext("Judged"),
        texts.gettext("Value (90% interval)"),
        texts.gettext("Difference to the rules (90% interval)"),
    ]
    return Figure(title, forest(marks, title, hint, words.axis(figure)), header, table, hint)


def _trial(succession: Plain | None, words: Words) -> Figure | None:
    """Champion in force, challenger and rules on the newest complete quarter."""
    trial = succession["trial"] if succession else None
    if not trial or not trial["figures"]:
        return None
    rows, texts = {(r["judged"], r["figure"]): r for r in trial["figures"]}, words.texts
    marks = []
    for name in _TRIAL:
        row = rows[name, "precision_at_k"]
        told = words.estimate(row, "precision_at_k")
        marks.append(Mark(words.judged(name), row["value"], row["low"], row["high"], told, KIND[name]))
    table = [
        [
            words.figure(figure),
            *(words.estimate(rows[name, figure], figure) for name in _TRIAL),
            words.estimate(rows["challenger", figure]["minus_champion"], figure, signed=True),
        ]
        for figure in ("log_loss", "precision_at_k", "arr_at_k", "roc_auc")
    ]
    title = texts.gettext("Champion, challenger and rules on the same accounts")
    hint = texts.gettext(
        "Precision at capacity on the newest complete quarter, the snapshot of {day}.",
        day=texts.date(date.fromisoformat(trial["quarter"])),
    )
    header = ["", *(words.judged(n) for n in _TRIAL), texts.gettext("Challenger minus champion")]
    chart = forest(marks, title, hint, words.axis("precision_at_k"))
    return Figure(title, chart, header, table, hint, unfolded=True, wide=True)


def _all_figures(verdict: Plain, words: Words) -> Figure:
    rows, texts = by_figure(verdict), words.texts
    table = [
        [
            words.figure(figure),
            *(words.estimate(rows[name, figure], figure) for name in _ORDER),
            words.estimate(rows["model", figure], figure, signed=True, prefix="difference_"),
        ]
        for figure in dict.fromkeys(f for _, f in rows)
    ]
    header = ["", *(words.judged(n) for n in _ORDER), texts.gettext("Model minus rules")]
    return Figure(texts.gettext("All figures"), None, header, table, unfolded=True, wide=True)


# --- lift, gains, calibration -----------------------------------------------------------------------------------------


def _lift(facts: Plain, words: Words) -> Section:
    texts, lift = words.texts, facts["verdict"]["lift"]
    tenths = [row["decile"] for row in lift["model"]]
    top = axis_top([v for rows in lift.values() for r in rows for v in (r["lift"], r["lift_high"]) if v is not None])
    drawn = Plot(
        title=texts.gettext("Lift per tenth"),
        description=texts.gettext("How many times as many accounts expanded as on average; at 1 nothing is gained."),
        series=[
            Series(
                KIND[name],
                [(r["decile"], r["lift"]) for r in rows],
                [(r["lift_low"], r["lift_high"]) for r in rows] if name == "model" else (),
                dots=name == "model",
            )
            for name, rows in reversed(list(lift.items()))
        ],
        x=(0.7, max(tenths) + 0.3),
        y=(0.0, top),
        x_marks=[(t, texts.number(t)) for t in tenths],
        y_marks=[(v, texts.number(v, 1)) for v in ticks(0.0, top)],
        x_name=texts.gettext("tenth of the accounts, best first"),
        level=1.0,
    )
    rows = [
        [texts.number(tenth), *(_lift_cell(of[i], words) for of in lift.values())] for i, tenth in enumerate(tenths)
    ]
    header = [texts.gettext("Tenth"), *(words.judged(n) for n in lift)]
    one = Figure(drawn.title, plot(drawn), header, rows, drawn.description, key_of(list(lift), words))
    return Section("lift", texts.gettext("Lift and gains"), figures=[one, _gains(facts["gains"], words)])


def _lift_cell(row: Plain, words: Words) -> str:
    return words.ranged(row["lift"], row["lift_low"], row["lift_high"], lambda v: words.texts.decimals(v, 2))


def _gains(gains: Plain, words: Words) -> Figure:
    texts = words.texts
    drawn = Plot(
        title=texts.gettext("Cumulative gains"),
        description=texts.gettext(
            "Share of all expansions found by working so many accounts; on the diagonal, chance."
        ),
        series=[Series(KIND[name], points) for name, points in reversed(list(gains.items()))],
        x=(0.0, 1.0),
        y=(0.0, 1.0),
        x_marks=percent_marks(words),
        y_marks=percent_marks(words),
        x_name=texts.gettext("share of the accounts, best first"),
        diagonal=True,
    )
    rows = [
        [texts.percent(at[0][0]), *(texts.percent(y, 1) for _, y in at)] for at in zip(*gains.values(), strict=True)
    ]
    header = [texts.gettext("Accounts"), *(words.judged(n) for n in gains)]
    return Figure(drawn.title, plot(drawn), header, rows, drawn.description, key_of(list(gains), words))


def _calibration(facts: Plain, words: Words) -> Section:
    texts, verdict = words.texts, facts["verdict"]
    hint = texts.gettext(
        "Each point is a tenth of the held-out accounts; on the diagonal, as many expanded as foretold."
    )
    figures = [_calibrated(name, verdict, words) for name in ("model", "baseline")]
    return Section("calibration", texts.gettext("Calibration"), hint, _corrected(facts["calibration"], words), figures)


def _corrected(found: Plain | None, words: Words) -> list[str]:
    """Whether a correction on top was tried on later snapshots, and what it would bring."""
    texts = words.texts
    if found is None:
        return [texts.gettext("A correction on top was not tried: it takes two later snapshots to judge one.")]
    values = {
        "slope": texts.decimals(found["slope"], 3),
        "intercept": texts.signed_decimals(found["intercept"], 3),
        "gain": texts.signed_decimals(-found["gain"], 4),
        "error": texts.decimals(found["error"], 4),
    }
    if found["applied"]:
        return [
            texts.gettext(
                "Later snapshots ask for a correction in log-odds (slope {slope}, intercept {intercept}): the "
                "log loss changes by {gain} (standard error {error}), so it is applied. The order of accounts stays.",
                **values,
            )
        ]
    return [
        texts.gettext(
            "Later snapshots do not ask for a correction in log-odds (slope {slope}, intercept {intercept}): the log "
            "loss would change by {gain} (standard error {error}), so none is applied.",
            **values,
        )
    ]


def _calibrated(name: str, verdict: Plain, words: Words) -> Figure:
    texts, rows, noise = words.texts, verdict["lift"][name], verdict["ece_noise"][name]
    top = axis_top([v for r in rows for v in (r["mean_propensity"], r["rate_high"], r["rate"]) if v is not None])
    ece = by_figure(verdict)[name, "ece"]["value"]
    drawn = Plot(
        title=texts.gettext("Calibration: {judged}", judged=words.judged(name)),
        description=texts.gettext(
            "ECE {value}; a perfectly calibrated forecast of this size shows {mean} by chance, in 95 of 100 cases at "
            "most {high}.",
            value=words.value(ece, "ece"),
            mean=words.value(noise["value"], "ece"),
            high=words.value(noise["high"], "ece"),
        ),
        series=[
            Series(
                KIND[name],
                [(r["mean_propensity"], r["rate"]) for r in rows],
                [(r["rate_low"], r["rate_high"]) for r in rows],
                line=False,
                dots=True,
            )
        ],
        x=(0.0, top),
        y=(0.0, top),
        x_marks=[(v, texts.percent(v)) for v in ticks(0.0, top)],
        y_marks=[(v, texts.percent(v)) for v in ticks(0.0, top)],
        x_name=texts.gettext("foretold"),
        diagonal=True,
    )
    table = [
        [
            texts.percent(r["mean_propensity"], 1),
            words.ranged(r["rate"], r["rate_low"], r["rate_high"], lambda v: texts.percent(v, 1)),
            texts.number(r["rows"]),
        ]
        for r in rows
    ]
    header = [
        texts.gettext("Foretold"),
        texts.gettext("Expanded (90% interval)"),
        texts.gettext("Accounts"),
    ]
    return Figure(drawn.title, plot(drawn), header, table, drawn.description, left=frozenset())


# --- learning curve ---------------------------------------------------------------------------------------------------


def _learning(learning: Plain, words: Words) -> Section:
    texts = words.texts
    title = texts.gettext("What more outcomes do")
    if "absent" in learning:
        absent = texts.gettext(
            "There are too few outcomes to learn from a part of them, so there is no learning curve."
        )
        return Section("learning", title, absent=absent)
    hint = texts.gettext(
        "Trained anew on random shares of the accounts, one tree model in the place of the bag, and judged on the same "
        "{n} outcomes of other accounts. It shows what more outcomes do, not how good next quarter will be.",
        n=texts.number(learning["judged"]),
    )
    figures = [_learned(name, learning["points"], words) for name in ("log_loss", "roc_auc")]
    return Section("learning", title, hint, figures=figures)


def _learned(figure: str, points: Sequence[Plain], words: Words) -> Figure:
    texts = words.texts
    ends = [of[figure][k] for p in points for of in p["of"].values() for k in ("low", "high", "value")]
    low, high = min(ends), max(ends)
    spare = 0.08 * (high - low) or 0.05
    labels = [p["labels"] for p in points]
    drawn = Plot(
        title=texts.gettext("Learning curve: {figure}", figure=words.figure(figure)),
        description=texts.gettext("Lines up and down are 90% intervals."),
        series=[
            Series(
                KIND[name],
                [(p["labels"], p["of"][name][figure]["value"]) for p in points],
                [(p["of"][name][figure]["low"], p["of"][name][figure]["high"]) for p in points],
                dots=True,
            )
            for name in ("baseline", "model")
        ],
        x=(0.0, max(labels) * 1.04),
        y=(low - spare, high + spare),
        x_marks=[(v, texts.short_number(v)) for v in ticks(0.0, max(labels) * 1.04)],
        y_marks=[(v, texts.number(v, 3)) for v in ticks(low - spare, high + spare)],
        x_name=texts.gettext("outcomes learned from"),
    )
    rows = [
        [texts.number(p["labels"]), *(words.estimate(p["of"][n][figure], figure) for n in ("model", "baseline"))]
        for p in points
    ]
    header = [texts.gettext("Outcomes learned from"), words.judged("model"), words.judged("baseline")]
    key = key_of(["model", "baseline"], words)
    return Figure(drawn.title, plot(drawn), header, rows, drawn.description, key)
