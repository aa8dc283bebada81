"""Where an account stood in earlier runs, as a table with a bar per run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from csql_ml.reports import wording as w
from csql_ml.reports.build_score import SCORE_DIGITS, tenths
from csql_ml.reports.chart import bar
from csql_ml.reports.history import Past
from csql_ml.reports.site import Site

#: Earlier runs that are shown; older ones are counted.
MOST_SHOWN = 3


def history(account: Mapping[str, Any], site: Site) -> dict[str, Any] | None:
    """The run reported and those before it, newest first; None where the report was given no earlier run.

    Returns
    -------
    dict
        ``rows``: one per run; ``change``: the difference to the run before as a sentence, None where there is nothing
        to compare; ``left_out``: a word about older runs, None where all are shown.
    """
    if not site.history:
        return None
    past = site.history.of(str(account["account_id"]))
    shown = [_today(account, site), *reversed(past[-MOST_SHOWN:])]
    older = len(past) - MOST_SHOWN
    return {
        "rows": [_row(one, before, shown, site) for one, before in zip(shown, [*shown[1:], None], strict=True)],
        "change": _change(shown, site),
        "left_out": site.texts.ngettext("{n} older run is left out.", "{n} older runs are left out.", older)
        if older > 0
        else None,
    }


def _today(account: Mapping[str, Any], site: Site) -> Past:
    run = site.run
    return Past(
        run.as_of,
        run.model_version,
        run.labels_seen,
        account.get("propensity"),
        account.get("baseline_score"),
        account.get("status"),
        account.get("rank"),
        account.get("csm_id"),
    )


def _row(one: Past, before: Past | None, shown: Sequence[Past], site: Site) -> dict[str, Any]:
    t = site.texts
    value, high = _main(one, site), max((_main(p, site) or 0.0 for p in shown), default=0.0)
    day = t.date(one.as_of)
    return {
        "day": day,
        "value": None if value is None else _written(value, site),
        "bar": None if value is None or high <= 0 else bar(0, value, 0, high),
        "status": one.status if one.status in w.STATUS else "",
        "word": w.word(t, w.STATUS, one.status),
        "rank": None if one.rank is None else t.number(one.rank),
        "remark": _remark(one, before, site),
    }


def _remark(one: Past, before: Past | None, site: Site) -> str | None:
    """What makes a run and the one before it hard to compare."""
    if before is None:
        return None
    if one.model_version != before.model_version:
        return site.texts.gettext("new model")
    return site.texts.gettext("new owner") if one.csm_id != before.csm_id else None


def _main(one: Past, site: Site) -> float | None:
    """The number that the page shows large: the score while propensities are assumptions, else the propensity."""
    if site.prior:
        return one.baseline_score
    return one.propensity if one.labels_seen else None


def _written(value: float, site: Site) -> str:
    return site.texts.number(value, SCORE_DIGITS) if site.prior else site.texts.tenths(tenths(value))


def _change(shown: Sequence[Past], site: Site) -> str | None:
    t = site.texts
    if len(shown) == 1:
        return t.gettext("This account was in none of the earlier runs given.")
    now, before = _main(shown[0], site), _main(shown[1], site)
    if now is None or before is None:
        return None
    # Differences of the numbers as shown, so that the reader's subtraction gives the same.
    step = round(now) - round(before) if site.prior else tenths(now) - tenths(before)
    points = t.signed_number(step) if site.prior else t.signed_tenths(step)
    return t.gettext("{points} points since {date}", points=points, date=t.date(shown[1].as_of))
