"""What became of the accounts from one run to the next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from csql_ml.reports.build_lists import list_row
from csql_ml.reports.run_folder import Run
from csql_ml.reports.site import Site

#: Kinds of change, in the order they are told. An account may have several: released from risk, and qualified by it.
CHANGES = (
    "newly_qualified",
    "released_from_risk",
    "newly_held",
    "cooled_down",
    "taken_up",
    "dropped_out",
)


@dataclass(frozen=True)
class Standing:
    """How an account stood in a run; ``status`` None: it was not in the run."""

    status: str | None
    barred: frozenset[str] = frozenset()


#: Of an account that is not in a run.
_UNKNOWN = Standing(None)


def changes_between(before: Standing, now: Standing) -> tuple[str, ...]:
    """What became of an account from one run to the next, as names of `CHANGES`.

    Examples
    --------
    >>> changes_between(Standing("held_for_risk"), Standing("qualified"))
    ('newly_qualified', 'released_from_risk')
    """
    was_lead, is_lead = before.status == "qualified", now.status == "qualified"
    held = now.status == "held_for_risk"
    # An account that is gone was not released: nobody looked.
    released = before.status == "held_for_risk" and now.status is not None and not held
    cooled = "cooldown" in before.barred and now.status is not None and "cooldown" not in now.barred
    in_work = "lead_in_work" in now.barred
    found = {
        "newly_qualified": is_lead and not was_lead,
        "released_from_risk": released,
        "newly_held": held and before.status != "held_for_risk",
        "cooled_down": cooled,
        "taken_up": was_lead and in_work,
        "dropped_out": was_lead and not is_lead and not held and not in_work,
    }
    return tuple(kind for kind in CHANGES if found[kind])


def changes(site: Site, earlier: Run | None) -> list[dict[str, Any]]:
    """One entry per account that changed, by rank; those that are gone come last."""
    if earlier is None:
        return []
    before = _standings(earlier)
    found = []
    for account in site.run.accounts():
        was = before.pop(account["account_id"], _UNKNOWN)
        kinds = changes_between(was, _standing(account))
        if kinds:
            found.append(_change(account, kinds, was.status, site))
    gone = {key for key, was in before.items() if changes_between(was, _UNKNOWN)}
    entries = [_gone(a, site) for a in earlier.accounts() if a["account_id"] in gone] if gone else []
    last = float("inf")
    order = sorted(found, key=lambda e: (last if e["rank"] is None else e["rank"], e["account_id"]))
    return [*order, *sorted(entries, key=lambda e: str(e["account_id"]))]


def _standings(run: Run) -> dict[str, Standing]:
    """How every account stood. Whole accounts of a large company would fill the memory, standings are shared."""
    known: dict[Standing, Standing] = {}
    found = {}
    for account in run.accounts():
        standing = _standing(account)
        found[account["account_id"]] = known.setdefault(standing, standing)
    return found


def _standing(account: Mapping[str, Any]) -> Standing:
    return Standing(account.get("status"), frozenset(account["ineligible_because"]))


def _gone(account: Mapping[str, Any], site: Site) -> dict[str, Any]:
    """The entry of an account that was a lead and is not in the run any more."""
    entry = _change(account, ("dropped_out",), account.get("status"), site)
    return {**entry, "now": None, "note": "", "detail": ""}


def _change(account: Mapping[str, Any], kinds: tuple[str, ...], before: str | None, site: Site) -> dict[str, Any]:
    row = list_row(account, site)
    return {
        "account_id": row.account_id,
        "name": row.name,
        "csm": row.csm_id,
        "changes": list(kinds),
        "before": before,
        "now": row.status,
        "lead_type": row.lead_type,
        "rank": row.rank,
        "propensity": row.propensity,
        "expected_arr": row.expected_arr,
        "note": row.note,
        "detail": row.detail,
    }
