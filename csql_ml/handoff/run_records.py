"""A run folder as what can be handed over: leads that wait for their route, scores, and why accounts have no lead."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import date
from functools import cached_property, partial
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

from csql_ml.errors import OutputError
from csql_ml.handoff.fields import OPEN, Kind, Value, field_names
from csql_ml.handoff.record import Record
from csql_ml.reports.catalogue import load
from csql_ml.reports.evidence_text import facts_of
from csql_ml.reports.lead_texts import LeadTexts
from csql_ml.reports.run_folder import Run, open_run
from csql_ml.reports.texts import Texts

if TYPE_CHECKING:
    from csql_ml.config import Config

LEADS, SCORES = "leads.jsonl", "scores.parquet"
#: Decimals that are sent; more than any CRM shows, few enough to read in a diff.
_DIGITS = {"propensity": 4, "baseline_score": 1, "expected_arr": 2, "potential_arr": 2}


@dataclass(frozen=True)
class RunLead:
    """A lead as the run has it: what is known before somebody is chosen for it.

    ``written`` makes the `payload`; for many leads that takes a while, and routing can do without.
    """

    key: str
    account_id: str
    lead_type: str
    product: str
    ae_id: str | None
    csm_id: str | None
    written: Callable[[], Mapping[str, Value]]

    @cached_property
    def payload(self) -> Mapping[str, Value]:
        """Fields and texts, without the key, the owner and the dates: those depend on what was handed over before.

        Raises
        ------
        OutputError
            The run's record of it is no lead.
        """
        return self.written()

    @property
    def motion(self) -> str:
        """What is sold: type and product."""
        return motion_of(self.lead_type, self.product)


def motion_of(lead_type: str | None, product: str | None) -> str:
    """The motion of a lead: its type and product as one text."""
    return f"{lead_type or ''}:{product or ''}"


@dataclass(frozen=True)
class RunAccount:
    """What routing asks of an account; ``barred``: codes why it cannot be a lead now."""

    region: str | None
    segment: str | None
    barred: tuple[str, ...]


class RunRecords:
    """What a run folder has to hand over, with texts in the company's language.

    Parameters
    ----------
    folder
        Written by ``csql score``; its files are checked against their SHA-256.

    Raises
    ------
    OutputError
        The folder is no run, a file was changed, or the run is of another currency than the configuration's company.
    """

    def __init__(self, folder: Path, config: Config) -> None:
        self.run: Run = open_run(folder)
        self.texts = Texts(load(config.company.language), self.run.currency)
        self._lead_source = config.handoff.lead_source
        if not (folder / LEADS).is_file() or not (folder / SCORES).is_file():
            raise OutputError(f"{folder} has no {LEADS} or no {SCORES}; score again")
        if self.run.currency != config.company.currency:
            raise OutputError(
                f"run {self.run.run_id} has amounts in {self.run.currency}, the configuration's company counts in "
                f"{config.company.currency}; score again, or name the configuration the run was made with"
            )

    @property
    def as_of(self) -> date:
        """The run's date."""
        return self.run.as_of

    @cached_property
    def leads(self) -> list[RunLead]:
        """The run's leads, best first.

        Raises
        ------
        OutputError
            A line is no lead.
        """
        facts = facts_of(self.run.own_features, self.texts, self.run.own_metrics)
        texts = LeadTexts(self.texts, facts, self.as_of)
        path, found = self.run.folder / LEADS, []
        with path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, start=1):
                with _told(path, number):
                    found.append(self._lead(line, texts, partial(_told, path, number)))
        return found

    def read(self, kinds: Collection[Kind], enough: Callable[[], bool]) -> None:
        """Read leads, and write their payloads until it is enough; the others are written when they are wanted.

        Raises
        ------
        OutputError
            As `leads` and `RunLead.payload`.
        """
        for lead in self.leads if "lead" in kinds else ():
            if enough():
                return
            _ = lead.payload

    def _lead(self, line: str, texts: LeadTexts, told: Callable[[], _Told]) -> RunLead:
        lead = json.loads(line)
        route = lead.get("route") or {}

        def written() -> dict[str, Value]:
            # The line takes a fifth of the memory of what is in it; most leads are only routed.
            with told():
                return self._payload(json.loads(line), route, texts)

        return RunLead(
            key=str(lead["lead_key"]),
            account_id=str(lead["account_id"]),
            lead_type=lead.get("lead_type") or "",
            product=lead.get("product") or "",
            ae_id=route.get("ae_id") or lead.get("owner"),
            csm_id=route.get("csm_id"),
            written=written,
        )

    def _payload(self, lead: Mapping[str, Any], route: Mapping[str, Any], texts: LeadTexts) -> dict[str, Value]:
        own = {
            "status": OPEN,
            "lead_source": lead.get("lead_source") or self._lead_source,
            "csm_id": route.get("csm_id"),
            "as_of": self.as_of.isoformat(),
            "run_id": self.run.run_id,
            "model_version": self.run.model_version,
            **texts.of(lead),
        }
        return _plain({name: own.get(name, lead.get(name)) for name in field_names("lead")})

    @cached_property
    def scores(self) -> list[Record]:
        """One record per eligible account, ready to be sent."""
        import pyarrow.parquet as pq

        rows = pq.read_table(self.run.folder / SCORES, columns=list(field_names("score"))).to_pylist()
        as_of = self.as_of.isoformat()
        return [Record("score", r["account_id"], r["account_id"], as_of, _plain(r)) for r in rows]

    def accounts(self, wanted: Collection[str]) -> dict[str, RunAccount]:
        """What routing asks of these accounts; those that the run did not score are left out."""
        if not wanted:
            return {}
        return {
            account["account_id"]: RunAccount(
                account.get("region"), account.get("segment"), tuple(account["ineligible_because"])
            )
            for account in self.run.accounts()
            if account["account_id"] in wanted
        }


_Told = AbstractContextManager[None]


@contextmanager
def _told(path: Path, number: int) -> Iterator[None]:
    """Turn whatever goes wrong with a line into one line about it."""
    try:
        yield
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise OutputError(f"{path}, line {number}: not a lead record ({error!r}); score again") from error


def _plain(values: Mapping[str, Any]) -> dict[str, Value]:
    return {name: _value(name, value) for name, value in values.items()}


def _value(name: str, value: Any) -> Value:
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, float):
        return round(value, _DIGITS.get(name, 6)) + 0.0 if isfinite(value) else None
    if value is None or isinstance(value, str | int):
        return value
    raise TypeError(f"{name} is {type(value).__name__}")
