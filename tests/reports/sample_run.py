"""Run folders as `csql score` writes them, made from a seed: every status, gate state, hole and hostile name occurs."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from csql_ml.metrics.definition import Metric
from csql_ml.run_files import EXPLANATIONS_SCHEMA, SCORES_SCHEMA

Account = dict[str, Any]

HOSTILE_NAMES = (
    "<script>alert(1)</script>",
    "</script><img src=x onerror=alert(1)>",
    "\u202eevil \u2066mark",
    "A" * 300,
    "🚀 Rocket & Söhne 🧨",
    "=1+1",
    '"><b onmouseover="alert(1)">x',
    "{{ 7 * 7 }} {name} %s %(x)s",
    "tab\tnew\nline\x00nul",
    "مرحبا بالعالم",
)
STATUSES = ("qualified", "held_for_risk", "not_yet", "ineligible")
_OF_ADVOCATES = ("advocacy_index", "nps_score")
_ADVOCATES = 0.3
GATES = ("value_proven", "next_product", "buyer_identified", "timing")


def _metric(name: str, unit: str, label: str, sentence: str, **more: Any) -> Metric:
    return Metric(
        name=name,
        part=more.pop("part", "success"),
        direction=more.pop("direction", 1),
        unit=unit,  # type: ignore[arg-type]
        formula=lambda at: None,
        label=label,
        description=f"{label}.",
        sentence=sentence,
        **more,
    )


METRICS: Mapping[str, Metric] = MappingProxyType(
    {
        m.name: m
        for m in (
            _metric(
                "seat_saturation",
                "ratio",
                "seat saturation",
                "{active_users} of {licensed_seats} seats active ({value}); {active_users_previous} of "
                "{licensed_seats_previous} in the 30 days before",
                threshold=0.8,
            ),
            _metric("usage_growth", "change", "usage growth", "usage {value} against the 30 days before"),
            _metric("upgrade_attempts", "count", "upgrade attempts", "{value} upgrade attempts in 90 days"),
            _metric("days_to_renewal", "days", "days to renewal", "renewal in {value} days", direction=-1),
            _metric("streak", "months", "months of growth", "usage has grown {value} months in a row"),
            _metric("engagement_score", "score", "engagement score", "engagement score {value}; {previous} before"),
            _metric("arr_today", "money", "ARR today", "ARR today {value}"),
            _metric("new_sponsor", "flag", "new sponsor", "a new executive sponsor within 90 days"),
            _metric("plan", "category", "plan", "on plan {value}"),
            _metric("tickets", "count", "support tickets", "{value} support tickets in 30 days", direction=-1),
            _metric("advocacy_index", "count", "advocacy index", "{value} of 3 signs of advocacy"),
            _metric("nps_score", "score", "NPS answer", "newest NPS answer {value} of 10"),
            _metric("buyer_identified", "flag", "buyer identified", "the buyer is known", shown=False),
        )
    }
)


def _value(metric: Metric, rng: random.Random) -> Any:
    return {
        "ratio": round(rng.uniform(0.1, 1.0), 4),
        "change": round(rng.uniform(-0.6, 0.9), 4),
        "count": rng.randint(0, 40),
        "days": rng.randint(1, 360),
        "months": rng.randint(1, 5),
        "score": round(rng.uniform(5, 95), 2),
        "money": round(rng.uniform(1e3, 4e5), 2),
        "flag": rng.randint(0, 1),
        "category": rng.choice(("Starter", "Business")),
    }[metric.unit]


def reason(name: str, points: float | None, rng: random.Random, *, holes: float = 0.1) -> Account:
    """A reason for a metric of `METRICS`; every optional value is missing with probability ``holes``."""
    metric = METRICS[name]

    def perhaps(value: Any) -> Any:
        return None if rng.random() < holes else value

    seats = rng.randint(20, 400)
    facts = {
        "active_users": rng.randint(5, seats),
        "active_users_previous": perhaps(rng.randint(5, seats)),
        "licensed_seats": seats,
        "licensed_seats_previous": seats,
    }
    return {
        "metric": name,
        "points": points,
        "value": _value(metric, rng),
        "previous_value": perhaps(_value(metric, rng)),
        "typical": perhaps(_value(metric, rng)) if metric.unit != "category" else None,
        "unit": metric.unit,
        "threshold": metric.threshold,
        "window_days": perhaps(30),
        "facts": facts if name == "seat_saturation" else {},
        "source": perhaps(rng.choice(("events", "tickets", "contracts, events"))),
        "side": "against" if (points or 0) < 0 else "for",
        "stability": perhaps(rng.uniform(0.8, 1.0)),
        "peers": perhaps(_peers(metric, rng)),
        "where": perhaps(
            [
                {"table": table, "from": "2026-06-01", "to": "2026-06-30", "rows": rng.choice((None, 1, 1240))}
                for table in ("contracts", "events")[: rng.randint(1, 2)]
            ]
        ),
    }


def _peers(metric: Metric, rng: random.Random) -> Account | None:
    """How the account compares with the others of its segment."""
    if metric.unit in ("flag", "category"):
        return None
    low, median, high = sorted(_value(metric, rng) for _ in range(3))
    numbers = {"quartile": rng.randint(1, 4), "low": low, "median": median, "high": high}
    return {"segment": "mid_market", "accounts": rng.randint(8, 400), "as_of": "2026-04-01", **numbers}


def account(number: int, rng: random.Random, *, csms: int = 12, holes: float = 0.1) -> Account:
    """One account record whose reference and points add up to its propensity."""
    status = rng.choices(STATUSES, (20, 8, 62, 10))[0]
    shown = [name for name, metric in METRICS.items() if metric.shown and name not in _OF_ADVOCATES]
    chosen = rng.sample(shown, rng.randint(2, 6))
    points = [rng.uniform(0.01, 0.2) for _ in chosen[:4]] + [-rng.uniform(0.005, 0.03) for _ in chosen[4:]]
    reference, other = 0.0812345, rng.uniform(-0.02, 0.04)
    propensity = min(0.97, reference + sum(points) + other)
    other = propensity - reference - sum(points)
    arr = round(rng.lognormvariate(10.6, 0.9), 2)
    potential = round(arr * 0.2, 2)
    name = HOSTILE_NAMES[number] if number < len(HOSTILE_NAMES) else _company(rng)
    kind = rng.choice(("upsell", "upsell", "cross_sell", "referral"))
    seats = rng.choice((10, 25, 50, 80, 120, 400))
    return {
        "account_id": f"acct_{number:05d}",
        "name": name,
        "as_of": "2026-07-01",
        "csm_id": f"csm_{rng.randrange(csms):02d}" if rng.random() > 0.02 else None,
        "ae_id": rng.choice(("ae_01", "ae_02", None)),
        "segment": rng.choice(("smb", "mid_market", "enterprise", None)),
        "industry": rng.choice(("Manufacturing", "Software", "Logistics", None)),
        "region": rng.choice(("EMEA", "AMER", None)),
        "plan": rng.choice(("Starter", "Business", "Enterprise")),
        "product": "Core",
        "arr": arr,
        "seats": seats,
        "tenure_days": rng.randint(5, 1500),
        "status": status,
        "propensity": propensity,
        "baseline_score": round(rng.uniform(5, 95), 3),
        "sub_scores": {part: round(rng.uniform(0, 100), 2) for part in ("engagement", "fit", "intent")},
        "percentile": None,
        "band": None,
        "rank": None,
        "rank_in_portfolio": None,
        "expected_arr": round(propensity * potential, 4),
        "lead_type": kind if status in ("qualified", "held_for_risk") else rng.choice((kind, None)),
        "reference": reference,
        "reasons": [reason(n, p, rng, holes=holes) for n, p in zip(chosen, points, strict=True)],
        "other_points": other,
        "gates": [_gate(g, status, rng) for g in GATES],
        "risks": _risks(rng) if status == "held_for_risk" else [],
        "ineligible_because": [rng.choice(("tenure", "lead_in_work", "cooldown"))] if status == "ineligible" else [],
        "missing": [{"metric": "seat_saturation", "value": 0.62, "threshold": 0.8, "unit": "ratio"}]
        if status == "not_yet"
        else [],
        "hypothesis": {"type": kind, "product": rng.choice(("Analytics", None)), "potential_arr": potential}
        | {"expected_arr": round(propensity * potential, 2)},
        "trigger": rng.choice((None, {"metric": "days_to_renewal", "value": rng.randint(1, 90), "facts": {}})),
        "stakeholders": _people(rng),
        "trend": _trend(seats, rng, holes),
        "absent_sources": rng.choice(([], ["nps"], ["nps", "advocacy"])),
        "interval": _interval(propensity, rng, holes),
        "unsteady": rng.choice((0, 0, 1, 3)),
        "comparable": _comparable(rng) if status == "not_yet" else None,
    }


def _interval(propensity: float, rng: random.Random, holes: float) -> Account | None:
    if rng.random() < holes:
        return None
    return {"low": propensity * rng.uniform(0.5, 1), "high": propensity ** rng.uniform(0.5, 1), "level": 0.9}


def _comparable(rng: random.Random) -> Account | None:
    """What the nearest account that got further had."""
    kind = rng.choice(("expanded", "above_threshold", None))
    metrics = [
        {"metric": name, "value": perhaps, "theirs": theirs, "unit": METRICS[name].unit}
        for name, perhaps, theirs in (("seat_saturation", 0.4, 0.9), ("usage_growth", None, 0.31), ("tickets", 9, 1))
    ]
    return kind and {"kind": kind, "accounts": rng.choice((1, 34)), "as_of": "2026-04-01", "metrics": metrics}


def _company(rng: random.Random) -> str:
    first = rng.choice(("Northwind", "Halden", "Kestrel", "Vermeer", "Ostrava", "Pallas", "Lumen", "Quarry", "Ærø"))
    second = rng.choice(("Logistics", "Foods", "Systems", "Bank", "Energie", "Papier", "Health", "Robotics"))
    return f"{first} {second} {rng.randint(1, 999)}"


def _gate(gate: str, status: str, rng: random.Random) -> Account:
    states = ("passed",) if status == "qualified" else ("passed", "passed", "failed", "not_checked")
    state = rng.choice(states)
    openers = ["seat_saturation", *(["advocacy_index"] if gate == "value_proven" and rng.random() < _ADVOCATES else [])]
    return {"gate": gate, "state": state, "because": openers if state == "passed" else []}


def _risks(rng: random.Random) -> list[Account]:
    return rng.sample(
        [
            {"risk": "open_high_severity_tickets", "value": rng.randint(1, 4), "limit": 1},
            {"risk": "usage_decline", "value": -0.41, "limit": -0.25},
            {"risk": "engagement_decline", "value": -31.5, "limit": -25.0},
        ],
        rng.randint(1, 2),
    )


def _people(rng: random.Random) -> list[Account]:
    roles = rng.sample(("executive_sponsor", "champion", "buyer", "user"), rng.randint(0, 3))
    return [
        {
            "contact_id": f"contact-secret-{rng.randint(1, 10**6)}",
            "role": role,
            "name": rng.choice(("Ines Okafor", "Jonas Lind", "Mei Tanaka", None)),
            "since_days_ago": rng.randint(1, 900),
            "last_engaged_days_ago": rng.choice((None, 1, 12, 80)),
        }
        for role in roles
    ]


def _trend(seats: int, rng: random.Random, holes: float) -> Account:
    level = rng.uniform(0.3, 0.6) * seats
    users = [max(0, round(level * (1 + rng.uniform(-0.05, 0.16)) ** i)) for i in range(6)]
    events = [u * rng.randint(20, 60) for u in users]
    gap = rng.randrange(6) if rng.random() < holes else None
    return {
        "active_users": [None if i == gap else u for i, u in enumerate(users)],
        "usage": [None if i == gap else e for i, e in enumerate(events)],
    }


def accounts(count: int, seed: int = 7, *, csms: int = 12, holes: float = 0.1) -> list[Account]:
    """Accounts with ranks, percentiles and bands that fit each other."""
    rng = random.Random(seed)
    made = [account(i, rng, csms=csms, holes=holes) for i in range(count)]
    places: dict[Any, int] = {}
    for rank, one in enumerate(sorted(made, key=lambda a: (-a["propensity"], a["account_id"])), start=1):
        places[one["csm_id"]] = places.get(one["csm_id"], 0) + 1
        percentile = 1 - (rank - 1) / count
        band = "high" if percentile > 0.9 else "medium" if percentile > 0.7 else "low"
        one.update(rank=rank, rank_in_portfolio=places[one["csm_id"]], percentile=percentile, band=band)
    return made


def plain_account(**values: Any) -> dict[str, Any]:
    """An account without holes; ``values`` override its entries."""
    return account(50, random.Random(5), holes=0) | {"rank": 1, "rank_in_portfolio": 1, "percentile": 0.965} | values


def earlier_accounts(records: Iterable[Account], seed: int) -> list[Account]:
    """The accounts as a run before may have seen them: a tenth not there yet, scores and statuses moved."""
    rng = random.Random(seed)
    kept = [dict(one) for one in records if rng.random() < 0.9]
    for one in kept:
        one["propensity"] *= rng.uniform(0.5, 1.0)
        one["baseline_score"] *= rng.uniform(0.5, 1.0)
        one["status"] = rng.choice(STATUSES)
    return kept


def _write_tables(folder: Path, records: Sequence[Account]) -> None:
    """Scores, explanations and leads as `csql score` writes them."""
    scores = [{name: one.get(name) for name in SCORES_SCHEMA.names if name != "as_of"} for one in records]
    pq.write_table(pa.Table.from_pylist(scores, SCORES_SCHEMA), folder / "scores.parquet")
    rows = []
    for one in records:
        told = [(r["metric"], r.get("value")) for r in one.get("reasons") or () if not isinstance(r.get("value"), str)]
        told += [("advocacy_index", len(one["account_id"]) % 3 + 1), ("nps_score", 9)]
        rows += [{"account_id": one["account_id"], "metric": metric, "value": value} for metric, value in told]
    pq.write_table(pa.Table.from_pylist(rows, EXPLANATIONS_SCHEMA), folder / "explanations.parquet")
    leads = [_lead(one) for one in records if one.get("status") == "qualified"]
    (folder / "leads.jsonl").write_text("".join(json.dumps(lead) + "\n" for lead in leads), encoding="utf-8")


def _lead(one: Account) -> Account:
    found = one.get("hypothesis") or {}
    own = {name: one.get(name) for name in ("account_id", "propensity", "expected_arr", "lead_type")}
    route = {"ae_id": one.get("ae_id"), "csm_id": one.get("csm_id")}
    return {**own, "lead_key": one["account_id"], "product": found.get("product"), "route": route}


def write_run(folder: Path, records: Iterable[Account], **manifest: Any) -> Path:
    """Write a run folder of these accounts; ``manifest`` overrides its entries."""
    folder.mkdir(parents=True, exist_ok=True)
    records = list(records)
    _write_tables(folder, records)
    content = "".join(json.dumps(r, ensure_ascii=False, sort_keys=True) + "\n" for r in records).encode()
    (folder / "accounts.jsonl").write_bytes(content)
    entries: dict[str, Any] = {
        "run_id": "run-7f3a",
        "as_of": "2026-07-01",
        "model_version": "2026-07-01-a1b2",
        "champion_kind": "stack",
        "company": "Example & Co",
        "currency": "USD",
        "labels_seen": True,
        "sha256": {
            name: hashlib.sha256((folder / name).read_bytes()).hexdigest()
            for name in ("accounts.jsonl", "scores.parquet", "explanations.parquet", "leads.jsonl")
        },
    }
    (folder / "manifest.json").write_text(json.dumps(entries | manifest), encoding="utf-8")
    return folder
