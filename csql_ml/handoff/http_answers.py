"""What HTTP says to every adapter alike: how long to wait, and whether a request can have had an effect."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from email.utils import parsedate_to_datetime

from csql_ml.handoff.sink import TransientError

#: Nobody who writes more than a day means it.
_LONGEST_WAIT = 86_400.0
_NO_CONNECTION = ("NewConnectionError", "NameResolutionError", "ConnectTimeoutError")


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that ``Retry-After`` asks for; None without it, or where it says nothing of use.

    A date is compared with the answer's own ``Date``: no clock of ours need agree with that of the server.

    Parameters
    ----------
    headers
        Names in lower case, or found in whatever case.
    """
    asked = headers.get("retry-after", "").strip()
    if re.fullmatch(r"\d+(\.\d+)?", asked):
        return min(float(asked), _LONGEST_WAIT)
    try:
        until, now = parsedate_to_datetime(asked), parsedate_to_datetime(headers.get("date", ""))
        return min(max((until - now).total_seconds(), 0.0), _LONGEST_WAIT)
    except (ValueError, TypeError):
        return None


def never_sent(error: BaseException) -> bool:
    """Whether a connection never came about, so that no request left this machine.

    Parameters
    ----------
    error
        Of ``requests`` or ``urllib3``: the one wraps what the other says, under ``reason`` or as its argument.
    """
    seen: list[BaseException] = []
    while error not in seen:
        seen.append(error)
        if type(error).__name__ in _NO_CONNECTION:
            return True
        cause = getattr(error, "reason", None) or (error.args[0] if error.args else None)
        if not isinstance(cause, BaseException):
            return False
        error = cause
    return False


@contextmanager
def nothing_sent_yet() -> Iterator[None]:
    """Reading before a write: whatever fails in here, nothing was changed."""
    try:
        yield
    except TransientError as error:
        raise TransientError(error.reason, error.retry_after, uncertain=False) from error
