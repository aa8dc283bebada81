"""Reading a scoring run: its manifest and its accounts, one at a time."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from csql_ml.errors import OutputError
from csql_ml.metrics.faces import Face, faces_from
from csql_ml.run_files import MANIFEST, read_manifest

ACCOUNTS = "accounts.jsonl"

#: What an account lacks is None or empty, never a missing key further on.
_LISTS = ("reasons", "gates", "risks", "ineligible_because", "missing", "stakeholders", "absent_sources")
_OBJECTS = ("sub_scores", "trend")


@dataclass(frozen=True)
class Run:
    """One scoring run, as its manifest describes it.

    ``labels_seen`` is False while there are no outcomes: the propensity is then a prior, not a measured chance.
    ``threshold`` is what qualifies: of the 0 to 100 score for rules, of the propensity for a model. ``own_features``:
    scored on a table of one's own, which knows no metrics, gates or risks. ``own_metrics``: the company's own metrics,
    as they were when the run was made.
    """

    folder: Path
    run_id: str
    as_of: date
    model_version: str
    champion_kind: str
    company: str
    currency: str
    labels_seen: bool
    threshold: float | None = None
    own_features: bool = False
    own_metrics: Mapping[str, Face] = field(default_factory=dict)

    def accounts(self) -> Iterator[dict[str, Any]]:
        """Every eligible account of the run, in the order of the file.

        Raises
        ------
        OutputError
            A line is not an account.
        """
        with (self.folder / ACCOUNTS).open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    yield _account(line, f"{self.folder / ACCOUNTS}, line {number}")


def open_run(folder: Path) -> Run:
    """Read the manifest of a run folder; its files are checked to be the ones that were written.

    Raises
    ------
    OutputError
        The folder is not a run, or a file of it is missing or was changed.
    """
    manifest = read_manifest(folder)
    if not (folder / ACCOUNTS).is_file():
        raise OutputError(f"{folder} has no {ACCOUNTS}; score again")
    try:
        return Run(
            folder=folder,
            run_id=str(manifest["run_id"]),
            as_of=date.fromisoformat(str(manifest["as_of"])[:10]),
            model_version=str(manifest.get("model_version") or ""),
            champion_kind=str(manifest["champion_kind"]),
            company=str(manifest.get("company") or ""),
            currency=str(manifest.get("currency") or "USD"),
            labels_seen=bool(manifest["labels_seen"]),
            threshold=manifest.get("champion_threshold"),
            own_features=bool(manifest.get("own_features")),
            own_metrics=own_metrics_of(manifest, str(folder / MANIFEST)),
        )
    except KeyError as error:
        raise OutputError(f"{folder / MANIFEST} has no {error}; score again") from error
    except ValueError as error:
        raise OutputError(f"{folder / MANIFEST}: as_of is not a date; score again") from error


def own_metrics_of(manifest: Mapping[str, Any], where: str = MANIFEST) -> dict[str, Face]:
    """The company's own metrics as the manifest of a run describes them; empty where it has none.

    Raises
    ------
    OutputError
        The manifest was changed by hand.
    """
    try:
        return faces_from(manifest.get("own_metrics") or {})
    except (AttributeError, ValueError) as error:
        raise OutputError(f"{where}: own_metrics: {error}; score again") from error


def _account(line: str, where: str) -> dict[str, Any]:
    try:
        account = json.loads(line, parse_constant=lambda _: None)
    except ValueError as error:
        raise OutputError(f"{where}: not JSON; score again") from error
    if not isinstance(account, dict) or not account.get("account_id"):
        raise OutputError(f"{where}: expected an object with an account_id; score again")
    for key in _LISTS:
        account[key] = account.get(key) or []
    for key in _OBJECTS:
        account[key] = account.get(key) or {}
    return account
