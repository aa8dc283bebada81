"""A CRM in memory whose every request follows a script: it drops, fails, loses answers and delivers late."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from itertools import cycle
from typing import Any

from csql_ml.handoff.backoff import Clock
from csql_ml.handoff.fields import FIELDS, Kind, field_names
from csql_ml.handoff.record import Record
from csql_ml.handoff.sink import BatchRejected, Capabilities, Finding, OutcomeChange, Remote, Result, Swept
from csql_ml.handoff.sink import TransientError as Transient
from tests.handoff.scripted_sales import Sales

#: What can become of a request that writes.
FATES = ("fine", "dropped", "unavailable", "answer lost", "late", "locked", "half answered")


class Killed(BaseException):
    """The process is gone: nothing may catch this."""


class World:
    """Time that passes only when somebody sleeps, and things that happen later."""

    def __init__(self) -> None:
        self.time = 1_000.0
        self.slept: list[float] = []
        self._later: list[tuple[float, Callable[[], None]]] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.time += seconds
        due = [what for at, what in self._later if at <= self.time]
        self._later = [(at, what) for at, what in self._later if at > self.time]
        for what in due:
            what()

    def later(self, seconds: float, what: Callable[[], None]) -> None:
        self._later.append((self.time + seconds, what))

    def finish(self) -> None:
        """Everything that was still on its way arrives."""
        for _, what in self._later:
            what()
        self._later = []

    def clock(self) -> Clock:
        return Clock(now=lambda: self.time, sleep=self.sleep, draw=lambda: 0.5)


class Timed:
    """Stands for `csql_ml.handoff.asking.Asked` without a thread: each call is made at once, or when it is waited for.

    Whatever happens between the two happens after the call in one case and before it in the other.

    Parameters
    ----------
    at_once
        For each call in turn, over and over.
    """

    def __init__(self, at_once: Sequence[bool]) -> None:
        self._at_once = cycle(at_once)

    def __call__(self, question: Callable[[], Any]) -> Any:
        return _Call(question, at_once=next(self._at_once))


class _Call:
    def __init__(self, question: Callable[[], Any], *, at_once: bool) -> None:
        self._question = question
        self._found = self._caught() if at_once else None

    def _caught(self) -> tuple[Any, Exception | None]:
        """The answer or the error; not a death, which nobody survives."""
        try:
            return self._question(), None
        except Exception as error:  # noqa: BLE001 - raised where the answer is wanted
            return None, error

    def wait(self) -> None:
        """Only asked for where the process is gone, and its call with it."""

    def answer(self) -> Any:
        found, error = self._found or self._caught()
        if error is not None:
            raise error
        return found


class ScriptedCrm:
    """A sink and the CRM behind it.

    Parameters
    ----------
    script
        The fate of each writing request, in order; after its end all are fine.
    invalid
        Keys it never takes.
    whole
        Refuse a batch as a whole where one row in it is invalid.
    polls
        None: answers at once; else a bulk job that is finished at the poll of that number.
    """

    name = "scripted"

    def __init__(
        self,
        world: World,
        script: Iterable[str] = (),
        *,
        invalid: Iterable[str] = (),
        batch_size: int = 3,
        unique: bool = True,
        whole: bool = False,
        polls: int | None = None,
        limits: Mapping[str, int] | None = None,
    ) -> None:
        self.world = world
        self.script = list(script)
        self.invalid = set(invalid)
        self.batch_size = batch_size
        self.unique = unique
        self.whole = whole
        self.polls = polls
        self.limits = limits or {}
        self.stored: dict[str, tuple[str, dict[str, Any]]] = {}
        self.jobs: dict[str, dict[str, Any]] = {}
        self.batches: list[list[str]] = []
        self.requests: list[str] = []
        self.times: list[float] = []
        self.findings: list[Finding] = []
        self.before_call: Callable[[str], None] = lambda name: None
        self.sales = Sales()

    # what a test looks at

    def stored_keys(self) -> list[str]:
        """Keys of the stored records, one per record."""
        return sorted(key for key, _ in self.stored.values())

    def fields(self, key: str) -> dict[str, Any]:
        return next(fields for k, fields in self.stored.values() if k == key)

    @property
    def writes(self) -> int:
        return self.requests.count("submit")

    # the sink

    def capabilities(self) -> Capabilities:
        kinds: tuple[Kind, ...] = ("lead", "score")
        return Capabilities(
            self.batch_size,
            self.unique,
            fields={kind: field_names(kind) for kind in kinds},
            field_limits={
                kind: {f.name: self.limits[f.name] for f in FIELDS[kind] if f.name in self.limits} for kind in kinds
            },
            asynchronous=self.polls is not None,
        )

    def preflight(self, kinds: Sequence[Kind]) -> list[Finding]:
        return self.findings

    def check(self, kind: Kind, records: Sequence[Record]) -> dict[str, str]:
        return {}

    def lookup(self, kind: Kind, keys: Sequence[str]) -> dict[str, Remote]:
        self._called("lookup")
        return {
            key: Remote(i, dict(fields))
            for i, (key, fields) in sorted(self.stored.items(), reverse=True)
            if key in keys
        }

    def prepare(self, kind: Kind, records: Sequence[Record]) -> str:
        if self.polls is None:
            return ""
        self._called("prepare")
        receipt = f"job-{len(self.jobs)}"
        self.jobs[receipt] = {"work": None, "polls": 0}
        return receipt

    def submit(self, kind: Kind, records: Sequence[Record], receipt: str) -> list[Result] | None:
        keys = [r.key for r in records]
        assert len(set(keys)) == len(keys), "a batch holds a key once"
        assert len(records) <= self.batch_size
        self._called("submit")
        self.batches.append(keys)
        fate = self.script.pop(0) if self.script else "fine"
        if fate == "dropped":
            raise Transient("connection reset")
        if fate == "unavailable":
            raise Transient("503", retry_after=2.0, uncertain=False)
        if fate == "late":
            self.world.later(3.0, lambda: self._work_late(records))
            raise Transient("timeout")
        if receipt:
            # The job is closed and works for itself from here on: nothing is there before it ends.
            self.jobs[receipt]["work"] = lambda: self._work(records, fate)
            self._called("answer")
            if fate == "answer lost":
                raise Transient("timeout")
            return None
        results = self._work(records, fate)
        self._called("answer")
        if fate == "answer lost":
            raise Transient("timeout")
        return results

    def collect(self, receipt: str) -> list[Result] | None:
        self._called("collect")
        job = self.jobs[receipt]
        if job["work"] is None:
            return []
        job["polls"] += 1
        if job["polls"] < (self.polls or 0):
            return None
        if "results" not in job:
            job["results"] = job["work"]()
        return list(job["results"])

    def outcomes(self, cursor: str) -> tuple[list[OutcomeChange], str]:
        self._called("outcomes")
        return self.sales.outcomes(cursor)

    def sweep(self, kind: Kind, keys: Sequence[str]) -> list[Swept]:
        found = []
        for key in keys:
            ids = sorted(i for i, (k, _) in self.stored.items() if k == key)
            for extra in ids[1:]:
                self.stored[extra] = (f"{key}#withdrawn", self.stored[extra][1])
            if ids[1:]:
                found.append(Swept(key, ids[0], tuple(ids[1:])))
        return found

    # the CRM

    def _called(self, name: str) -> None:
        self.requests.append(name)
        self.times.append(self.world.time)
        self.before_call(name)

    def _work(self, records: Sequence[Record], fate: str) -> list[Result]:
        if fate == "locked":
            return [Result(r.key, "retry", error="row locked") for r in records]
        if self.whole and any(r.key in self.invalid for r in records):
            raise BatchRejected("the batch has a row without a company")
        results = [self._take_one(r) for r in records]
        return results[::2] if fate == "half answered" else results

    def _work_late(self, records: Sequence[Record]) -> None:
        """Nobody hears the answer any more."""
        with suppress(BatchRejected):
            self._work(records, "late")

    def _take_one(self, record: Record) -> Result:
        if record.key in self.invalid:
            return Result(record.key, "invalid", error="no such company")
        there = [i for i, (key, _) in self.stored.items() if key == record.key]
        if there and (self.unique or record.remote_id is not None):
            remote_id = there[0]
            self.stored[remote_id][1].update(record.sent_fields())
        else:
            remote_id = f"R{len(self.stored):04d}"
            self.stored[remote_id] = (record.key, dict(record.payload))
        return Result(record.key, "acknowledged", remote_id)
