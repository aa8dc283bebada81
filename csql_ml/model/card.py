"""The model card: what a champion is for, what it rests on, how well it does, and how to go back.

`contents` is plain values, ``card.md.j2`` the words around them. Every number comes from the training's results; the
same training gives the same text.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from csql_ml.config import Config
from csql_ml.metrics import metrics_of
from csql_ml.metrics.definition import Feature
from csql_ml.model.figures import BINS, FIGURES, LOSSES, Estimate, Figures
from csql_ml.model.training import Trained
from csql_ml.model.training_data import STATES, TrainingData

_JUDGED = {"model": "model", "logistic": "logistic regression", "baseline": "rules (weighted score)"}
_FIGURES = {
    "roc_auc": "ROC-AUC",
    "average_precision": "average precision",
    "log_loss": "log loss",
    "brier": "Brier score",
    "ece": "calibration error (ECE)",
    "precision_at_k": "precision at capacity",
    "arr_at_k": "ARR captured at capacity",
    "arr_share_at_k": "share of ARR captured at capacity",
}
_DIRECTIONS = {1: "more speaks for", -1: "more speaks against", 0: "none claimed"}
_STAGES = {"accepted": "accepted by sales", "opportunity": "turned into an opportunity", "won": "won"}

Rows = list[list[str]]


def model_card(trained: Trained, config: Config, data: TrainingData) -> str:
    """The card of ``trained.champion`` as Markdown."""
    return _template().render(contents(trained, config, data)).strip() + "\n"


def contents(trained: Trained, config: Config, data: TrainingData) -> dict[str, Any]:
    """Everything the card says, as plain values."""
    verdict = trained.verdict
    return {
        **_champion(trained),
        "paragraph": trained.paragraph(),
        "horizon": _horizon(config.labels.horizon_quarters),
        "stage": f"is {_STAGES[config.labels.stage]}",
        "in_time": verdict.in_time,
        "repetitions": config.model.bootstrap,
        "capacity": verdict.capacity,
        "left_out": verdict.left_out,
        "unseen": ", ".join(f"{_JUDGED[n]} {auc:.3f}" for n, auc in verdict.unseen_auc.items()),
        **_judged(trained),
        "now": data.now,
        "funnel": _funnel(trained.label_funnel),
        "arr_share": ", ".join(f"{k} {v:.0%}" for k, v in trained.champion.arr_share.items()),
        "min_wins": config.handoff.min_wins_for_arr,
        "fingerprint": data.fingerprint(),
        "maturity": _maturity(trained),
        "tuning": trained.tuning.sentence() if trained.tuning is not None else "",
        "stability": _stability(trained),
        "features": _features(trained.champion.features, config),
        "columns": {"used": len(trained.champion.features), "given": len(data.features)},
        "selection": _selection(trained),
        "calibrator": trained.calibration.sentence() if trained.calibration is not None else "",
        "suspects": [s.sentence + (" Left out." if s.feature in trained.excluded else "") for s in trained.suspects],
        "terms": [
            [f"`{t.feature}`", t.part, f"{t.zero_at:g}", f"{t.full_at:g}", f"{t.weight:g}"]
            for t in trained.champion.terms
        ],
        "weights": ", ".join(f"{k} {v:g}" for k, v in trained.champion.weights.items()),
        "registered_model": config.tracking.registered_model,
    }


def _champion(trained: Trained) -> dict[str, Any]:
    champion = trained.champion
    rules, known = champion.kind == "rules", champion.trained_as_of
    return {
        "kind": champion.kind,
        "model_version": champion.model_version,
        "champion": "the rules (weighted score)" if rules else "the propensity model",
        "learned_from": f"labels known before {known}" if known else "an assumed rate, as labels are too few",
        "assumed": known is None,
        "threshold": f"score of {champion.threshold:g}" if rules else f"propensity of {champion.threshold:.4f}",
    }


def _horizon(quarters: int) -> str:
    if quarters == 0:
        return "in the current quarter"
    return f"in the current or the next {'' if quarters == 1 else f'{quarters} '}quarter{'' if quarters == 1 else 's'}"


def _judged(trained: Trained) -> dict[str, Any]:
    """Tables of the verdict; empty where nothing was judged."""
    verdict, figures = trained.verdict, trained.verdict.figures
    if figures is None:
        return {"figures": None, "folds": [], "fold_header": [], "calibration": None, "lift": None}
    names = [_JUDGED[n] for n in figures.of]
    folds = [
        [
            f.name,
            f"{f.train_rows:,} ({f.train_positives:,})",
            f"{f.test_rows:,} ({f.test_positives:,})",
            *(f"{loss:.4f}" for loss in f.log_loss.values()),
        ]
        for f in verdict.folds
    ]
    header = ["judged on", "trained on rows (positive)", "judged rows (positive)", *(f"log loss, {n}" for n in names)]
    judged = "model" if trained.champion.kind == "stack" else "baseline"
    return {
        "figures": {"header": ["figure", *names, "model minus rules"], "rows": _figures(figures)},
        "folds": folds,
        "fold_header": header,
        "calibration": _calibration(figures, judged),
        "lift": {"header": ["tenth, best first", *names], "rows": _lift(figures)},
    }


def _figures(figures: Figures) -> Rows:
    return [
        [
            _FIGURES[name] + (" (less is better)" if name in LOSSES else ""),
            *(_cell(of[name], name) for of in figures.of.values()),
            _cell(figures.gain["model"][name], name, sign="+"),
        ]
        for name in FIGURES
    ]


def _cell(estimate: Estimate, figure: str, sign: str = "") -> str:
    if pd.isna(estimate.value):
        return "not known"
    style = f"{sign},.0f" if figure == "arr_at_k" else f"{sign}.4f"
    return f"{estimate.value:{style}} ({estimate.low:{style}} to {estimate.high:{style}})"


def _calibration(figures: Figures, judged: str) -> dict[str, Any]:
    rows = [
        [f"{r['mean_propensity']:.1%}", f"{r['rate']:.1%}", f"{r['rows']:,}"] for r in reversed(figures.lift[judged])
    ]
    noise, ece = figures.ece_noise[judged], figures.of[judged]["ece"]
    within = "within" if ece.value <= noise.high else "above"
    sentence = (
        f"ECE over {BINS} bins: {ece.value:.4f}, {within} what chance alone gives a perfectly calibrated forecast of "
        f"this size ({noise.value:.4f} on average, up to {noise.high:.4f})."
    )
    return {"judged": _JUDGED[judged], "rows": rows, "sentence": sentence}


def _lift(figures: Figures) -> Rows:
    tenths = zip(*figures.lift.values(), strict=True)
    return [
        [
            str(rows[0]["decile"]),
            *(f"{r['lift']:.2f} ({r['lift_low']:.2f} to {r['lift_high']:.2f})" for r in rows),
        ]
        for rows in tenths
    ]


def _funnel(funnel: pd.DataFrame) -> dict[str, Any]:
    columns = ("accounts", *STATES)
    rows = [
        [
            str(row["as_of"]),
            *(f"{row[c]:,}" for c in columns),
            "" if pd.isna(row["positive_rate"]) else f"{row['positive_rate']:.1%}",
        ]
        for row in funnel.to_dict("records")
    ]
    return {"header": ["snapshot", *columns, "positive of decided"], "rows": rows}


def _maturity(trained: Trained) -> dict[str, str] | None:
    """What the stack is made of, be it champion or challenger."""
    stack = trained.champion if trained.champion.kind == "stack" else trained.challenger
    found = getattr(stack.estimator, "maturity_", None) if stack is not None else None
    return {"whose": "champion" if stack is trained.champion else "challenger", "text": str(found)} if found else None


def _stability(trained: Trained) -> str:
    """How often the strongest reasons come back in bootstrap refits; empty where there are none."""
    refits = trained.champion.refits
    found = refits.figures if refits is not None else {}
    if "stability" not in found:
        return ""
    return (
        f"In {found['refits']:.0f} bootstrap refits, an account's three strongest reasons of each side stood again in "
        f"{found['stability']:.0%} (by chance {found['stability_chance']:.0%}); {found['printed']:.0%} of them are "
        f"steady enough to be shown (by chance {found['printed_chance']:.0%})."
    )


def _selection(trained: Trained) -> dict[str, Any] | None:
    """Who was worked, accepted and won, and the figures weighted to all accounts beside those of worked ones."""
    found = trained.selection
    if found is None or not found.steps:
        return None
    words = {"worked": "worked", "accepted": "accepted, of those worked", "won": "won, of those accepted"}
    rates = [
        [
            words[s.step],
            "not known" if s.value is None else f"{s.value:.1%} ({s.low:.1%} to {s.high:.1%})",
            f"{s.reached:,} of {s.of:,}",
            f"{s.open:,}",
        ]
        for s in found.steps
    ]
    figures = [
        [_JUDGED.get(name, name), figure.replace("_", " "), f"{worked:.4f}", f"{everybody:.4f}"]
        for name, of in found.figures.items()
        for figure, (worked, everybody) in of.items()
    ]
    done = "The model was trained with these weights." if found.applied else "The model was trained without them."
    return {"rates": rates, "figures": figures, "done": done}


def _features(features: Sequence[Feature], config: Config) -> Rows:
    known = metrics_of(config)
    return [
        [
            f"`{f.name}`",
            known[f.metric].label if f.metric in known else f.metric,
            "category" if f.categorical else _DIRECTIONS[f.direction],
        ]
        for f in features
    ]


@cache
def _template() -> Template:
    # Markdown, not HTML: escaping would spoil it, and nothing in it comes from customers' rows.
    environment = Environment(
        loader=PackageLoader("csql_ml.model", "."),
        autoescape=False,  # noqa: S701
        undefined=StrictUndefined,
        keep_trailing_newline=True,
    )
    return environment.get_template("card.md.j2")
