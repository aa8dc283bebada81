"""Delivering an outbox: one sender at a time, nothing lost, nothing twice.

Before a request leaves, its rows are on the disk as in flight with the batch's receipt. What was sent and not answered
is collected or looked up before it is sent again, in this process or the next. A batch that is refused as a whole is
split until the bad row stands alone; a row the sink will never take is dead and stops nobody.

While a sink works on one batch, the answers to the one before and the next one are written in one transaction. So the
next batch may be on the disk as in flight without having left; looking it up finds nothing, and it is sent then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby

from csql_ml.config.delivery import Delivery as Settings
from csql_ml.handoff.asking import Asked
from csql_ml.handoff.backoff import Backoff, Clock
from csql_ml.handoff.diff import has_arrived
from csql_ml.handoff.fields import Kind
from csql_ml.handoff.outbox import Outbox
from csql_ml.handoff.record import Record, fingerprint
from csql_ml.handoff.row import Row, given_up, known_remotely, not_taken, refused, running, sending, taken, unknown
from csql_ml.handoff.sink import BatchRejected, Capabilities, Remote, Result, Sink, TransientError

#: Called with how many rows are still open and how many there were.
Progress = Callable[[int, int], None]


Answer = list[Result] | None


@dataclass(frozen=True)
class _Batch:
    """Rows that go out together: as they were before, as they are on the disk meanwhile, and what is sent of them."""

    kind: Kind
    before: list[Row]
    on_way: list[Row]
    records: list[Record]


class Sender:
    """Sends what an outbox holds for one sink until every row is acknowledged or dead.

    Parameters
    ----------
    push_id
        Entry of the history that results are noted under.
    ask
        Calls the sink while other work goes on.
    """

    def __init__(
        self,
        sink: Sink,
        capabilities: Capabilities,
        outbox: Outbox,
        settings: Settings,
        clock: Clock,
        push_id: int,
        on_progress: Progress | None = None,
        ask: Callable[[Callable[[], Answer]], Asked[Answer]] = Asked,
    ) -> None:
        self._sink = sink
        self._capabilities = capabilities
        self._outbox = outbox
        self._settings = settings
        self._clock = clock
        self._push_id = push_id
        self._backoff = Backoff(settings.first_delay, settings.longest_delay)
        self._on_progress = on_progress
        self._ask = ask
        self._most_open = 0
        self._not_before = 0.0

    def run(self) -> None:
        """Deliver; returns when nothing is left to do, or the sink asked for more patience than there is.

        Raises
        ------
        DeliveryError
            The sink cannot go on. What was in flight stays so, and is looked up by the next push.
        """
        self._outbox.look_again()
        while (due := self._next_due()) is not None:
            wait = due - self._clock.now()
            if wait > self._settings.patience:
                return
            if wait > 0:
                self._clock.sleep(wait)
            self._tell()
            self._step()
        self._tell()

    def settle(self) -> None:
        """Look once at everything that an earlier process sent and did not hear of."""
        self._outbox.look_again()
        self._settle_all(self._outbox.in_flight(self._clock.now()))

    def _tell(self) -> None:
        if self._on_progress is not None:
            left = self._outbox.open_rows()
            self._most_open = max(self._most_open, left)
            self._on_progress(self._most_open - left, self._most_open)

    def _next_due(self) -> float | None:
        due = self._outbox.next_attempt(list(self._capabilities.fields))
        return None if due is None else max(due, self._not_before)

    def _step(self) -> None:
        """Settle what is in flight, or else send."""
        now = self._clock.now()
        unanswered = self._outbox.in_flight(now)
        if unanswered:
            self._settle_all(unanswered)
            return
        if not self._capabilities.asynchronous:
            self._send_in_a_row()
        elif found := self._next_rows(now):
            self._send(*found)

    def _next_rows(self, now: float) -> tuple[Kind, list[Row]] | None:
        for kind in self._capabilities.fields:
            if rows := self._outbox.due(kind, now, self._capabilities.batch_size):
                return kind, rows
        return None

    # sending one batch after the other

    def _send_in_a_row(self) -> None:
        """Send batches until none is due, or one is not answered in full."""
        batch, answered = self._turned([], in_flight=0), list[Row]()
        while batch is not None:
            asked = self._ask(partial(self._sink.submit, batch.kind, batch.records, ""))
            try:
                following = self._turned(answered, in_flight=len(batch.on_way))
                self._tell()
            except BaseException:
                asked.wait()
                raise
            try:
                answered = self._answered(batch.on_way, asked.answer() or [])
            except Exception as error:  # noqa: BLE001 - raised again where it is none of the sink's own
                self._failed(batch, following, error)
                return
            batch = following
        self._save(answered)

    def _turned(self, answered: Sequence[Row], in_flight: int) -> _Batch | None:
        """Save answers, and the next batch as in flight before it leaves; None where something else comes first.

        Parameters
        ----------
        in_flight
            How many rows the sink works on now: nothing is to be asked about these.
        """
        with self._outbox.transaction():
            self._outbox.put(answered)
            self._outbox.note_results(self._push_id, answered)
            now = self._clock.now()
            found = self._next_rows(now) if self._outbox.to_settle(now) == in_flight else None
            if found is None:
                return None
            kind, rows = found
            batch = _Batch(kind, rows, [sending(r, "", now) for r in rows], [r.record() for r in rows])
            self._outbox.put(batch.on_way)
        return batch

    def _failed(self, batch: _Batch, following: _Batch | None, error: Exception) -> None:
        """A batch came to nothing, or nobody knows; the following one never left."""
        with self._outbox.transaction():
            self._outbox.put(following.before if following else [])
        self._not_answered(batch.kind, batch.on_way, error)

    def _not_answered(self, kind: Kind, on_way: Sequence[Row], error: Exception) -> None:
        if isinstance(error, TransientError):
            self._save(self._unsure(on_way, error) if error.uncertain else self._later(on_way, error))
        elif isinstance(error, BatchRejected):
            self._split(kind, on_way, error)
        else:
            raise error

    # sending one batch alone

    def _send(self, kind: Kind, rows: Sequence[Row]) -> None:
        records = [row.record() for row in rows]
        try:
            receipt = self._sink.prepare(kind, records) if self._capabilities.asynchronous else ""
        except TransientError as error:
            # Counted as an attempt although nothing left: a sink that cannot be reached must not be tried for ever.
            self._save(self._later([sending(r, "", self._clock.now()) for r in rows], error))
            return
        except BatchRejected as error:
            self._split(kind, [sending(r, "", self._clock.now()) for r in rows], error)
            return
        on_way = [sending(row, receipt, self._clock.now()) for row in rows]
        self._save(on_way)
        try:
            results = self._sink.submit(kind, records, receipt)
        except (TransientError, BatchRejected) as error:
            self._not_answered(kind, on_way, error)
        else:
            if results is None:
                self._save(self._still_running(on_way))
            else:
                self._save(self._answered(on_way, results))

    def _split(self, kind: Kind, rows: Sequence[Row], error: BatchRejected) -> None:
        """The sink took nothing: each half again, until the bad row stands alone."""
        if len(rows) == 1:
            self._save([refused(rows[0], error.reason)])
            return
        back = [self._not_taken(r, error.reason, counted=False) for r in rows]
        self._save(back)
        middle = len(back) // 2
        for half in (back[:middle], back[middle:]):
            still_wanted = [r for r in half if r.state == "retry"]
            if still_wanted:
                self._send(kind, still_wanted)

    # answers

    def _answered(self, rows: Sequence[Row], results: Iterable[Result]) -> list[Row]:
        """Rows after the sink's answers; one without an answer stays in flight and is looked up next."""
        answers = {result.key: result for result in results}
        return [self._after(row, answers[row.key]) for row in rows if row.key in answers]

    def _after(self, row: Row, result: Result) -> Row:
        if result.status == "acknowledged":
            return taken(row, result.remote_id)
        if result.status == "invalid":
            return refused(row, result.error or "refused without a reason")
        delay = self._backoff.delay(row.attempts, self._clock.draw(), result.retry_after)
        return self._not_taken(row, result.error or "the sink asked to try again", delay)

    def _not_taken(self, row: Row, error: str, delay: float = 0.0, *, counted: bool = True) -> Row:
        at = self._clock.now() + delay
        return not_taken(row, at, error, most=self._settings.max_attempts, counted=counted)

    def _later(self, rows: Sequence[Row], error: TransientError) -> list[Row]:
        """The sink surely did nothing."""
        delay = self._delay(rows, error)
        return [self._not_taken(row, error.reason, delay) for row in rows]

    def _unsure(self, rows: Sequence[Row], error: TransientError) -> list[Row]:
        """Nobody knows what the sink did."""
        at = self._clock.now() + self._delay(rows, error)
        return [unknown(r, at, error.reason, most=self._settings.max_attempts, counted=False) for r in rows]

    def _delay(self, rows: Sequence[Row], error: TransientError) -> float:
        """One waiting time for a batch; where the sink named one, it holds for every other batch as well."""
        delay = self._backoff.delay(max(r.attempts for r in rows), self._clock.draw(), error.retry_after)
        if error.retry_after is not None:
            self._not_before = max(self._not_before, self._clock.now() + delay)
        return delay

    def _still_running(self, rows: Sequence[Row]) -> list[Row]:
        """A bulk job goes on: look again later, but not for ever."""
        now, limit = self._clock.now(), self._settings.poll_limit
        since = min(now if r.sent_at is None else r.sent_at for r in rows)
        if now - since >= limit:
            return [given_up(r, f"the sink has not finished its job within {limit:.0f} s; replay it") for r in rows]
        return [running(r, since, now + self._settings.poll_interval) for r in rows]

    # what was sent and not answered

    def _settle_all(self, rows: Sequence[Row]) -> None:
        for (kind, receipt), batch in groupby(rows, key=lambda r: (r.kind, r.receipt)):
            self._settle(kind, receipt, list(batch))

    def _settle(self, kind: Kind, receipt: str, rows: Sequence[Row]) -> None:
        """Collect the batch where it left a receipt; look up whatever is still open."""
        try:
            if receipt:
                results = self._sink.collect(receipt)
                if results is None:
                    self._save(self._still_running(rows))
                    return
                answered = self._answered(rows, results)
                self._save(answered)
                rows = [r for r in rows if r.key not in {a.key for a in answered}]
            for start in range(0, len(rows), self._capabilities.batch_size):
                part = rows[start : start + self._capabilities.batch_size]
                self._save(self._compared(kind, part, self._sink.lookup(kind, [r.key for r in part])))
        except TransientError as error:
            at = self._clock.now() + self._delay(rows, error)
            still_open = self._outbox_rows(kind, rows)
            self._save([unknown(r, at, error.reason, most=self._settings.max_attempts) for r in still_open])
        except BatchRejected as error:
            self._split(kind, rows, error)

    def _outbox_rows(self, kind: Kind, rows: Sequence[Row]) -> list[Row]:
        """Those of the rows that are in flight still: a part may have been settled before the next part failed."""
        now = self._outbox.rows(kind)
        return [now[r.key] for r in rows if now[r.key].state == "in_flight"]

    def _compared(self, kind: Kind, rows: Sequence[Row], remotes: Mapping[str, Remote]) -> list[Row]:
        return [self._found(kind, row, remotes.get(row.key)) for row in rows]

    def _found(self, kind: Kind, row: Row, remote: Remote | None) -> Row:
        """What a look at the sink says of a row whose answer never came."""
        if remote is None:
            return self._not_taken(row, row.error or "sent, and not found at the sink")
        newer = str(remote.fields.get("as_of") or "") > str(row.sent.get("as_of") or "")
        if newer or has_arrived(kind, row.sent, remote.fields):
            return taken(row, remote.remote_id)
        if row.acknowledged_hash is None:
            known = {n: v for n, v in remote.fields.items() if n in row.sent}
            row = known_remotely(row, remote.remote_id, known, fingerprint(kind, known))
        return self._not_taken(row, row.error or "sent, and the sink still has the earlier values")

    def _save(self, rows: Sequence[Row]) -> None:
        """Rows and, where they are done, their results: all on the disk or none."""
        with self._outbox.transaction():
            self._outbox.put(rows)
            self._outbox.note_results(self._push_id, rows)
