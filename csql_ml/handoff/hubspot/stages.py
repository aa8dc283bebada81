"""What became of a lead: its way through a pipeline's stages, and its deals, as the contract's columns."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from csql_ml.config.hubspot import HubSpotStages
from csql_ml.handoff.hubspot.objects import Found
from csql_ml.handoff.hubspot.values import utc


@dataclass(frozen=True)
class Way:
    """The stages a record has been in: (milliseconds since 1970, stage id), oldest first."""

    steps: tuple[tuple[int, str], ...]

    @property
    def stage(self) -> str:
        """Where it is now."""
        return self.steps[-1][1] if self.steps else ""

    @property
    def since(self) -> int | None:
        """When it came to where it is."""
        found = None
        for at, stage in reversed(self.steps):
            if stage != self.stage:
                break
            found = at
        return found

    def first(self, stages: Collection[str]) -> int | None:
        """When it first came to one of these stages."""
        return next((at for at, stage in self.steps if stage in stages), None)


def way(found: Found, stage_property: str) -> Way:
    """A record's way; one without a history came to its stage when it was last changed."""
    steps = found.history.get(stage_property, ())
    now = found[stage_property]
    if now and (not steps or steps[-1][1] != now):
        steps = (*steps, (found.modified, now))
    return Way(steps)


@dataclass(frozen=True)
class Deal:
    """A deal as far as it is an outcome; times in milliseconds since 1970, ``closed`` is None while it is open."""

    id: str
    created: int
    modified: int
    amount: float | None
    closed: int | None
    won: bool | None


def deal(found: Found, amount: float | None) -> Deal:
    """Read a deal. It was closed when it came to the stage it is in, whatever close date people typed in."""
    is_closed = found["hs_is_closed"] == "true" or found["hs_is_closed_won"] == "true"
    return Deal(
        found.id,
        found.created,
        found.modified,
        amount,
        (way(found, "dealstage").since or found.modified) if is_closed else None,
        found["hs_is_closed_won"] == "true" if is_closed else None,
    )


def of_lead(own: Way, deals: Sequence[Deal], stages: HubSpotStages, *, withdrawn: bool) -> dict[str, Any] | None:
    """Columns of what became of a HubSpot lead; None for one that was withdrawn before sales took it up.

    Parameters
    ----------
    deals
        Those made from it. With one of them it is an opportunity; with a won one it is won, with nothing but lost ones
        it is lost. A lead that ends in a rejected stage without a deal was rejected if sales never took it up, and
        else lost.
    """
    begun = min((d.created for d in deals), default=None)
    accepted = _earliest(own.first(stages.accepted), begun)
    won = [d for d in deals if d.won]
    closed: int | None = None
    rejected: int | None = None
    if won:
        closed = min(d.closed for d in won if d.closed is not None)
    elif deals and all(d.closed is not None for d in deals):
        closed = max(d.closed for d in deals if d.closed is not None)
    elif not deals and own.stage in stages.rejected and not withdrawn:
        closed, rejected = (own.since, None) if accepted is not None else (None, own.since)
    if withdrawn and accepted is None:
        return None
    return _columns(accepted, rejected, begun, closed, bool(won), _sum(won))


def of_deal(own: Way, found: Deal, stages: HubSpotStages, *, withdrawn: bool) -> dict[str, Any] | None:
    """Columns of what became of a lead that is a deal; None for one that was withdrawn before sales took it up.

    Closed as lost without ever having been taken up, it was rejected.
    """
    won_at = found.closed if found.won else None
    begun = _earliest(own.first(stages.opportunity), won_at)
    accepted = _earliest(own.first(stages.accepted), begun)
    if accepted is None:
        return None if withdrawn else _columns(None, found.closed, None, None, False, None)
    return _columns(accepted, None, begun, found.closed, bool(found.won), found.amount if found.won else None)


def _columns(
    accepted: int | None, rejected: int | None, begun: int | None, closed: int | None, won: bool, arr: float | None
) -> dict[str, Any]:
    return {
        "accepted_at": utc(accepted),
        "rejected_at": utc(rejected),
        "opportunity_at": utc(begun),
        "closed_at": utc(closed),
        "won": won if closed is not None else None,
        "arr": arr if closed is not None and won else None,
    }


def _earliest(*times: int | None) -> int | None:
    return min((t for t in times if t is not None), default=None)


def _sum(deals: Sequence[Deal]) -> float | None:
    amounts = [d.amount for d in deals if d.amount is not None]
    return sum(amounts) if amounts else None
