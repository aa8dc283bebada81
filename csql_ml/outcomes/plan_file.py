"""The plan of an experiment as a file that nobody can change afterwards without being noticed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any, Literal

from csql_ml.errors import OutputError, UsageError
from csql_ml.run_files import fingerprint, json_text, write_file

FORMAT = 1
Unit = Literal["account", "csm"]


@dataclass(frozen=True)
class Plan:
    """One experiment, as decided before its start.

    Attributes
    ----------
    unit
        What was randomised: accounts, or CSMs with all of their accounts.
    start, end
        Accounts are worked from the first day up to, but without, the second.
    complete_from
        First day on which the outcomes are complete.
    units
        Per account: ``account_id``, ``unit`` (itself or its CSM), ``stratum`` and ``worked``.
    smallest
        Smallest detectable effects, as `csql_ml.outcomes.detectable.Detectable`.
    sentences
        What the plan says, in words.
    """

    name: str
    unit: Unit
    start: date
    end: date
    complete_from: date
    planned_as_of: date
    holdout_share: float
    confidence: float
    power: float
    units: tuple[Mapping[str, Any], ...]
    smallest: Mapping[str, Any]
    sentences: tuple[str, ...]

    @property
    def fingerprint(self) -> str:
        """SHA-256 over everything in the plan."""
        return fingerprint({"plan": self._content()})

    def _content(self) -> dict[str, Any]:
        plain = asdict(self)
        days = {k: v.isoformat() for k, v in plain.items() if isinstance(v, date)}
        content: dict[str, Any] = json.loads(json_text({**plain, **days, "format": FORMAT}))
        return content

    def write(self, path: Path) -> None:
        """Write the plan; writing the same plan again does nothing.

        Raises
        ------
        OutputError
            The file holds something else, another plan among it, or cannot be written.
        """
        text = json_text({**self._content(), "fingerprint": self.fingerprint}, indent=1) + "\n"
        if path.exists():
            if path.is_file() and path.read_bytes() == text.encode():
                return
            raise OutputError(
                f"{path} is there already, and a plan is never written over; choose another file, and another --name "
                "for another experiment"
            )
        write_file(path, lambda draft: draft.write_text(text, encoding="utf-8", newline="\n"))


def read_plan(path: Path) -> Plan:
    """Read a plan as it was written.

    Raises
    ------
    UsageError
        There is no such file, it is no plan, or it was changed after it was written.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{path} cannot be read ({error.strerror}); --plan names a file of csql poc plan") from error
    except ValueError as error:
        raise UsageError(f"{path} is not a plan of csql poc plan: it is not JSON") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT or "fingerprint" not in content:
        raise UsageError(f"{path} is not a plan of csql poc plan (format {FORMAT})")
    told = content.pop("fingerprint")
    changed = UsageError(
        f"{path} was changed after it was written (its fingerprint does not fit): an experiment that is changed "
        "after its start says nothing; take the plan as it was written"
    )
    if fingerprint({"plan": content}) != told:
        raise changed
    try:
        return _plan(content)
    except (KeyError, TypeError, ValueError) as error:
        raise changed from error


def _plan(content: dict[str, Any]) -> Plan:
    del content["format"]
    days = {k: date.fromisoformat(content[k]) for k in ("start", "end", "complete_from", "planned_as_of")}
    tuples = {k: tuple(content[k]) for k in ("units", "sentences")}
    return Plan(**{**content, **days, **tuples})
