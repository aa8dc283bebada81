"""One push or pull at a time per sink and outbox; whoever comes second is told who is at work."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from csql_ml.errors import DeliveryError, OutputError
from csql_ml.run_files import json_text


@contextmanager
def only_sender(outbox: Path, sink: str, begun_at: str) -> Iterator[None]:
    """Hold the right to send to a sink. It ends with the process, however that ends.

    Raises
    ------
    DeliveryError
        Somebody else holds it; the message says who.
    OutputError
        Nothing can be written beside the outbox.
    """
    holder = outbox.with_name(f"{outbox.name}.{sink}.holder")
    try:
        outbox.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(outbox.with_name(f"{outbox.name}.{sink}.lock"))
        lock.acquire(blocking=False)
    except Timeout:
        raise DeliveryError(
            f"another push to {sink}, or pull from it, is at work on {outbox} ({_who(holder)}); wait for its end, or "
            "end that process"
        ) from None
    except OSError as error:
        raise _unwritable(outbox, error) from error
    try:
        try:
            holder.write_text(json_text({"pid": os.getpid(), "host": socket.gethostname(), "since": begun_at}) + "\n")
        except OSError as error:
            raise _unwritable(outbox, error) from error
        yield
    finally:
        with suppress(OSError):
            holder.unlink(missing_ok=True)
        lock.release()


def _unwritable(outbox: Path, error: OSError) -> OutputError:
    return OutputError(
        f"beside outbox {outbox} nothing can be written: {error.strerror or error}; give delivery.outbox a place with "
        "room that this user may write to"
    )


def _who(holder: Path) -> str:
    try:
        found = json.loads(holder.read_text())
        return f"process {found['pid']} on {found['host']}, since {found['since']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "it has not said who it is yet"
