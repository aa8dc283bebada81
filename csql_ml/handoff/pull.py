"""``csql pull``: outcomes back from a CRM, into the tables that training reads and into the outbox.

Order of writing: the tables, the outbox's outcomes, and last the place up to which the CRM was read. A pull that is
interrupted anywhere is repeated from the old place, and the same rows again change nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pyarrow as pa

from csql_ml.config.inputs import PULLED_TABLES
from csql_ml.contract.tables import TABLES
from csql_ml.errors import ConfigError
from csql_ml.handoff.backoff import Backoff, Clock, system_clock
from csql_ml.handoff.fields import WITHDRAWN
from csql_ml.handoff.lead_outcome import OUTCOMES, outcome_of
from csql_ml.handoff.outbox import Outbox
from csql_ml.handoff.outbox_file import writing
from csql_ml.handoff.patience import Patience
from csql_ml.handoff.pull_state import Place, State, only_pull, read_state, write_state
from csql_ml.handoff.pulled_rows import (
    Counts,
    Version,
    merged,
    newest_rows,
    read_rows,
    version_of,
    with_versions,
    write_rows,
)
from csql_ml.handoff.sender_lock import only_sender
from csql_ml.handoff.sink import OutcomeChange, Sink
from csql_ml.handoff.sinks import open_sink
from csql_ml.run_files import write_file

if TYPE_CHECKING:
    from csql_ml.config import Config

#: Called with a step, how much of it is done and how much there is.
Progress = Callable[[str, int, int], None]
Tables = dict[str, pa.Table]
_TICK = timedelta(microseconds=1)


@dataclass(frozen=True)
class Pulled:
    """Result of `pull`.

    Attributes
    ----------
    counts
        Per table: records that were new, changed or unchanged.
    leads
        How many of the sink's leads stand where: ``open``, `OUTCOMES`, ``withdrawn``.
    won_arr
        Incremental ARR of the won ones.
    noted
        Leads of the outbox of whose outcome it did not know.
    anew
        Whether the CRM was read from the beginning.
    """

    sink: str
    folder: Path
    counts: Mapping[str, Counts]
    leads: Mapping[str, int]
    won_arr: float
    noted: int
    anew: bool


def pull(
    config: Config,
    origin: str,
    *,
    full: bool = False,
    sink: Sink | None = None,
    clock: Clock | None = None,
    on_progress: Progress | None = None,
) -> Pulled:
    """Fetch what became of leads and opportunities since the last pull.

    Parameters
    ----------
    origin
        Name of a sink; see `csql_ml.handoff.sinks`.
    full
        Read everything anew; rows that are kept stay.
    sink, clock
        Instead of those of the configuration and the machine.

    Raises
    ------
    ConfigError
        ``data.pulled`` is not set.
    DeliveryError
        The CRM cannot be reached, or another pull or push is at work.
    OutputError
        The pulled tables or the outbox cannot be used.
    """
    folder = _folder(config)
    job = _Pull(config, folder, sink or open_sink(origin, config), clock or system_clock())
    say = on_progress or (lambda step, done, of: None)
    with only_pull(folder), job.outbox() as outbox:
        before = {name: read_rows(job.file(name), TABLES[name]) for name in PULLED_TABLES}
        state = read_state(folder).checked({name: len(rows) for name, rows in before.items()})
        place = state.of(job.sink.name)
        cursor = "" if full else place.cursor
        say(f"asking {job.sink.name} what became of leads", 0, 2)
        changes, next_cursor = job.ask(cursor)
        versions = {n: [version_of(c, job.sink.name) for c in changes if c.table == n] for n in PULLED_TABLES}
        say("storing outcomes", 1, 2)
        after, counts = job.merge(before, versions, place.seen)
        after["csqls"] = job.without_withdrawn(after["csqls"], versions["csqls"], outbox)
        for name in PULLED_TABLES:
            job.store(name, before[name], after[name])
        leads = newest_rows(after["csqls"], TABLES["csqls"], job.sink.name)
        noted = job.note(outbox, leads)
        write_state(folder, _moved(state, job.sink.name, next_cursor, versions, after))
        job.note_itself(outbox, counts)
        stages, won_arr = _standing(leads.values())
        return Pulled(job.sink.name, folder, counts, stages, won_arr, noted, anew=cursor == "")


def _folder(config: Config) -> Path:
    if config.data.pulled is None:
        raise ConfigError(
            "csql pull needs a folder for what it brings: set data.pulled, for example to ../pulled; the tables "
            f"{' and '.join(PULLED_TABLES)} then consist of what is mapped and what was pulled"
        )
    return config.path(config.data.pulled)


class _Pull:
    """One sink, its outbox and the folder its rows are kept in."""

    def __init__(self, config: Config, folder: Path, sink: Sink, clock: Clock) -> None:
        settings = config.delivery
        self.sink = sink
        self._folder = folder
        self._outbox = config.path(settings.outbox)
        self._zone = ZoneInfo(config.company.time_zone)
        self._clock = clock
        self._begun = clock.now()
        backoff = Backoff(settings.first_delay, settings.longest_delay)
        self._patience = Patience(sink.name, clock, backoff, settings.max_attempts, settings.patience)

    def file(self, table: str) -> Path:
        return self._folder / f"{table}.parquet"

    def note_itself(self, outbox: Outbox | None, counts: Mapping[str, Counts]) -> None:
        """Stand in the history with how many records were new or changed, by table."""
        if outbox is not None:
            found = {f"{table} {what}": n for table, c in counts.items() for what, n in vars(c).items()}
            told = {name: n for name, n in found.items() if n and not name.endswith(" unchanged")}
            now = self._clock.now()
            outbox.note_pull(_time(self._begun), _time(now), now - self._begun, told)

    @contextmanager
    def outbox(self) -> Iterator[Outbox | None]:
        """The sink's outbox, which nobody else changes meanwhile; None where nothing was ever pushed from here."""
        if not self._outbox.exists():
            yield None
            return
        with only_sender(self._outbox, self.sink.name, _time(self._begun)), writing(self._outbox) as connection:
            yield Outbox(connection, self.sink.name)

    def ask(self, cursor: str) -> tuple[list[OutcomeChange], str]:
        """What changed since the cursor, and the next cursor."""
        return self._patience.ask("asking for outcomes", partial(self.sink.outcomes, cursor))

    def merge(
        self, before: Tables, versions: Mapping[str, Sequence[Version]], seen: Mapping[str, datetime]
    ) -> tuple[Tables, dict[str, Counts]]:
        found = {
            name: merged(rows, TABLES[name], self.sink.name, versions[name], seen.get(name))
            for name, rows in before.items()
        }
        return {name: rows for name, (rows, _) in found.items()}, {name: counts for name, (_, counts) in found.items()}

    def without_withdrawn(self, rows: pa.Table, came: Iterable[Version], outbox: Outbox | None) -> pa.Table:
        """Leads that were taken back before sales answered count no more, from the day they were taken back.

        The CRM says nothing of them any more; without a last version they would stay open leads for ever.
        """
        if outbox is None:
            return rows
        there = {version.row["csql_id"] for version in came}
        kept = newest_rows(rows, TABLES["csqls"], self.sink.name)
        last = [
            self._taken_back(kept[key], str(payload.get("as_of")))
            for key, payload in ((r.key, r.acknowledged) for r in outbox.rows("lead").values())
            if payload is not None and payload.get("status") == WITHDRAWN and key in kept and key not in there
            if kept[key].row["type"] != WITHDRAWN and outcome_of(kept[key].row)[0] is None
        ]
        return with_versions(rows, TABLES["csqls"], self.sink.name, last)

    def _taken_back(self, version: Version, day: str) -> Version:
        midnight = datetime.combine(date.fromisoformat(day), time(), self._zone).astimezone(UTC)
        at = max(midnight, version.row["recorded_at"] + _TICK)
        return Version(version.remote_id, version.changed_at, {**version.row, "type": WITHDRAWN}).known_from(at)

    def store(self, name: str, before: pa.Table, after: pa.Table) -> None:
        """Write a table where it has new rows, whole or not at all."""
        if len(after) > len(before) or not self.file(name).exists():
            write_file(self.file(name), lambda path: write_rows(after, TABLES[name], path))

    def note(self, outbox: Outbox | None, leads: Mapping[str, Version]) -> int:
        """Tell the outbox: it keeps an account at rest after a failed lead and closes what sales has closed."""
        if outbox is None:
            return 0
        outcomes: dict[str, tuple[str | None, str | None]] = {}
        for key, version in leads.items():
            if version.row["type"] != WITHDRAWN:
                what, at = outcome_of(version.row)
                outcomes[key] = what, None if at is None else at.astimezone(self._zone).date().isoformat()
        return outbox.note_outcomes(outcomes)


def _time(at: float) -> str:
    """Seconds since 1970 as ISO text in UTC."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")


def _moved(
    state: State, sink: str, cursor: str, versions: Mapping[str, Sequence[Version]], after: Mapping[str, pa.Table]
) -> State:
    seen = dict(state.of(sink).seen)
    for name, came in versions.items():
        newest = max((version.changed_at for version in came), default=None)
        if newest is not None:
            seen[name] = max(newest, seen.get(name, newest))
    return state.moved(sink, Place(cursor, seen), {name: len(rows) for name, rows in after.items()})


def _standing(leads: Iterable[Version]) -> tuple[dict[str, int], float]:
    """How many leads stand where, in the order they get there, and the ARR of the won ones."""
    rows = [version.row for version in leads]
    stages = [WITHDRAWN if r["type"] == WITHDRAWN else outcome_of(r)[0] or "open" for r in rows]
    counted = Counter(stages)
    won = sum(row["arr"] or 0.0 for row, stage in zip(rows, stages, strict=True) if stage == "won")
    return {stage: counted[stage] for stage in ("open", *OUTCOMES, WITHDRAWN)}, won
