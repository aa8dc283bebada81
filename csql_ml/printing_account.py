"""One account in the terminal and in a notebook: the same facts, words and rounding as its page in the report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from html import escape as html_escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from csql_ml.reports import wording
from csql_ml.reports.build_evidence import peer_text, where
from csql_ml.reports.build_gaps import comparable
from csql_ml.reports.build_score import interval_text
from csql_ml.reports.build_why import unsteady_text
from csql_ml.reports.catalogue import load
from csql_ml.reports.evidence_text import facts_of
from csql_ml.reports.rounding import largest_remainder
from csql_ml.reports.run_folder import Run, own_metrics_of
from csql_ml.reports.site import Site
from csql_ml.reports.texts import Texts

if TYPE_CHECKING:
    from rich.table import Table

    from csql_ml.config import Config


@dataclass(frozen=True)
class Explanation:
    """The explanation of one account's score, in words.

    Shown by a notebook as a table (``_repr_html_``) and by `csql explain` in the terminal.

    Attributes
    ----------
    name, account_id, status
        Whose score it is.
    headline
        Propensity with its interval, band and rank, score, hypothesis and expected ARR.
    rows
        Points as shown (they add up as shown), what they stand for, and the evidence behind it.
    notes
        Gates, risks, what is missing, and what an account like this one had.
    closing
        What an explanation is not.
    """

    name: str
    account_id: str
    status: str
    headline: str
    rows: tuple[tuple[str, str, tuple[str, ...]], ...]
    notes: tuple[str, ...]
    closing: str

    def lines(self) -> list[Any]:
        """Lines and tables for Rich."""
        from rich.markup import escape

        head = f"[bold]{escape(self.name)}[/bold]  {escape(self.account_id)}  {escape(self.status)}"
        notes = [escape(note) for note in self.notes]
        return [head, escape(self.headline), "", self._table(), "", *notes, "", escape(self.closing)]

    def _table(self) -> Table:
        from rich.markup import escape
        from rich.table import Table

        table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
        table.add_column(justify="right")
        table.add_column()
        for points, label, evidence in self.rows:
            behind = "".join(f"\n[dim]{escape(line)}[/dim]" for line in evidence)
            table.add_row(escape(points), escape(label) + behind)
        return table

    def _repr_html_(self) -> str:
        """A table without scripts or outside resources; names and texts are escaped."""
        rows = "".join(
            f'<tr><td style="text-align:right;vertical-align:top">{html_escape(points)}</td>'
            f'<td style="text-align:left">{html_escape(label)}'
            + "".join(f"<br><small>{html_escape(line)}</small>" for line in evidence)
            + "</td></tr>"
            for points, label, evidence in self.rows
        )
        notes = "".join(f"<li>{html_escape(note)}</li>" for note in self.notes)
        return (
            f"<div><p><strong><bdi>{html_escape(self.name)}</bdi></strong> <bdi>{html_escape(self.account_id)}</bdi> "
            f"{html_escape(self.status)}<br>{html_escape(self.headline)}</p><table><tbody>{rows}</tbody></table>"
            + (f"<ul>{notes}</ul>" if notes else "")
            + f"<p><small>{html_escape(self.closing)}</small></p></div>"
        )


def explanation(run: str | Path, account_id: str, config: Config) -> Explanation:
    """The explanation of one account of a run.

    Parameters
    ----------
    run
        Folder that `csql score` wrote.
    config
        Its language is the explanation's.

    Raises
    ------
    OutputError
        The folder is no run, or the account is not in it.
    """
    from csql_ml.pipeline import account_record

    manifest, record = account_record(Path(run), account_id)
    return explanation_of(record, manifest, config)


def explanation_of(record: Mapping[str, Any], manifest: Mapping[str, Any], config: Config) -> Explanation:
    """As `explanation`, of a record of the run's ``accounts.jsonl``."""
    site = _site(manifest, config)
    t = site.texts
    return Explanation(
        name=record["name"] or record["account_id"],
        account_id=record["account_id"],
        status=t.gettext(wording.STATUS[record["status"]]),
        headline=_headline(record, site),
        rows=tuple(_rows(record, site)),
        notes=tuple(_notes(record, site)),
        closing=t.gettext("Associated with, not caused by: the model shows what goes together with expansions."),
    )


def _site(manifest: Mapping[str, Any], config: Config) -> Site:
    """What the words of a page need: the run, its language and its metrics; a single account has no other pages."""
    own = bool(manifest.get("own_features"))
    texts = Texts(load(config.company.language), manifest["currency"])
    run = Run(
        folder=Path(),
        run_id=manifest["run_id"],
        as_of=date.fromisoformat(manifest["as_of"]),
        model_version=manifest["model_version"],
        champion_kind=manifest["champion_kind"],
        company=manifest["company"],
        currency=manifest["currency"],
        labels_seen=bool(manifest["labels_seen"]),
        own_features=own,
        own_metrics=own_metrics_of(manifest),
    )
    return Site(run, texts, facts_of(own, texts, run.own_metrics), config, {}, 0)


def account_text(record: Mapping[str, Any], manifest: Mapping[str, Any], config: Config) -> list[Any]:
    """Lines and tables that explain one account."""
    return explanation_of(record, manifest, config).lines()


def _headline(record: Mapping[str, Any], site: Site) -> str:
    texts, interval = site.texts, interval_text(record.get("interval"), site)
    parts = [
        texts.percent(record["propensity"], 1) + (f" ({interval})" if interval else ""),
        f"{texts.gettext(wording.BAND[record['band']])}, #{record['rank']}",
        f"{texts.number(record['baseline_score'])} / 100",
    ]
    hypothesis = record["hypothesis"]
    if hypothesis is not None:
        parts.append(f"{texts.gettext(wording.LEAD_TYPE[hypothesis['type']])}: {hypothesis['product']}")
    if record["expected_arr"] is not None:
        parts.append(texts.money(record["expected_arr"]))
    return "  |  ".join(parts)


def _rows(record: Mapping[str, Any], site: Site) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Reference, reasons and everything else, rounded so that the column adds up to the score shown."""
    texts, reasons = site.texts, record["reasons"]
    parts = [record["reference"], *(r["points"] for r in reasons), record["other_points"]]
    total = round(record["propensity"] * 1000)
    first, *rounded = largest_remainder([p * 1000 for p in parts], total)
    left_out = unsteady_text(record.get("unsteady"), site)
    yield texts.tenths(first), texts.gettext("Typical account"), ()
    for points, reason in zip(rounded[:-1], reasons, strict=True):
        yield texts.signed_tenths(points), site.facts.sentence(reason), _evidence(reason, site)
    yield texts.signed_tenths(rounded[-1]), texts.gettext("Everything else"), (left_out,) if left_out else ()
    yield texts.tenths(total), texts.gettext("Propensity"), ()


def _evidence(reason: Mapping[str, Any], site: Site) -> tuple[str, ...]:
    """How the account compares with its segment, and where the fact comes from."""
    unit = reason.get("unit") or site.facts.unit(str(reason["metric"]))
    peers = peer_text(reason, unit, site)
    return (peers, where(reason, site)) if peers else (where(reason, site),)


def _notes(record: Mapping[str, Any], site: Site) -> Iterator[str]:
    texts, facts = site.texts, site.facts
    for gate in record["gates"]:
        because = ", ".join(facts.label(name) for name in gate["because"])
        state = texts.gettext(wording.GATE_STATE[gate["state"]])
        name = texts.gettext(wording.GATE[gate["gate"]])
        yield f"{name}: {state}" + (f" ({because})" if because else "")
    for risk in record["risks"]:
        yield f"{wording.risk_fact(texts, risk)} {wording.risk_release(texts, risk)}"
    for code in record["ineligible_because"]:
        yield texts.gettext(wording.INELIGIBLE[code])
    for item in record["missing"]:
        yield f"- {facts.sentence(item)}"
    alike = comparable(record, site)
    if alike is not None:
        yield alike["title"]
        yield from (f"- {row['label']}: {row['theirs']} ({row['own']})" for row in alike["rows"])
        if alike["note"]:
            yield alike["note"]
