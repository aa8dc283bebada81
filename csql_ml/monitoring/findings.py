"""What a check found: a code, typed values for its sentence, and whether it is an alarm."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

#: ``watch``: worth a look, not an alarm. ``unknown``: could not be judged, and the sentence says why.
Level = Literal["alarm", "watch", "fine", "unknown"]
LEVELS: tuple[Level, ...] = ("alarm", "watch", "unknown", "fine")


@dataclass(frozen=True)
class Finding:
    """One result of one check.

    Attributes
    ----------
    code
        What it is about; `csql_ml.reports.monitor_texts` has the sentence.
    subject
        Metric, score or table; empty for the whole run.
    values
        Numbers, dates and names for the sentence.
    """

    code: str
    level: Level
    subject: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)


def ordered(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Alarms first; within a level in the order of the checks."""
    return tuple(sorted(findings, key=lambda f: LEVELS.index(f.level)))
