"""The section on curves: ROC and precision-recall per snapshot, and the judgings one by one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from csql_ml.reports.model_report_charts import Plot, Series, plot
from csql_ml.reports.model_report_parts import KIND, Figure, Plain, Section, Words, key_of

_SHARE_MARKS = (0.0, 0.25, 0.5, 0.75, 1.0)


def curves(facts: Plain, words: Words) -> Section:
    """ROC and precision-recall of every judged snapshot, and what each judging rests on."""
    texts, verdict, found = words.texts, facts["verdict"], facts["curves"]
    hint = texts.gettext("Trained on what was known on the snapshot's day, judged on what came of it.")
    says = []
    if not verdict["validated_in_time"]:
        hint = texts.gettext("Accounts held out at random: there is no later snapshot to judge on.")
    elif len(found) == 1:
        says.append(
            texts.gettext("Only one snapshot could be judged, so nothing is said of how figures change in time.")
        )
    if verdict["left_out"]:
        says.append(
            texts.ngettext(
                "{n} snapshot could not be judged: too few outcomes were complete before it to train on.",
                "{n} snapshots could not be judged: too few outcomes were complete before them to train on.",
                len(verdict["left_out"]),
            )
        )
    if verdict["unseen_auc"]:
        told = ", ".join(f"{words.judged(n)} {texts.decimals(v, 3)}" for n, v in verdict["unseen_auc"].items())
        says.append(texts.gettext("ROC-AUC on accounts that were not in training: {told}.", told=told))
    figures = [f for curve in found for f in (_roc(curve, words), _precision_recall(curve, words))]
    title = texts.gettext("ROC and precision-recall per snapshot")
    return Section("curves", title, hint, says, [*figures, _folds(verdict, words)])


def _roc(curve: Plain, words: Words) -> Figure:
    texts = words.texts
    return _curve(
        curve,
        "roc",
        "roc_auc",
        texts.gettext("ROC, {day}", day=_day(curve, words)),
        (texts.gettext("share of the others above the cut"), texts.gettext("Across: the others; up: expansions.")),
        words,
    )


def _precision_recall(curve: Plain, words: Words) -> Figure:
    texts = words.texts
    across, up = (
        texts.gettext("recall"),
        texts.gettext("Across: recall; up: precision. Dashed: the rate of all accounts."),
    )
    title = texts.gettext("Precision and recall, {day}", day=_day(curve, words))
    return _curve(curve, "pr", "average_precision", title, (across, up), words)


def _curve(curve: Plain, kind: str, area: str, title: str, said: tuple[str, str], words: Words) -> Figure:
    texts, of = words.texts, curve["of"]
    drawn = Plot(
        title=title,
        description=said[1],
        series=[Series(KIND[name], found[kind]) for name, found in reversed(list(of.items()))],
        x=(0.0, 1.0),
        y=(0.0, 1.0),
        x_marks=percent_marks(words),
        y_marks=percent_marks(words),
        x_name=said[0],
        diagonal=kind == "roc",
        level=curve["positives"] / curve["rows"] if kind == "pr" else None,
    )
    rows = [[words.judged(name), texts.decimals(found[area], 4)] for name, found in of.items()]
    hint = texts.gettext(
        "{rows} accounts, {positives} of them expanded.",
        rows=texts.number(curve["rows"]),
        positives=texts.number(curve["positives"]),
    )
    header = [texts.gettext("Judged"), words.figure(area)]
    return Figure(title, plot(drawn), header, rows, hint, key_of(list(of), words), unfolded=True)


def _day(curve: Plain, words: Words) -> str:
    return words.texts.date(date.fromisoformat(curve["day"]))


def _folds(verdict: Plain, words: Words) -> Figure:
    texts, folds = words.texts, verdict["folds"]
    names = list(folds[0]["log_loss"]) if folds else []

    def counts(fold: Plain, part: str) -> str:
        return texts.gettext(
            "{rows} ({positives} positive)",
            rows=texts.number(fold[f"{part}_rows"]),
            positives=texts.number(fold[f"{part}_positives"]),
        )

    rows: list[Sequence[str]] = []
    for number, fold in enumerate(folds, start=1):
        name = texts.number(number)
        if verdict["validated_in_time"]:
            name = texts.date(date.fromisoformat(fold["name"]))
        losses = [words.value(fold["log_loss"][n], "log_loss") for n in names]
        rows.append([name, counts(fold, "train"), counts(fold, "test"), *losses])
    header = [
        texts.gettext("Judged on"),
        texts.gettext("Trained on rows"),
        texts.gettext("Judged rows"),
        *(texts.gettext("Log loss: {judged}", judged=words.judged(n)) for n in names),
    ]
    return Figure(texts.gettext("Every judging"), None, header, rows, wide=True)


def percent_marks(words: Words) -> list[tuple[float, str]]:
    """Marks of an axis of shares."""
    return [(v, words.texts.percent(v)) for v in _SHARE_MARKS]
