"""One account in the terminal: the same facts, words and rounding as its page in the report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from rich.markup import escape
from rich.table import Table

from csql_ml.reports import wording
from csql_ml.reports.catalogue import load
from csql_ml.reports.evidence_text import Facts, facts_of
from csql_ml.reports.rounding import largest_remainder
from csql_ml.reports.run_folder import own_metrics_of
from csql_ml.reports.texts import Texts

if TYPE_CHECKING:
    from csql_ml.config import Config


def account_text(record: Mapping[str, Any], manifest: Mapping[str, Any], config: Config) -> list[Any]:
    """Lines and tables that explain one account."""
    texts = Texts(load(config.company.language), manifest["currency"])
    facts = facts_of(bool(manifest.get("own_features")), texts, own_metrics_of(manifest))
    status = texts.gettext(wording.STATUS[record["status"]])
    head = f"[bold]{escape(record['name'] or record['account_id'])}[/bold]  {escape(record['account_id'])}  {status}"
    return [head, _headline(record, texts), "", _sum(record, texts, facts), "", *_checks(record, texts, facts)]


def _headline(record: Mapping[str, Any], texts: Texts) -> str:
    parts = [
        texts.percent(record["propensity"], 1),
        f"{texts.gettext(wording.BAND[record['band']])}, #{record['rank']}",
        f"{texts.number(record['baseline_score'])} / 100",
    ]
    hypothesis = record["hypothesis"]
    if hypothesis is not None:
        parts.append(f"{texts.gettext(wording.LEAD_TYPE[hypothesis['type']])}: {hypothesis['product']}")
    if record["expected_arr"] is not None:
        parts.append(texts.money(record["expected_arr"]))
    return escape("  |  ".join(parts))


def _sum(record: Mapping[str, Any], texts: Texts, facts: Facts) -> Table:
    """Reference, reasons and everything else, rounded so that the column adds up to the score shown."""
    reasons = record["reasons"]
    parts = [record["reference"], *(r["points"] for r in reasons), record["other_points"]]
    total = round(record["propensity"] * 1000)
    rounded = largest_remainder([p * 1000 for p in parts], total)
    labels = [
        texts.gettext("Typical account"),
        *(facts.sentence(r) for r in reasons),
        texts.gettext("Everything else"),
        texts.gettext("Propensity"),
    ]
    table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(justify="right")
    table.add_column()
    for i, (points, label) in enumerate(zip([*rounded, total], labels, strict=True)):
        shown = texts.tenths(points) if i in (0, len(labels) - 1) else texts.signed_tenths(points)
        table.add_row(escape(shown), escape(label))
    return table


def _checks(record: Mapping[str, Any], texts: Texts, facts: Facts) -> Iterator[str]:
    for gate in record["gates"]:
        because = ", ".join(facts.label(name) for name in gate["because"])
        state = texts.gettext(wording.GATE_STATE[gate["state"]])
        name = texts.gettext(wording.GATE[gate["gate"]])
        yield escape(f"{name}: {state}" + (f" ({because})" if because else ""))
    for risk in record["risks"]:
        yield escape(f"{wording.risk_fact(texts, risk)} {wording.risk_release(texts, risk)}")
    for code in record["ineligible_because"]:
        yield escape(texts.gettext(wording.INELIGIBLE[code]))
    for item in record["missing"]:
        yield escape(f"- {facts.sentence(item)}")
    yield ""
    yield escape(texts.gettext("Associated with, not caused by: the model shows what goes together with expansions."))
