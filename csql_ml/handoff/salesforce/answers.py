"""What Salesforce's answers mean: which may pass, which never will, and what may be said about them.

Messages of Salesforce can quote the value they refuse, so only those of the codes below are passed on; of the others
the code and the field names are.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from csql_ml.errors import DeliveryError
from csql_ml.handoff.sink import Result, TransientError

#: Rows that were not taken, and may be taken later.
_PASSING = frozenset(
    {
        "API_CURRENTLY_DISABLED",
        "CONCURRENT_REQUESTS_LIMIT_EXCEEDED",
        "LIMIT_EXCEEDED",
        "QUERY_TIMEOUT",
        "REQUEST_LIMIT_EXCEEDED",
        "REQUEST_RUNNING_TOO_LONG",
        "SERVER_UNAVAILABLE",
        "STORAGE_LIMIT_EXCEEDED",
        "TXN_LIMIT_EXCEEDED",
        "UNABLE_TO_LOCK_ROW",
        "UNKNOWN_EXCEPTION",
    }
)
#: A trigger or flow that ran into a lock says so inside its own error.
_LOCKED = ("UNABLE_TO_LOCK_ROW", "unable to obtain exclusive access")
_CONVERTED = "CANNOT_UPDATE_CONVERTED_LEAD"
#: Codes whose messages name fields or rules, not values.
_SPEAKABLE = frozenset(
    {
        _CONVERTED,
        "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY",
        "DUPLICATES_DETECTED",
        "ENTITY_IS_DELETED",
        "FIELD_CUSTOM_VALIDATION_EXCEPTION",
        "INSUFFICIENT_ACCESS_OR_READONLY",
        "INVALID_FIELD_FOR_INSERT_UPDATE",
        "REQUEST_LIMIT_EXCEEDED",
        "REQUIRED_FIELD_MISSING",
        "SERVER_UNAVAILABLE",
        "STORAGE_LIMIT_EXCEEDED",
        "UNABLE_TO_LOCK_ROW",
    }
)
#: ``sf__Error`` of a bulk job: CODE:message:fields --
_ROW_ERROR = re.compile(r"([A-Z][A-Z0-9_]+):(.*?)(?::([\w ,.]*)--)?\s*", re.DOTALL)
#: The daily limit is a window of 24 hours: nothing is gained by asking again within minutes.
_DAY_LIMIT_WAIT = 3600.0


class RequestRefusedError(Exception):
    """A request was refused as such (4xx); what that means depends on what was asked."""

    def __init__(self, status: int, code: str, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.code = code
        self.reason = reason


@dataclass(frozen=True)
class RowError:
    """Why one row was not taken."""

    code: str
    message: str
    fields: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """For the dead list and the history; without values of the row."""
        where = f" ({', '.join(self.fields)})" if self.fields else ""
        return f"{self.code}: {self.message}{where}" if self.code in _SPEAKABLE else f"{self.code}{where}"

    @property
    def passing(self) -> bool:
        """Whether waiting may cure it."""
        return self.code in _PASSING or any(sign in self.message for sign in _LOCKED)


def row_error(given: Mapping[str, Any]) -> RowError:
    """An entry of ``errors`` in an answer about several rows; REST and Composite name the code differently."""
    code = str(given.get("statusCode") or given.get("errorCode") or "UNKNOWN_ERROR")
    return RowError(code, str(given.get("message") or ""), tuple(map(str, given.get("fields") or ())))


def bulk_error(text: str) -> RowError:
    """``sf__Error`` of a bulk job's failed row."""
    found = _ROW_ERROR.fullmatch(text)
    if found is None:
        return RowError("UNKNOWN_ERROR", "")
    fields = tuple(f.strip() for f in (found[3] or "").split(",") if f.strip())
    return RowError(found[1], found[2], fields)


def refused_row(key: str, error: RowError, key_field: str, remote_id: str | None = None) -> Result | None:
    """The result of a row that was not taken; None where the key is there already and has to be looked up."""
    if error.code == _CONVERTED:
        # Sales turned the lead into an opportunity: it is theirs now, and nothing is left to say about it.
        return Result(key, "acknowledged", remote_id)
    if error.code == "DUPLICATE_VALUE" and key_field in (error.message + " ".join(error.fields)):
        return None
    return Result(key, "retry" if error.passing else "invalid", remote_id, error.text)


def refusal(status: int, content: Any, wait: float | None) -> Exception:
    """The exception that an answer other than success stands for; ``wait``: seconds that it asks for."""
    first = content[0] if isinstance(content, list) and content and isinstance(content[0], Mapping) else {}
    error = row_error(first)
    if status == 429 or error.code == "REQUEST_LIMIT_EXCEEDED":
        daily = "TotalRequests" in error.message
        return TransientError(error.text, wait or (_DAY_LIMIT_WAIT if daily else None), uncertain=False)
    if status >= 500 or status == 408 or (status != 401 and error.passing):
        return TransientError(f"HTTP {status} {error.code if first else ''}".strip(), wait)
    if status in (401, 403):
        return DeliveryError(
            f"Salesforce refuses the request (HTTP {status}, {error.text}); look at the login and at what the "
            "integration user may do"
        )
    return RequestRefusedError(status, error.code, f"HTTP {status}, {error.text}" if first else f"HTTP {status}")
