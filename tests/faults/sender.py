"""Senders that can be killed: a process that forks one per line it reads, and ends it with SIGKILL when asked to.

The process is started with a function, ``module:name``. A line is JSON: the function's ``arguments`` and ``kill_after``
in seconds (null: let it end). The answer is the exit code, or the negative number of the signal. Importing happens
once, before.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
import time
import traceback
from pathlib import Path
from types import TracebackType
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


class Senders:
    """The forking process, seen from a test."""

    def __init__(self, function: str) -> None:
        self._function = function

    def __enter__(self) -> Senders:
        command = [sys.executable, "-m", "tests.faults.sender", self._function]
        self._process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait(timeout=30)

    def run(self, kill_after: float | None = None, **arguments: Any) -> int:
        """Run one sender; returns its exit code, or -9 if it was killed."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"kill_after": kill_after, "arguments": arguments}) + "\n")
        return int(self._process.stdout.readline())


def push_to_small_crm(home: str, run: str, port: int) -> int:
    """A sender: push a run to the CRM behind a port."""
    from csql_ml.handoff.push import push
    from tests.faults.small_crm import SmallCrmSink
    from tests.handoff.small_run import config

    settings = config(Path(home), max_attempts=40, first_delay=0.01, longest_delay=0.05)
    return push(settings, Path(run), "small_crm", sink=SmallCrmSink(port)).exit_code


def _child(function: Any, arguments: dict[str, Any]) -> None:
    try:
        code = function(**arguments)
    except BaseException:  # noqa: BLE001 - a child must not go on as its parent, whatever happens
        traceback.print_exc()
        code = 70
    sys.stderr.flush()
    os._exit(code)


def _serve(function: Any) -> None:
    _say("ready")
    for line in sys.stdin:
        asked = json.loads(line)
        child = os.fork()
        if child == 0:
            _child(function, asked["arguments"])
        if asked["kill_after"] is not None:
            time.sleep(asked["kill_after"])
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        _say(os.waitstatus_to_exitcode(status))


def _say(what: object) -> None:
    sys.stdout.write(f"{what}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    module, name = sys.argv[1].split(":")
    for needed in ("csql_ml.handoff.push", "csql_ml.config", "tests.handoff.small_run", "tests.faults.small_crm"):
        importlib.import_module(needed)
    _serve(getattr(importlib.import_module(module), name))
