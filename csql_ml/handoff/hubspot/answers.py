"""What a batch answer says of each record. A 207 is a success to HTTP and may have refused all but one of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from csql_ml.handoff.hubspot.api import Content, codes, reason
from csql_ml.handoff.sink import Result

#: Errors of a single record that may pass.
_PASSING = frozenset({"RATE_LIMITS", "RATE_LIMIT", "LOCKED", "INTERNAL_ERROR", "SERVICE_UNAVAILABLE", "TIMEOUT"})
ABSENT = "OBJECT_NOT_FOUND"


@dataclass(frozen=True)
class Outcome:
    """Records of a batch by key: those taken with their ids, and the errors of the others.

    ``unclear``: errors that name no record. ``silent``: records that no result and no error speaks of.
    """

    taken: Mapping[str, str]
    failed: Mapping[str, Content]
    unclear: tuple[Content, ...]
    silent: tuple[str, ...]


def outcome(answer: Content, sent: Mapping[str, str], key_property: str) -> Outcome:
    """Read an answer to a batch.

    Parameters
    ----------
    sent
        Id of each input (its trace id, or the id of its record), and the key of the lead or account.
    key_property
        Where HubSpot tells a record's key.
    """
    keys = set(sent.values())
    taken = {}
    for result in answer.get("results") or ():
        told = (result.get("properties") or {}).get(key_property)
        key = told if told in keys else sent.get(str(result.get("objectWriteTraceId") or result.get("id")))
        if key is not None:
            taken[key] = str(result["id"])
    failed: dict[str, Content] = {}
    unclear = []
    for error in answer.get("errors") or ():
        about = [sent[one] for one in _named(error) if one in sent]
        failed.update((key, error) for key in about if key not in taken)
        if not about:
            unclear.append(error)
    silent = tuple(k for k in sent.values() if k not in taken and k not in failed)
    if len(silent) == 1 and len(unclear) == 1:
        # Whatever is left over belongs together.
        failed[silent[0]] = unclear.pop()
        silent = ()
    return Outcome(taken, failed, tuple(unclear), silent)


def failure(key: str, error: Content) -> Result:
    """The result of a record that was not taken."""
    if _PASSING & set(codes(error)):
        return Result(key, "retry", error=f"HubSpot: {reason(error)}")
    return Result(key, "invalid", error=f"HubSpot refuses it: {reason(error) or 'no reason given'}")


def _named(error: Content) -> list[str]:
    """Ids that an error speaks of: trace ids where something was to be made, ids where it was to be changed."""
    context = error.get("context")
    if not isinstance(context, Mapping):
        return []
    found = [context.get(name) for name in ("objectWriteTraceId", "ids", "id")]
    return [str(one) for value in found if value for one in (value if isinstance(value, list) else [value])]
