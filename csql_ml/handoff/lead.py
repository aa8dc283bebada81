"""The lead record (CSQL) and the account record, as plain dicts: one JSON serves the CRM, the pages and the terminal.

Reasons are codes and typed numbers; `csql_ml.reports` turns them into sentences of a language. A record is made of one
account's own rows and then `placed` among all accounts of the run, so that parts of a run can be told apart.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from math import inf
from typing import TYPE_CHECKING, Any

import pandas as pd

from csql_ml.baseline import gates as gate_rules
from csql_ml.baseline import risk as risk_rules
from csql_ml.cells import Cells
from csql_ml.explain.evidence import Evidence, plain
from csql_ml.explain.stability import Stability
from csql_ml.metrics.compiler import TREND_LENGTH, TRENDS
from csql_ml.metrics.definition import Metric
from csql_ml.model.money import account_money
from csql_ml.scoring import NOT_YET, QUALIFIED, STANDING, Scored
from csql_ml.snapshots import Snapshot

if TYPE_CHECKING:
    from csql_ml.config import Config
    from csql_ml.model.bundle import Champion

_ACCOUNT_COLUMNS = ("name", "csm_id", "ae_id", "segment", "industry", "region")
#: Stakeholders named in a lead, most important role first.
_ROLES = ("executive_sponsor", "buyer", "champion", "user")


@dataclass(frozen=True)
class Dossier:
    """Everything known about the accounts of one run.

    Attributes
    ----------
    stability
        Intervals of the scores; None where the champion has no refits.
    alike
        By row, what the most similar account had that got there: see `csql_ml.explain.what_is_missing`.
    money
        What wins said about types and amounts (`csql_ml.model.money.money_facts`); None for older bundles.
    """

    snapshot: Snapshot
    scored: Scored
    evidence: Evidence
    metrics: Mapping[str, Metric]
    absent: Sequence[str]
    config: Config
    stability: Stability | None = None
    alike: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)
    money: Mapping[str, Any] | None = None

    def records(self) -> Iterator[dict[str, Any]]:
        """Account records in the order of the snapshot."""
        standing = self.scored.scores[list(STANDING)].to_dict("records")
        for record, place in zip(self.unplaced(), standing, strict=True):
            yield placed(record, {str(k): v for k, v in place.items()})

    def unplaced(self) -> Iterator[dict[str, Any]]:
        """Account records without their `STANDING`, which takes all accounts of the run."""
        people: dict[str, list[dict[str, Any]]] = {}
        for person in _lines(self.snapshot.contacts):
            people.setdefault(str(person["account_id"]), []).append(person)
        lines = zip(*map(_lines, (self.scored.scores, self.snapshot.accounts, self.snapshot.facts)), strict=True)
        for row, (score, account, facts) in enumerate(lines):
            stakeholders = _stakeholders(people.get(str(score["account_id"]), []))
            yield self._record(row, score, account, facts) | {"stakeholders": stakeholders}

    def _record(
        self, row: int, score: Mapping[str, Any], account: Mapping[str, Any], facts: Mapping[str, Any]
    ) -> dict[str, Any]:
        reasons, other, unsteady = self.evidence.told(row)
        return {
            "account_id": score["account_id"],
            **{name: plain(account[name]) for name in _ACCOUNT_COLUMNS},
            "as_of": self.snapshot.as_of.isoformat(),
            "plan": plain(facts["plan_in_force"]),
            "product": plain(facts["main_product"]),
            "arr": plain(facts["arr_in_force"]),
            "seats": plain(facts["licensed_seats"]),
            "tenure_days": plain(facts["tenure"]),
            "status": score["status"],
            "lead_type": plain(score["lead_type"]),
            **{name: plain(score[name]) for name in ("propensity", "baseline_score", "expected_arr")},
            "sub_scores": {part: plain(self._sub_score.at(str(part), row)) for part in self.scored.sub_scores},
            "reference": float(self.scored.points.reference),
            "interval": self._interval(row),
            "reasons": reasons,
            "unsteady": unsteady,
            "other_points": other,
            "gates": self._gates(row),
            "risks": self._risks(row),
            "ineligible_because": list(self.scored.barred[row]),
            "missing": self._missing(row) if score["status"] == NOT_YET else [],
            "comparable": self.alike.get(row),
            "hypothesis": self._hypothesis(row),
            "money": self._money(row, score, facts),
            "trigger": self._trigger(row),
            "trend": {name: [plain(facts[f"trend.{name}.{i}"]) for i in range(TREND_LENGTH)] for name in TRENDS},
            "absent_sources": list(self.absent),
        }

    def _interval(self, row: int) -> dict[str, float] | None:
        found = self.stability
        if found is None:
            return None
        return {"low": float(found.low[row]), "high": float(found.high[row]), "level": found.level}

    def _gates(self, row: int) -> list[dict[str, Any]]:
        gates = self.scored.gates
        return [
            {"gate": gate, "state": gates.state(row, gate), "because": gates.because(row, gate)}
            for gate in gates.states.columns
        ]

    def _risks(self, row: int) -> list[dict[str, Any]]:
        return [
            {"risk": rule.name, "value": plain(self.evidence.feature.at(rule.column, row)), "limit": rule.limit}
            for rule in self._risk_rules
            if self._held.at(rule.name, row)
        ]

    @cached_property
    def _risk_rules(self) -> list[risk_rules.RiskRule]:
        return [rule for rule in risk_rules.rules(self.config) if rule.name in self._held]

    @cached_property
    def _held(self) -> Cells:
        return Cells(self.scored.risks)

    @cached_property
    def _score(self) -> Cells:
        return Cells(self.scored.scores)

    @cached_property
    def _sub_score(self) -> Cells:
        return Cells(self.scored.sub_scores)

    def _missing(self, row: int) -> list[dict[str, Any]]:
        """Metrics that keep failed gates shut: measured, and not at their thresholds."""
        gates = self.scored.gates
        names = [self._lacking(n, row) for gate in gates.failed(row) for n in gates.openers[gate]]
        return [
            {
                "metric": name,
                "value": value,
                "threshold": self.evidence.thresholds.get(name),
                "unit": self.metrics[name].unit,
            }
            for name in dict.fromkeys(names)
            if (value := plain(self.evidence.feature.at(name, row))) is not None
        ]

    def _lacking(self, name: str, row: int) -> str:
        """The metric itself, or the one it depends on where it is at its own threshold already."""
        metric, limit = self.metrics[name], self.evidence.thresholds.get(name)
        value = self.evidence.feature.at(name, row)
        if metric.also is None or metric.also not in self.metrics or limit is None:
            return name
        return metric.also if (value <= limit if metric.direction < 0 else value >= limit) else name

    def _hypothesis(self, row: int) -> dict[str, Any] | None:
        found = self.scored.hypotheses[row]
        if found is None:
            return None
        return {
            "type": found.type,
            "product": found.product,
            "because": found.metric,
            "potential_arr": plain(self.scored.potential_arr.iat[row]),
            "expected_arr": plain(self._score.at("expected_arr", row)),
        }

    def _money(self, row: int, score: Mapping[str, Any], facts: Mapping[str, Any]) -> dict[str, Any]:
        found = self.scored.hypotheses[row]
        return account_money(
            self.money,
            propensity=float(score["propensity"]),
            interval=self._interval(row),
            arr=plain(facts["arr_in_force"]),
            hypothesis=found.type if found else None,
            expected_arr=plain(score["expected_arr"]),
        )

    def _trigger(self, row: int) -> dict[str, Any] | None:
        """The timing metric that opened the timing gate and moved the score most."""
        opened = self.scored.gates.because(row, "timing") if "timing" in self.scored.gates.openers else []
        if not opened:
            return None
        weight = dict(zip(self.evidence.columns, self.evidence.points[row], strict=True))
        name = max(opened, key=lambda n: (weight.get(n, 0.0), n))
        return {
            "metric": name,
            "value": plain(self.evidence.feature.at(name, row)),
            "previous_value": self.evidence.previous(name, row),
            "unit": self.metrics[name].unit,
            "facts": self.evidence.facts_of(self.metrics[name], row),
        }


def thresholds(metrics: Sequence[Metric], config: Config, snapshot: Snapshot) -> dict[str, float | None]:
    """Threshold of every metric as of the snapshot."""
    return {m.name: gate_rules.threshold(m, config, snapshot.as_of) for m in metrics}


def placed(record: Mapping[str, Any], standing: Mapping[str, Any]) -> dict[str, Any]:
    """An account record with its place among all accounts of the run: percentile, band and ranks."""
    return {**record, **{name: plain(standing[name]) for name in STANDING}}


def _lines(frame: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Rows as dicts: taking a row out of a frame of many columns costs a hundred times as much."""
    names = [str(name) for name in frame.columns]
    for values in zip(*(frame[name].tolist() for name in frame.columns), strict=True):
        yield dict(zip(names, values, strict=True))


def _stakeholders(people: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Most important role first, then the newest; what is not known comes last."""

    def place(person: Mapping[str, Any]) -> tuple[int, float, str]:
        role, since = person["role"], plain(person["since_days_ago"])
        return (
            _ROLES.index(role) if role in _ROLES else len(_ROLES),
            inf if since is None else since,
            person["contact_id"],
        )

    return [
        {
            "contact_id": person["contact_id"],
            "role": person["role"],
            "name": plain(person.get("name")),
            "since_days_ago": plain(person["since_days_ago"]),
            "last_engaged_days_ago": plain(person.get("last_engaged_days_ago")),
        }
        for person in sorted(people, key=place)
    ]


def lead_key(account_id: str, lead_type: str | None, product: str | None, trigger: str | None) -> str:
    """Identity of a lead: account, motion and trigger event; never the run or the date."""
    text = "\x1f".join([account_id, lead_type or "", product or "", trigger or ""])
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def lead_of(
    record: Mapping[str, Any], champion: Champion, run_id: str, config: Config, snapshot: Snapshot
) -> dict[str, Any]:
    """The CSQL record of a qualified account: what the AE needs, and whom it is routed to."""
    if record["status"] != QUALIFIED:
        raise ValueError(f"account {record['account_id']} is {record['status']}, not {QUALIFIED}")
    hypothesis, trigger = record["hypothesis"], record["trigger"]
    product = hypothesis["product"] if hypothesis else None
    return {
        "lead_key": lead_key(
            record["account_id"], record["lead_type"], product, trigger["metric"] if trigger else None
        ),
        "run_id": run_id,
        "model_version": champion.model_version,
        "as_of": record["as_of"],
        "account_id": record["account_id"],
        "account_name": record["name"],
        "lead_source": config.handoff.lead_source,
        "lead_type": record["lead_type"],
        "product": product,
        "propensity": record["propensity"],
        "baseline_score": record["baseline_score"],
        "band": record["band"],
        "expected_arr": record["expected_arr"],
        "potential_arr": hypothesis["potential_arr"] if hypothesis else None,
        "currency": config.company.currency,
        "proof_of_value": [r for r in record["reasons"] if r["side"] == "for"],
        "value_proven_by": next((g["because"] for g in record["gates"] if g["gate"] == "value_proven"), []),
        "trigger_event": trigger,
        "expansion_hypothesis": hypothesis,
        "stakeholders": record["stakeholders"],
        "owner": record["ae_id"],
        "route": {
            "ae_id": record["ae_id"],
            "csm_id": record["csm_id"],
            "answer_due": (snapshot.as_of + timedelta(days=config.handoff.sla_days)).isoformat(),
        },
    }
