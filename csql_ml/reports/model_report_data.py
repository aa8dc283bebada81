"""Sections on the data: labels, who was worked, suspects, drift, and who came to the top of the list."""

from __future__ import annotations

from datetime import date

from csql_ml.reports import wording as w
from csql_ml.reports.model_report_charts import Bar, Mark, forest, share_bar, stacked
from csql_ml.reports.model_report_parts import Cell, Figure, Plain, Section, Words
from csql_ml.reports.wording import N_

_STATES = {
    "positive": N_("Positive"),
    "negative": N_("Negative"),
    "open": N_("Still open"),
    "unobserved": N_("Unobserved"),
}
_STEP = {"worked": N_("Worked"), "accepted": N_("Accepted, of the worked"), "won": N_("Won, of the accepted")}
_SELECTED = {
    "rate": N_("Share that expanded"),
    "mean_propensity": N_("Mean propensity"),
    "roc_auc": N_("ROC-AUC"),
    "log_loss": N_("Log loss (less is better)"),
}
_SUSPICION = {
    "predicts_too_well": N_("predicts too well alone: ROC-AUC {figure}, suspicious from {limit}"),
    "known_after": N_("may be known only afterwards: {share} of the rows, suspicious from {limit_share}"),
    "missing_by_label": N_("missing values know the outcome: shares differ by {share}, suspicious from {limit_share}"),
    "importance": N_("carries {share} of what a model makes of all columns, remarkable from {limit_share}"),
    "skew": N_("has other values than in training: distance {share}, suspicious from {limit_share}"),
}
_CAUSE = {
    "data": N_("its data changed"),
    "model": N_("the model changed"),
    "new": N_("not in the earlier snapshot"),
    "gone": N_("no longer in the snapshot"),
}
_NO_DRIFT = {
    "no_champion": N_("There was no champion before, so there is nothing to hold the data against."),
    "not_kept": N_("The last champion's bundle kept no distributions, so drift cannot be told."),
}
_NO_CHANGES = {
    "rules_only": N_("There is no model whose list could be compared with that of the rules."),
    "same_model": N_("The model is the one that was in force, so its list is the same."),
    "cannot_score": N_("The last champion cannot score today's table, so the lists cannot be compared."),
}


def data_sections(facts: Plain, words: Words) -> list[Section]:
    """What the model was trained on, and what is different from last time."""
    return [
        _labels(facts["funnel"], words),
        _selection(facts["selection"], words),
        _suspects(facts["suspects"], words),
        _drift(facts["drift"], words),
        _changes(facts["changes"], words),
        _features(facts["about"], words),
    ]


def _day(text: str, words: Words) -> str:
    return words.texts.date(date.fromisoformat(text))


# --- labels and selection ---------------------------------------------------------------------------------------------


def _labels(funnel: list[Plain], words: Words) -> Section:
    texts = words.texts
    hint = texts.gettext(
        "Accounts per snapshot by what became of them. Open ones have no outcome yet; unobserved ones were not worked, "
        "so they are no negatives."
    )
    bars = [
        Bar(
            _day(row["as_of"], words),
            [(f"l-{state}", row[state]) for state in _STATES],
            "" if row["rate"] is None else texts.gettext("{rate} positive", rate=texts.percent(row["rate"], 1)),
        )
        for row in funnel
    ]
    title = texts.gettext("Label funnel")
    rows = [
        [
            _day(row["as_of"], words),
            texts.number(row["accounts"]),
            *(texts.number(row[s]) for s in _STATES),
            "–" if row["rate"] is None else texts.percent(row["rate"], 1),
        ]
        for row in funnel
    ]
    header = [
        texts.gettext("Snapshot"),
        texts.gettext("Accounts"),
        *(w.word(texts, _STATES, s) for s in _STATES),
        texts.gettext("Positive, of those with an outcome"),
    ]
    key = [(f"l-{s}", w.word(texts, _STATES, s)) for s in _STATES]
    chart = stacked(bars, title, hint)
    figure = Figure(title, chart, header, rows, key=key, unfolded=True, wide=True)
    return Section("labels", title, hint, figures=[figure])


def _selection(found: Plain | None, words: Words) -> Section:
    texts = words.texts
    title = texts.gettext("Who was worked")
    figures = [] if found is None else [f for f in (_steps(found, words), _side_by_side(found, words)) if f]
    if found is None or not figures:
        absent = texts.gettext(
            "The labels do not say who was worked, so nothing is known of how worked accounts differ from the others."
        )
        return Section("selection", title, absent=absent)
    says = []
    if found["weights"] is None:
        says.append(texts.gettext("There is nothing to correct for: everybody was worked, or too few to learn who."))
    else:
        says.append(
            texts.gettext(
                "The columns tell who was worked with a ROC-AUC of {auc} (0.5: worked accounts are like the others); "
                "weighted, the worked rows are worth {rows}.",
                auc=texts.number(found["weights"]["auc"], 3),
                rows=texts.number(found["weights"]["effective_rows"]),
            )
        )
        applied = texts.gettext("The model was trained with these weights.")
        says.append(applied if found["applied"] else texts.gettext("The model was trained without these weights."))
    return Section("selection", title, says=says, figures=figures)


def _steps(found: Plain, words: Words) -> Figure | None:
    texts = words.texts
    known = [s for s in found["steps"] if s["value"] is not None]
    if not known:
        return None
    marks, rows = [], []
    for step in known:
        name = w.word(texts, _STEP, step["step"])
        told = texts.gettext(
            "{value} ({low} to {high})", **{k: texts.percent(step[k], 1) for k in ("value", "low", "high")}
        )
        marks.append(Mark(name, step["value"], step["low"], step["high"], told, "model"))
        rows.append([name, told, texts.number(step["of"]), texts.number(step["reached"]), texts.number(step["open"])])
    title = texts.gettext("From an account to a win")
    hint = texts.gettext("The interval holds whatever becomes of those still open.")
    header = ["", texts.gettext("Rate"), texts.gettext("Of"), texts.gettext("Reached"), texts.gettext("Still open")]
    return Figure(title, forest(marks, title, hint, texts.percent, top=1.0), header, rows, hint)


def _side_by_side(found: Plain, words: Words) -> Figure | None:
    if not found["figures"]:
        return None
    texts = words.texts
    rows = []
    for judged, of in found["figures"].items():
        for figure, both in of.items():
            written = (
                [texts.percent(both[k], 1) for k in ("worked", "all")]
                if figure in ("rate", "mean_propensity")
                else [texts.decimals(both[k], 4) for k in ("worked", "all")]
            )
            rows.append([words.judged(judged), w.word(texts, _SELECTED, figure), *written])
    header = [
        texts.gettext("Judged"),
        texts.gettext("Figure"),
        texts.gettext("Among worked accounts"),
        texts.gettext("As if all had been worked"),
    ]
    title = texts.gettext("Side by side")
    return Figure(title, None, header, rows, left=frozenset({0, 1}), unfolded=True)


# --- suspects ---------------------------------------------------------------------------------------------------------


def _suspects(suspects: list[Plain], words: Words) -> Section:
    texts = words.texts
    title = texts.gettext("Suspicious columns")
    if not suspects:
        return Section("suspects", title, absent=texts.gettext("No column is suspected of knowing the outcome."))
    hint = texts.gettext("Make sure that their values were known before the as-of date; --strict leaves them out.")
    out, used = texts.gettext("left out"), texts.gettext("used")
    rows: list[list[Cell]] = [
        [words.facts.label(s["feature"]), _suspicion(s, words), out if s["excluded"] else used] for s in suspects
    ]
    header = [texts.gettext("Column"), texts.gettext("Why"), texts.gettext("In training")]
    table = Figure(title, None, header, rows, left=frozenset({0, 1, 2}), unfolded=True, wide=True)
    return Section("suspects", title, hint, figures=[table])


def _suspicion(suspect: Plain, words: Words) -> str:
    texts = words.texts
    values = {
        "figure": texts.number(suspect["figure"], 3),
        "limit": texts.number(suspect["limit"], 3),
        "share": texts.percent(suspect["figure"], 1),
        "limit_share": texts.percent(suspect["limit"], 1),
    }
    return texts.template(_SUSPICION[suspect["kind"]]).format(**values)


# --- drift ------------------------------------------------------------------------------------------------------------


def _drift(found: Plain, words: Words) -> Section:
    texts = words.texts
    title = texts.gettext("Drift since the last champion")
    if "absent" in found:
        return Section("drift", title, absent=w.word(texts, _NO_DRIFT, found["absent"]))
    hint = texts.gettext(
        "The {now} accounts of {to} against the {before} of {start} that the last champion learned from. The distance "
        "is the share of accounts that would have to move to make both alike.",
        now=texts.number(found["accounts"][1]),
        before=texts.number(found["accounts"][0]),
        to=_day(found["to"], words),
        start=_day(found["from"], words),
    )
    says = [texts.gettext("No metric has changed both surely and by much.")]
    if found["flagged"]:
        says = [
            texts.ngettext(
                "{n} metric has changed surely and by much; it carries {share} of the last champion.",
                "{n} metrics have changed surely and by much; they carry {share} of the last champion.",
                found["flagged"],
                share=texts.percent(found["carried"]),
            )
        ]
    top = max([0.2, *(m["distance"] for m in found["metrics"])])
    changed, like = texts.gettext("▲ changed"), texts.gettext("= alike")
    rows: list[list[Cell]] = [
        [
            words.facts.label(m["metric"]),
            changed if m["flagged"] else like,
            share_bar(m["distance"] / top),
            texts.percent(m["distance"], 1),
            texts.percent(m["missing_before"], 1),
            texts.percent(m["missing_now"], 1),
        ]
        for m in found["metrics"]
    ]
    header = [
        texts.gettext("Metric"),
        texts.gettext("Verdict"),
        "",
        texts.gettext("Distance"),
        texts.gettext("Missing before"),
        texts.gettext("Missing now"),
    ]
    name = texts.gettext(
        "{shown} of {all} metrics, furthest first", shown=texts.number(len(rows)), all=texts.number(found["of"])
    )
    table = Figure(name, None, header, rows, left=frozenset({0, 1, 2}), unfolded=True, wide=True)
    return Section("drift", title, hint, says, [table])


# --- the top of the list ----------------------------------------------------------------------------------------------


def _changes(found: Plain, words: Words) -> Section:
    texts = words.texts
    title = texts.gettext("Who comes to the top of the list, and who leaves it")
    if "absent" in found:
        return Section("changes", title, absent=w.word(texts, _NO_CHANGES, found["absent"]))
    days = {"start": _day(found["from"], words), "to": _day(found["to"], words)}
    rules = texts.gettext(
        "The rules' list of {start} against the model's list of {to}; all accounts of the snapshot.", **days
    )
    champion = texts.gettext(
        "The last champion's list of {start} against the model's list of {to}; all accounts of the snapshot.", **days
    )
    counts = {k: texts.number(v) for k, v in found["causes"].items()}
    says = [
        texts.gettext(
            "{changed} of the first {top} accounts are others: {model} because the model changed, {data} because their "
            "data changed, {new} because they are new.",
            changed=texts.number(found["changed"]),
            top=texts.number(found["top"]),
            **counts,
        )
    ]
    tables = [
        _moved(found["came"], texts.gettext("Came in, best first"), words),
        _moved(found["went"], texts.gettext("Went out"), words),
    ]
    hint = rules if found["against"] == "rules" else champion
    return Section("changes", title, hint, says, [t for t in tables if t.rows])


def _moved(rows: list[Plain], title: str, words: Words) -> Figure:
    texts = words.texts
    table = [
        [
            row["account_id"],
            "–" if row["from"] is None else texts.number(row["from"]),
            "–" if row["to"] is None else texts.number(row["to"]),
            w.word(texts, _CAUSE, row["cause"]),
            "–"
            if row["metric"] is None
            else texts.gettext(
                "{metric}: {value}", metric=words.facts.label(row["metric"]), value=words.points(row["points"])
            ),
        ]
        for row in rows
    ]
    header = [
        texts.gettext("Account"),
        texts.gettext("Rank before"),
        texts.gettext("Rank now"),
        texts.gettext("Because"),
        texts.gettext("What moved most, in points"),
    ]
    return Figure(title, None, header, table, left=frozenset({0, 3, 4}), unfolded=True)


# --- features ---------------------------------------------------------------------------------------------------------


def _features(about: Plain, words: Words) -> Section:
    texts = words.texts
    names = {
        1: texts.gettext("▲ more speaks for"),
        -1: texts.gettext("▼ more speaks against"),
        0: texts.gettext("◆ no direction claimed"),
    }
    category = texts.gettext("category")
    rows = [
        [words.facts.label(f["metric"]), f["name"], category if f["categorical"] else names[f["direction"]]]
        for f in about["features"]
    ]
    header = [texts.gettext("Metric"), texts.gettext("Column"), texts.gettext("Direction")]
    title = texts.gettext("Columns of the model")
    table = Figure(
        texts.ngettext("{n} column", "{n} columns", len(rows)), None, header, rows, left=frozenset({0, 1, 2}), wide=True
    )
    says = []
    if len(rows) < about["columns"]:
        says.append(
            texts.gettext(
                "Of the {given} columns of the table the model reads {used}: those that say most about the outcome one "
                "by one.",
                given=texts.number(about["columns"]),
                used=texts.number(len(rows)),
            )
        )
    if not about["terms"]:
        says.append(
            texts.gettext(
                "The table came without a weighted score, so a plain one was learned from it to be the rules."
            )
        )
    if about["tuning"] is not None:
        pays = texts.gettext(
            "A search for other tree settings ({n} trials) found better ones, which are used.",
            n=texts.number(about["tuning"]["trials"]),
        )
        wins = texts.gettext(
            "A search for other tree settings ({n} trials) found nothing that pays: the fixed recipe is used.",
            n=texts.number(about["tuning"]["trials"]),
        )
        says.append(pays if about["tuning"]["pays"] else wins)
    return Section("features", title, says=says, figures=[table])
