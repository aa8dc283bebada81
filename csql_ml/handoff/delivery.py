"""Delivering an outbox: one sender at a time, nothing lost, nothing twice.

Before a request leaves, its rows are on the disk as in flight with the batch's receipt. What was sent and not answered
is collected or looked up before it is sent again, in this process or the next. A batch that is refused as a whole is
split until the bad row stands alone; a row the sink will never take is dead and stops nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby

from csql_ml.config.delivery import Delivery as Settings
from csql_ml.handoff.backoff import Backoff, Clock
from csql_ml.handoff.diff import has_arrived
from csql_ml.handoff.fields import Kind
from csql_ml.handoff.outbox import Outbox
from csql_ml.handoff.record import fingerprint
from csql_ml.handoff.row import Row, given_up, known_remotely, not_taken, refused, running, sending, taken, unknown
from csql_ml.handoff.sink import BatchRejected, Capabilities, Remote, Result, Sink, TransientError

#: Called with how many rows are still open and how many there were.
Progress = Callable[[int, int], None]


class Sender:
    """Sends what an outbox holds for one sink until every row is acknowledged or dead.

    Parameters
    ----------
    push_id
        Entry of the history that results are noted under.
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
    ) -> None:
        self._sink = sink
        self._capabilities = capabilities
        self._outbox = outbox
        self._settings = settings
        self._clock = clock
        self._push_id = push_id
        self._backoff = Backoff(settings.first_delay, settings.longest_delay)
        self._on_progress = on_progress or (lambda left, of: None)
        self._not_before = 0.0

    def run(self) -> None:
        """Deliver; returns when nothing is left to do, or the sink asked for more patience than there is.

        Raises
        ------
        DeliveryError
            The sink cannot go on. What was in flight stays so, and is looked up by the next push.
        """
        self._outbox.look_again()
        begun = self._outbox.open_rows()
        while (due := self._next_due()) is not None:
            wait = due - self._clock.now()
            if wait > self._settings.patience:
                return
            if wait > 0:
                self._clock.sleep(wait)
            self._step()
            left = self._outbox.open_rows()
            begun = max(begun, left)
            self._on_progress(begun - left, begun)

    def settle(self) -> None:
        """Look once at everything that an earlier process sent and did not hear of."""
        self._outbox.look_again()
        self._settle_all(self._outbox.in_flight(self._clock.now()))

    def _next_due(self) -> float | None:
        due = self._outbox.next_attempt(list(self._capabilities.fields))
        return None if due is None else max(due, self._not_before)

    def _step(self) -> None:
        """Settle what is in flight, or else send one batch."""
        now = self._clock.now()
        unanswered = self._outbox.in_flight(now)
        if unanswered:
            self._settle_all(unanswered)
            return
        for kind in self._capabilities.fields:
            batch = self._outbox.due(kind, now, self._capabilities.batch_size)
            if batch:
                self._send(kind, batch)
                return

    # sending

    def _send(self, kind: Kind, rows: Sequence[Row]) -> None:
        records = [row.record() for row in rows]
        try:
            receipt = self._sink.prepare(kind, records)
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
        except TransientError as error:
            self._save(self._unsure(on_way, error) if error.uncertain else self._later(on_way, error))
        except BatchRejected as error:
            self._split(kind, on_way, error)
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
