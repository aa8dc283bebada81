"""One measured step: a child process with its CPU seconds, its peak memory, and limits on both.

CPU seconds are user + system time of the child and all it started, which do not depend on what else the machine does
(as wall time would). Memory is the resident set size (RSS) of the child's process tree. Linux only: reads ``/proc``.
"""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

_PAGE, _TICK = os.sysconf("SC_PAGE_SIZE"), os.sysconf("SC_CLK_TCK")
_LOOK_EVERY = 0.1


@dataclass(frozen=True)
class Measured:
    """What one step took.

    Attributes
    ----------
    cpu
        CPU seconds, user + system, of the process tree.
    peak
        Most memory the tree held at once, in MB.
    stopped
        Why it was ended or failed; empty where it finished.
    """

    cpu: float
    seconds: float
    peak: float
    stopped: str = ""

    def as_json(self) -> dict[str, Any]:
        """For a line of results."""
        return asdict(self)


@dataclass(frozen=True)
class Limits:
    """When a step is ended: CPU seconds and MB of memory."""

    cpu: float = 3600.0
    memory: float = 16_000.0


def run(command: Sequence[str], limits: Limits, environment: dict[str, str] | None = None) -> Measured:
    """Run a command to its end or until it exceeds a limit.

    Parameters
    ----------
    environment
        Added to this process's environment.
    """
    with tempfile.TemporaryFile() as said:
        begun = time.perf_counter()
        child = subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            start_new_session=True,
            env={**os.environ, **(environment or {})},
        )
        stopped, sampled = _watch(child.pid, limits)
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.perf_counter() - begun
        if not stopped and child.returncode != 0:
            stopped = f"failed: {_last_line(said)}" if child.returncode > 0 else f"ended by signal {-child.returncode}"
    # A child inherits the high-water mark of the process that starts it: below that, only what was seen counts.
    inherited = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    most = max(sampled, usage.ru_maxrss / 1024) if usage.ru_maxrss > inherited else sampled
    return Measured(usage.ru_utime + usage.ru_stime, seconds, most, stopped)


def _watch(pid: int, limits: Limits) -> tuple[str, float]:
    """Wait until the child has ended, or end it; why it was ended, and the most memory seen."""
    most, stopped = 0.0, ""
    while os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        cpu, memory = _use_of(_tree(pid))
        most = max(most, memory)
        if memory > limits.memory:
            stopped = f"more than {limits.memory:,.0f} MB"
        elif cpu > limits.cpu:
            stopped = f"more than {limits.cpu:,.0f} CPU s"
        if stopped:
            os.killpg(pid, signal.SIGKILL)
            break
        time.sleep(_LOOK_EVERY)
    return stopped, most


def _tree(pid: int) -> list[int]:
    """The process and all that it started and that still runs."""
    found, todo = [], [pid]
    while todo:
        one = todo.pop()
        found.append(one)
        for children in Path(f"/proc/{one}/task").glob("*/children"):
            try:
                todo += map(int, children.read_text().split())
            except OSError:  # a thread that has ended meanwhile
                continue
    return found


def _use_of(pids: Sequence[int]) -> tuple[float, float]:
    """CPU seconds and MB of processes together; those that have ended count nothing."""
    cpu = memory = 0.0
    for pid in pids:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        cpu += sum(map(int, fields[11:15])) / _TICK
        memory += int(fields[21]) * _PAGE / 1e6
    return cpu, memory


def _last_line(said: Any) -> str:
    said.seek(0)
    lines = said.read().decode("utf-8", "replace").strip().splitlines()
    return lines[-1].strip()[:160] if lines else "no message"


def own_peak() -> float:
    """Most memory this process has held, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
