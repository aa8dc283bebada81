"""Random valid rows of all twelve tables, about many accounts at once: one run of an engine checks them all."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import numpy as np

from csql_ml.contract.tables import TABLES
from tests.small_company import SETTINGS

Rows = dict[str, list[dict[str, Any]]]
#: Around here all snapshots are taken; rows happen before it, at it and after it.
NOW = datetime(2025, 12, 1)  # noqa: DTZ001 - naive UTC
_NAMES = ("Alpha", "alpha", "ALPHA", "Über", "über", "Zeta", "a-b", "a_b", "é", "A1", None)
_SEVERITIES = ("high", "HIGH", "Urgent", "low")
_SIGNALS = SETTINGS["signals"]
_EVENTS = ("used", "used", "used", "login", "gated_click", "upgrade_attempt", "workflow_started", "workflow_completed")
_FEATURES = (*_SIGNALS["core_features"], *_SIGNALS["advanced_features"], "dashboards", "bots", "other", None)
_PRODUCTS = ("Platform", "platform", "Analytics", "Automation", "Add-on")
_PLANS = (*SETTINGS["catalogue"]["plans"], "Legacy", None)


class _Draw:
    """Values of one seed."""

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng(seed)

    def one(self, values: Any) -> Any:
        return values[int(self._rng.integers(len(values)))]

    def chance(self, share: float) -> bool:
        return bool(self._rng.random() < share)

    def number(self, low: int, high: int) -> int:
        return int(self._rng.integers(low, high))

    def time(self, most_days_ago: int, most_days_ahead: int = 3) -> str:
        """An instant; often one at or next to a local midnight, where a day is decided."""
        day = NOW - timedelta(days=self.number(-most_days_ahead, most_days_ago))
        clock = self.one((0, 0, 5 * 3600, 23 * 3600, self.number(0, 86400)))
        tick = self.one((0, 0, -1, 1, self.number(0, 1_000_000)))
        return (day + timedelta(seconds=clock, microseconds=tick)).isoformat(sep=" ", timespec="microseconds")

    def maybe(self, value: Any, share: float = 0.5) -> Any:
        return value if self.chance(share) else None


def random_company(seed: int, accounts: int = 24) -> Rows:
    """Rows as text or None, by table; the same seed gives the same rows."""
    draw = _Draw(seed)
    rows: Rows = {name: [] for name in TABLES}
    for number in range(accounts):
        account = f"{draw.one(('a', 'A', 'é', '_'))}{number}"
        for name, make in _MAKERS.items():
            for version in range(_how_many(draw, name)):
                row = {"account_id": account, "recorded_at": draw.maybe(draw.time(200), 0.2), **make(draw, account)}
                key = TABLES[name].key[0] if TABLES[name].key else None
                if key is not None and key not in ("account_id", "csm_id", "event_id"):
                    row[key] = f"{account}-{version // 2 if row['recorded_at'] else version}"
                rows[name].append(row)
    return {name: _valid(name, found) for name, found in rows.items()}


def _how_many(draw: _Draw, name: str) -> int:
    if name == "accounts":
        return 1 + draw.chance(0.2)
    return draw.number(0, 40) if name == "events" else draw.number(0, 5)


def _valid(name: str, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One row per key and record time, as validation leaves them."""
    table = TABLES[name]
    if not table.key or name == "events":
        return rows
    by_key = {tuple(row.get(c) for c in (*table.key, "recorded_at")): row for row in rows}
    return list(by_key.values())


def _account(draw: _Draw, _: str) -> dict[str, Any]:
    return {
        "name": draw.one(_NAMES) or "x",
        "created_at": draw.time(700),
        "industry": draw.one(("Retail", "Health", None)),
        "segment": draw.one(("mid_market", "smb", "Smb", None)),
        "region": draw.one(_NAMES),
        "employees": draw.maybe(str(draw.number(0, 5000))),
        "csm_id": draw.one(("c1", "c2", None)),
        "ae_id": draw.one(("e1", None)),
    }


def _contract(draw: _Draw, _: str) -> dict[str, Any]:
    start = NOW.date() - timedelta(days=draw.number(-20, 500))
    return {
        "product": draw.one(_PRODUCTS),
        "seats": str(draw.number(0, 50)),
        "arr": f"{draw.number(0, 10**7) / 100:.2f}",
        "start_date": start.isoformat(),
        "end_date": draw.maybe((start + timedelta(days=draw.number(0, 800))).isoformat(), 0.8),
        "plan": draw.one(_PLANS),
        "signed_at": draw.maybe(draw.time(500)),
    }


def _event(draw: _Draw, account: str) -> dict[str, Any]:
    return {
        "user_id": draw.maybe(f"{account}-{draw.number(0, 6)}", 0.9),
        "occurred_at": draw.time(draw.one((40, 100, 400))),
        "event_name": draw.one(_EVENTS),
        "feature": draw.one(_FEATURES),
        "quantity": draw.maybe(f"{draw.number(0, 10**7) / 10**6:.6f}", 0.6),
    }


def _user(draw: _Draw, account: str) -> dict[str, Any]:
    gone = draw.maybe(draw.time(60, 60), 0.3)
    return {"user_id": f"{account}-{draw.number(0, 6)}", "created_at": draw.time(500), "deactivated_at": gone}


def _ticket(draw: _Draw, _: str) -> dict[str, Any]:
    return {
        "opened_at": draw.time(120),
        "severity": draw.one(_SEVERITIES),
        "closed_at": draw.maybe(draw.time(40, 40)),
        "topic": draw.one(("new module", "New Module", "bug", None)),
    }


def _nps(draw: _Draw, _: str) -> dict[str, Any]:
    return {"responded_at": draw.time(500), "score": str(draw.number(0, 11))}


def _advocacy(draw: _Draw, _: str) -> dict[str, Any]:
    return {"occurred_at": draw.time(500), "kind": draw.one(TABLES["advocacy"].column("kind").values)}


def _milestone(draw: _Draw, _: str) -> dict[str, Any]:
    kinds = TABLES["milestones"].column("kind").values
    return {"occurred_at": draw.time(500), "kind": draw.one(kinds), "product": draw.one((*_PRODUCTS, None))}


def _contact(draw: _Draw, _: str) -> dict[str, Any]:
    roles = TABLES["contacts"].column("role").values
    return {"role": draw.one(roles), "since": draw.time(200), "last_engaged_at": draw.maybe(draw.time(120, 20))}


def _csql(draw: _Draw, _: str) -> dict[str, Any]:
    closed = draw.maybe(draw.time(200, 30))
    return {
        "type": draw.one(TABLES["csqls"].column("type").values),
        "created_at": draw.time(400),
        "rejected_at": draw.maybe(draw.time(200, 30), 0.2),
        "closed_at": closed,
        "won": draw.one(("true", "false")) if closed else None,
        "arr": draw.maybe(f"{draw.number(0, 10**6) / 100:.2f}") if closed else None,
    }


def _opportunity(draw: _Draw, _: str) -> dict[str, Any]:
    closed = draw.maybe(draw.time(200, 30))
    return {
        "type": draw.one(("renewal", "expansion", "expansion", "new")),
        "created_at": draw.time(400),
        "arr": f"{draw.number(0, 10**6) / 100:.2f}",
        "closed_at": closed,
        "won": draw.one(("true", "false")) if closed else None,
    }


def _coverage(draw: _Draw, _: str) -> dict[str, Any]:
    start = NOW.date() - timedelta(days=draw.number(-20, 200))
    return {"csm_id": draw.one(("c1", None)), "start_date": start.isoformat(), "end_date": None}


_MAKERS = {
    "accounts": _account,
    "contracts": _contract,
    "users": _user,
    "events": _event,
    "tickets": _ticket,
    "nps": _nps,
    "advocacy": _advocacy,
    "milestones": _milestone,
    "contacts": _contact,
    "csqls": _csql,
    "opportunities": _opportunity,
    "coverage": _coverage,
}
