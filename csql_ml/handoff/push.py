"""Pushing a run to a sink, looking at what a push would do, replaying what died, and the history of it all."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from csql_ml.config.delivery import Delivery
from csql_ml.errors import DeliveryError, UsageError
from csql_ml.handoff.asking import Asked
from csql_ml.handoff.backoff import Backoff, Clock, system_clock
from csql_ml.handoff.delivery import Sender
from csql_ml.handoff.fields import Kind
from csql_ml.handoff.note import Note
from csql_ml.handoff.outbox import Outbox, past_pulls, past_pushes, past_results
from csql_ml.handoff.outbox_file import looking, writing
from csql_ml.handoff.patience import Patience
from csql_ml.handoff.plan import Plan, Planner
from csql_ml.handoff.row import Row, replayed
from csql_ml.handoff.run_records import RunRecords
from csql_ml.handoff.sender_lock import only_sender
from csql_ml.handoff.sink import Capabilities, Finding, Sink, Swept
from csql_ml.handoff.sinks import SINKS, open_sink
from csql_ml.reports.catalogue import load
from csql_ml.reports.push_page import render
from csql_ml.reports.texts import Texts
from csql_ml.run_files import write_file

if TYPE_CHECKING:
    from csql_ml.config import Config

#: Name of the refusal of a sink that would take the same lead twice.
NO_UNIQUE_KEY = "no_unique_key"

#: Called with a step, how much of it is done and how much there is.
Progress = Callable[[str, int, int], None]
#: Work that may stop as soon as what it is called with says so.
_Work = Callable[[Callable[[], bool]], None]


@dataclass(frozen=True)
class Pushed:
    """Result of `push`, `dry_run` or `replay`.

    Attributes
    ----------
    plan
        What was, or would be, to be done; None for a replay.
    findings
        What preflight has to say.
    counts
        Rows created, updated ... and ``dead``, by this push; empty in a dry run.
    dead
        Every row of the sink that was given up, with its reason.
    unfinished
        Rows that wait because the sink asked for more patience than there is.
    seconds
        How long delivering took.
    """

    sink: str
    plan: Plan | None
    findings: tuple[Finding, ...]
    dry: bool
    counts: dict[str, int] = field(default_factory=dict)
    dead: tuple[Row, ...] = ()
    unfinished: int = 0
    swept: tuple[Swept, ...] = ()
    push_id: int | None = None
    seconds: float = 0.0

    @property
    def refusals(self) -> tuple[Finding, ...]:
        """Findings that would stop a push."""
        return tuple(f for f in self.findings if f.level == "refuse")

    @property
    def exit_code(self) -> int:
        """1 where rows are dead or wait, or a dry run found that a push would be refused."""
        return int(bool(self.dead or self.unfinished or self.refusals))


def push(
    config: Config,
    run: Path,
    to: str,
    *,
    accept: Sequence[str] = (),
    sink: Sink | None = None,
    clock: Clock | None = None,
    on_progress: Progress | None = None,
) -> Pushed:
    """Hand a run over: everything that changed is sent until it is acknowledged or dead.

    Parameters
    ----------
    run
        Folder written by ``csql score``.
    to
        Name of a sink; see `csql_ml.handoff.sinks`.
    accept
        Names of preflight's refusals to push in spite of.
    sink, clock
        Instead of those of the configuration and the machine.

    Raises
    ------
    OutputError
        The run or the outbox cannot be used.
    DeliveryError
        Preflight refuses, the sink cannot be reached, or another push is at work.
    """
    records = RunRecords(run, config)
    job = _Job(config, sink or open_sink(to, config), clock or system_clock(), on_progress)
    reading = partial(records.read, config.delivery.send)
    with job.allowed(accept, reading), writing(job.path) as connection:
        outbox = Outbox(connection, job.sink.name)
        if (last := outbox.last_push()) is not None:
            job.say("looking at what was sent before", 0, 1)
            job.sender(outbox, last).settle()
        plan = job.planner(records, outbox, config).plan(job.kinds(job.settings.send))
        push_id = plan.store(outbox, "push", job.time())
        return job.deliver(outbox, push_id, plan)


def dry_run(config: Config, run: Path, to: str, *, sink: Sink | None = None, clock: Clock | None = None) -> Pushed:
    """What a push would do. The outbox is read from a copy, the sink only asked: nothing is written anywhere.

    Raises
    ------
    OutputError, DeliveryError
        As `push`; but what preflight would refuse is reported instead.
    """
    records = RunRecords(run, config)
    job = _Job(config, sink or open_sink(to, config), clock or system_clock(), None)
    findings = job.preflight(partial(records.read, config.delivery.send))
    with looking(job.path) as connection:
        outbox = Outbox(connection, job.sink.name)
        plan = job.planner(records, outbox, config).plan(job.kinds(job.settings.send))
    return Pushed(job.sink.name, plan, tuple(findings), dry=True)


def replay(
    config: Config,
    to: str,
    key: str = "all",
    *,
    accept: Sequence[str] = (),
    sink: Sink | None = None,
    clock: Clock | None = None,
    on_progress: Progress | None = None,
) -> Pushed:
    """Try dead rows anew: those of one key, or all.

    Raises
    ------
    UsageError
        No row of that key is dead.
    DeliveryError
        As `push`.
    """
    job = _Job(config, sink or open_sink(to, config), clock or system_clock(), on_progress)
    with job.allowed(accept), writing(job.path) as connection:
        outbox = Outbox(connection, job.sink.name)
        dead = outbox.dead()
        rows = [r for r in dead if key in ("all", r.key)]
        if not rows and key != "all":
            keys = ", ".join(r.key for r in dead[:5]) or "none"
            raise UsageError(f"{to} has no dead row {key!r}; dead are: {keys}{' ...' * (len(dead) > 5)}")
        with outbox.transaction():
            outbox.put([replayed(r) for r in rows])
            push_id = outbox.begin_push("replay", None, job.time(), {"replay": {"rows": len(rows)}})
        return job.deliver(outbox, push_id, None)


def history(config: Config, to: str | None = None, push_id: int | None = None) -> list[dict[str, Any]]:
    """Past pushes and pulls, newest first; with ``push_id`` that push alone, with its ``results`` row by row.

    Raises
    ------
    UsageError
        There is no such sink or push.
    """
    if to is not None and to not in SINKS:
        raise UsageError(f"there is no sink {to!r}; there are {', '.join(SINKS)}")
    with looking(config.path(config.delivery.outbox)) as connection:
        pushes = past_pushes(connection, to)
        if push_id is None:
            return sorted([*pushes, *past_pulls(connection, to)], key=itemgetter("begun_at"), reverse=True)
        found = [p for p in pushes if p["push_id"] == push_id]
        if not found:
            raise UsageError(f"there is no push {push_id}; the newest is {pushes[0]['push_id'] if pushes else 'none'}")
        return [{**found[0], "results": past_results(connection, push_id)}]


def write_page(config: Config, run: Path, result: Pushed, path: Path, language: str) -> None:
    """Write what a push did or would do as a page that needs no server.

    The page speaks the language given; what would be sent is shown as it is sent, in the company's language.

    Raises
    ------
    OutputError
        The run cannot be read, or the file cannot be written.
    """
    from csql_ml.handoff.push_data import push_data  # which imports this module

    records = RunRecords(run, config)
    page = render(push_data(result), records.run, Texts(load(language), records.run.currency))
    write_file(path, lambda draft: draft.write_bytes(page))


class _Job:
    """What pushes, dry runs and replays to one sink share."""

    def __init__(self, config: Config, sink: Sink, clock: Clock, on_progress: Progress | None) -> None:
        self.settings: Delivery = config.delivery
        self.path = config.path(self.settings.outbox)
        self.sink = sink
        self.clock = clock
        self.say: Progress = on_progress or (lambda step, done, of: None)
        self.findings: list[Finding] = []
        self.sweeps = False
        self._capabilities: Capabilities | None = None
        backoff = Backoff(self.settings.first_delay, self.settings.longest_delay)
        self._patience = Patience(sink.name, clock, backoff, self.settings.max_attempts, self.settings.patience)

    @property
    def capabilities(self) -> Capabilities:
        if self._capabilities is None:
            self._capabilities = self._patience.ask("asking what it takes", self.sink.capabilities)
        return self._capabilities

    @contextmanager
    def allowed(self, accept: Sequence[str], meanwhile: _Work | None = None) -> Iterator[None]:
        """The right to send: preflight has nothing against it and nobody else is at work."""
        with only_sender(self.path, self.sink.name, self.time()):
            findings = self.preflight(meanwhile)
            refused = [f for f in findings if f.level == "refuse" and f.name not in accept]
            if refused:
                reasons = "; ".join(f"{f.message} [{f.name}]" for f in refused)
                raise DeliveryError(f"{self.sink.name} is not ready, nothing was sent: {reasons}")
            self.findings = [replace(f, level="warn") for f in findings]
            self.sweeps = any(f.name == NO_UNIQUE_KEY for f in findings)
            yield

    def preflight(self, meanwhile: _Work | None = None) -> list[Finding]:
        """The sink's own findings, and whether it would take a lead twice.

        Parameters
        ----------
        meanwhile
            What does not need the sink; it is told whether the sink has answered.
        """
        self.say("preflight", 0, 1)
        asked = Asked(self._preflight)
        try:
            if meanwhile is not None:
                meanwhile(asked.done)
        except BaseException:
            asked.wait()
            raise
        return asked.answer()

    def _preflight(self) -> list[Finding]:
        found = self._patience.ask("preflight", lambda: self.sink.preflight(self.settings.send))
        if any(f.level == "refuse" for f in found):
            return found
        if self.kinds(self.settings.send) and not self.capabilities.unique_key:
            message = Note(
                "the key field is not unique in {sink}, so a lost answer could make a lead twice", sink=self.sink.name
            )
            found = [*found, Finding(NO_UNIQUE_KEY, "refuse", message)]
        return found

    def kinds(self, wanted: Sequence[Kind]) -> list[Kind]:
        """The kinds that are wanted and taken."""
        return [kind for kind in wanted if kind in self.capabilities.fields]

    def planner(self, records: RunRecords, outbox: Outbox, config: Config) -> Planner:
        self.say("comparing with what was sent before", 0, 1)
        return Planner(records, self.sink, self.capabilities, outbox, config, self._patience)

    def sender(self, outbox: Outbox, push_id: int) -> Sender:
        step = f"sending to {self.sink.name}"
        return Sender(
            self.sink,
            self.capabilities,
            outbox,
            self.settings,
            self.clock,
            push_id,
            lambda done, of: self.say(step, done, of),
        )

    def deliver(self, outbox: Outbox, push_id: int, plan: Plan | None) -> Pushed:
        begun = self.clock.now()
        self.sender(outbox, push_id).run()
        swept = self._sweep(outbox) if self.sweeps else ()
        seconds = self.clock.now() - begun
        counts = outbox.result_counts(push_id)
        outbox.end_push(push_id, self.time(), seconds, counts)
        return Pushed(
            self.sink.name,
            plan,
            tuple(self.findings),
            dry=False,
            counts=counts,
            dead=tuple(outbox.dead()),
            unfinished=outbox.open_rows(),
            swept=swept,
            push_id=push_id,
            seconds=seconds,
        )

    def _sweep(self, outbox: Outbox) -> tuple[Swept, ...]:
        """Without a unique key a lead may be there twice after all: find out, keep one."""
        found: list[Swept] = []
        keys = [row.key for row in outbox.rows("lead").values() if row.remote_id is not None]
        for start in range(0, len(keys), self.capabilities.batch_size):
            part = keys[start : start + self.capabilities.batch_size]
            found += self._patience.ask("sweeping", partial(self.sink.sweep, "lead", part))
        return tuple(found)

    def time(self) -> str:
        """Now, as ISO text in UTC."""
        return datetime.fromtimestamp(self.clock.now(), UTC).isoformat(timespec="seconds")
