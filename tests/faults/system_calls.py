"""Faults at system calls: a job in a process of its own asks before everything it writes, and is killed or refused.

Linux hands a process's system calls to another one that decides about them (seccomp's user notifications, since 5.5):
whoever writes, Python, DuckDB, Arrow or SQLite, no instrument in the program is needed. Counted are the calls that
change something below the ``watched`` folders: create, write, truncate, flush, rename, link, remove, change a mode;
and, where ``sockets`` are watched, what is sent.

The process that forks the jobs has imported everything once. A line on its standard input names a job, its arguments
and a `Plan`, the answer is an `End`, both as JSON.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import importlib
import json
import os
import platform
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

ROOT = Path(__file__).resolve().parents[2]
#: Name -> number on x86-64, number on ARM64, and where its path or file descriptor is: "fd" or argument numbers.
#: (Not sendmsg: the job itself hands its listener over with it.)
_CALLS: dict[str, tuple[int | None, int | None, Any]] = {
    "write": (1, 64, "fd"),
    "pwrite64": (18, 68, "fd"),
    "writev": (20, 66, "fd"),
    "pwritev": (296, 70, "fd"),
    "fsync": (74, 82, "fd"),
    "fdatasync": (75, 83, "fd"),
    "ftruncate": (77, 46, "fd"),
    "fallocate": (285, 47, "fd"),
    "fchmod": (91, 52, "fd"),
    "sendto": (44, 206, "fd"),
    "copy_file_range": (326, 285, "fd"),
    "sendfile": (40, 71, "fd"),
    "open": (2, None, (None, 0)),
    "openat": (257, 56, (0, 1)),
    "rename": (82, None, (None, 1)),
    "renameat": (264, 38, (2, 3)),
    "renameat2": (316, 276, (2, 3)),
    "unlink": (87, None, (None, 0)),
    "unlinkat": (263, 35, (0, 1)),
    "rmdir": (84, None, (None, 0)),
    "mkdir": (83, None, (None, 0)),
    "mkdirat": (258, 34, (0, 1)),
    "link": (86, None, (None, 1)),
    "linkat": (265, 37, (2, 3)),
    "symlink": (88, None, (None, 1)),
    "symlinkat": (266, 36, (1, 2)),
    "chmod": (90, None, (None, 0)),
    "fchmodat": (268, 53, (0, 1)),
}
_SENDS = ("sendto", "write", "writev", "sendfile")
_ARM = platform.machine() in ("aarch64", "arm64")
_NUMBERS = {calls[1 if _ARM else 0]: name for name, calls in _CALLS.items() if calls[1 if _ARM else 0] is not None}
_SECCOMP = 277 if _ARM else 317
_CREATES = 0x40 | 0x200  # O_CREAT, O_TRUNC
_RECEIVE, _ANSWER, _GO_ON = 0xC0502100, 0xC0182101, 1
_NOTICE = struct.Struct("QIIiIQ6Q")
_AT_FOLDER = -100
#: Only one that can be left to the job: what it does to its own standard streams is nobody's loss.
_FIRST_FD = 3

SUPPORTED = sys.platform == "linux" and platform.machine() in ("x86_64", "aarch64", "arm64")


@dataclass(frozen=True)
class Plan:
    """What happens to a job.

    Attributes
    ----------
    watched
        Folders whose changes are counted.
    kill_at
        The job is killed at this step, counted from 1; half of a write's bytes arrive.
    refuse_from
        From this step on, whatever makes or fills a file is answered with ``error``.
    error
        Its number, such as ``errno.ENOSPC``.
    kill_after
        The job is killed after as many seconds.
    address_space
        What the job may allocate, in bytes.
    wait_at, wait
        At the first step of a file with ``wait_at`` in its name, the job stands still: until somebody removes the file
        ``.waiting``, which then appears in the first watched folder and holds the job's number, for ``wait`` seconds
        at most.
    """

    watched: Sequence[str] = ()
    sockets: bool = False
    kill_at: int | None = None
    refuse_from: int | None = None
    error: int = errno.ENOSPC
    kill_after: float | None = None
    address_space: int | None = None
    wait_at: str | None = None
    wait: float = 0.0


@dataclass(frozen=True)
class End:
    """How a job ended: its exit code (-9 if it was killed), the steps it came to, and what it said."""

    code: int
    steps: tuple[str, ...]
    said: str = field(default="", repr=False)

    @property
    def killed(self) -> bool:
        return self.code == -signal.SIGKILL


class Jobs:
    """The forking process, seen from a test.

    Parameters
    ----------
    module
        Has the jobs, which are functions.
    needed
        Further modules to import once.
    """

    def __init__(self, module: str, *needed: str) -> None:
        self._command = [sys.executable, "-m", "tests.faults.system_calls", module, *needed]

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            self._command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        assert self._answer() == "ready"
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait(timeout=60)

    def prepare(self, function: str, **arguments: Any) -> None:
        """Call a function in the forking process itself: what it leaves there is there for all jobs."""
        self._ask({"prepare": function, "arguments": arguments})
        assert self._answer() == "prepared"

    def run(self, function: str, plan: Plan | None = None, **arguments: Any) -> End:
        """Run a job once."""
        self._ask({"function": function, "plan": asdict(plan or Plan()), "arguments": arguments})
        found = self._answer()
        return End(found["code"], tuple(found["steps"]), found["said"])

    def _ask(self, what: Any) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(what) + "\n")

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())


# ---------------------------------------------------------------- the job's process


def _child(function: Any, arguments: Mapping[str, Any], plan: Plan, to_parent: socket.socket) -> None:
    """Hand the system calls over, do the job, and end without a word to the parent's buffers."""
    code = 70
    try:
        if plan.address_space is not None:
            import resource

            resource.setrlimit(resource.RLIMIT_AS, (plan.address_space, plan.address_space))
        if plan.watched or plan.sockets:
            socket.send_fds(to_parent, [b"."], [_listener()])
        to_parent.close()
        code = function(**arguments)
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:  # noqa: BLE001 - a child must not go on as its parent, whatever happens
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code or 0)


def _listener() -> int:
    """Install the filter for this process and all its threads; the calls are decided at what is returned."""

    class Program(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))

    libc = ctypes.CDLL(None, use_errno=True)
    code = _filter()
    buffer = ctypes.create_string_buffer(code)
    program = Program(len(code) // 8, ctypes.cast(buffer, ctypes.c_void_p))
    if libc.prctl(38, 1, 0, 0, 0) != 0:  # no new privileges
        raise OSError(ctypes.get_errno(), "prctl")
    listener = libc.syscall(_SECCOMP, 1, 8, ctypes.byref(program))  # set a filter, with a new listener
    if listener < 0:
        raise OSError(ctypes.get_errno(), "seccomp")
    return int(listener)


def _filter() -> bytes:
    """A program for the kernel: which calls to ask about."""
    plain = [number for number, name in _NUMBERS.items() if name not in ("open", "openat")]
    opening = [(number, 1 if name == "open" else 2) for number, name in _NUMBERS.items() if name in ("open", "openat")]
    lines = [(0x20, 0, 0, 0)]  # load the number
    for number, argument in opening:  # opening counts where it makes or empties a file
        lines += [(0x15, 0, 4, number), (0x20, 0, 0, 16 + 8 * argument), (0x45, 0, 1, _CREATES)]
        lines += [(0x06, 0, 0, 0x7FC00000), (0x06, 0, 0, 0x7FFF0000)]
    for number in plain:
        lines += [(0x15, 0, 1, number), (0x06, 0, 0, 0x7FC00000)]
    lines.append((0x06, 0, 0, 0x7FFF0000))
    return b"".join(struct.pack("HBBI", *line) for line in lines)


# ---------------------------------------------------------------- the process that decides


class _Judge:
    """Counts a job's steps and does to it what is planned."""

    def __init__(self, plan: Plan, job: int) -> None:
        self._plan, self._job = plan, job
        self._watched = tuple(os.path.realpath(folder) for folder in plan.watched)
        self._waited = False
        self.steps: list[str] = []

    def _stand_still(self) -> None:
        self._waited = True
        sign, until = Path(self._watched[0]) / ".waiting", time.monotonic() + self._plan.wait
        sign.with_name(".waiting.new").write_text(str(self._job), encoding="utf-8")
        sign.with_name(".waiting.new").rename(sign)
        while sign.exists() and time.monotonic() < until:
            time.sleep(0.02)
        sign.unlink(missing_ok=True)

    def decide(self, listener: int) -> None:
        """Answer one call."""
        notice = bytearray(_NOTICE.size)
        try:
            fcntl.ioctl(listener, _RECEIVE, notice)
        except OSError:  # the job is gone meanwhile
            return
        number, task, _, call, _, _, *arguments = _NOTICE.unpack(notice)
        name, refused = _NUMBERS[call], 0
        place = self._place(name, task, arguments)
        if place is not None:
            self.steps.append(f"{name} {place}")
            if len(self.steps) == self._plan.kill_at:
                self._tear(name, task, arguments)
                os.kill(self._job, signal.SIGKILL)
                return
            if self._plan.wait_at is not None and self._plan.wait_at in place and not self._waited:
                self._stand_still()
            start = self._plan.refuse_from
            if start is not None and len(self.steps) >= start and not name.startswith(("unlink", "rmdir", "fchmod")):
                refused = -self._plan.error
        with suppress(OSError):
            fcntl.ioctl(listener, _ANSWER, bytearray(struct.pack("QqiI", number, 0, refused, 0 if refused else _GO_ON)))

    def _place(self, name: str, task: int, arguments: Sequence[int]) -> str | None:
        """What a call would change, below a watched folder; None for anything else."""
        where = _CALLS[name][2]
        try:
            if where == "fd":
                if arguments[0] < _FIRST_FD:
                    return None
                path = str(Path(f"/proc/{task}/fd/{arguments[0]}").readlink())
                if path.startswith("socket:"):
                    return "socket" if self._plan.sockets and name in _SENDS else None
            else:
                path = _path(task, *(None if i is None else arguments[i] for i in where))
        except OSError:
            return None
        return next((os.path.relpath(path, w) for w in self._watched if f"{path}/".startswith(f"{w}/")), None)

    def _tear(self, name: str, task: int, arguments: Sequence[int]) -> None:
        """Let the first half of a write arrive, as when the machine stops in the middle of it."""
        if name not in ("write", "pwrite64"):
            return
        fd, address, size = arguments[:3]
        try:
            with Path(f"/proc/{task}/mem").open("rb", buffering=0) as memory:
                memory.seek(address)
                half = memory.read(size // 2)
            flags = dict(line.split(":\t") for line in Path(f"/proc/{task}/fdinfo/{fd}").read_text().splitlines()[:2])
            start = arguments[3] if name == "pwrite64" else int(flags["pos"])
            target = os.open(f"/proc/{task}/fd/{fd}", os.O_WRONLY)
            try:
                os.pwrite(target, half, start)
            finally:
                os.close(target)
        except OSError:  # a socket, a pipe
            return


def _path(task: int, folder: int | None, address: int | None) -> str:
    assert address is not None
    with Path(f"/proc/{task}/mem").open("rb", buffering=0) as memory:
        memory.seek(address)
        text = b""
        while b"\0" not in text and len(text) < 8192:
            text += memory.read(4096 - (address + len(text)) % 4096)
    path = os.fsdecode(text.partition(b"\0")[0])
    if not os.path.isabs(path):  # noqa: PTH117 - of another process
        at = None if folder is None else ctypes.c_int(folder & 0xFFFFFFFF).value
        base = f"/proc/{task}/cwd" if at in (None, _AT_FOLDER) else f"/proc/{task}/fd/{at}"
        path = str(Path(base).readlink() / path)
    head, tail = os.path.split(os.path.normpath(path))
    return os.path.join(os.path.realpath(head), tail)  # noqa: PTH118


def _run(function: Any, arguments: Mapping[str, Any], plan: Plan) -> dict[str, Any]:
    here, there = socket.socketpair()
    with tempfile.TemporaryFile() as words:
        job = os.fork()
        if job == 0:
            here.close()
            os.dup2(words.fileno(), 1)
            os.dup2(words.fileno(), 2)
            _child(function, arguments, plan, there)
        there.close()
        steps = _watch(plan, job, here)
        _, status = os.waitpid(job, 0)
        here.close()
        words.seek(0)
        said = words.read().decode("utf-8", "replace")
    return {"code": os.waitstatus_to_exitcode(status), "steps": steps, "said": said}


def _watch(plan: Plan, job: int, here: socket.socket) -> list[str]:
    """Decide until the job is over."""
    if plan.kill_after is not None:
        signal.signal(signal.SIGALRM, lambda *_: os.kill(job, signal.SIGKILL))
        signal.setitimer(signal.ITIMER_REAL, plan.kill_after)
    try:
        if not (plan.watched or plan.sockets):
            here.recv(1)  # until the job is over: nothing is ever sent
            os.waitid(os.P_PID, job, os.WEXITED | os.WNOWAIT)
            return []
        _, descriptors, _, _ = socket.recv_fds(here, 1, 1)
        if not descriptors:  # ended before it began
            return []
        (listener,) = descriptors
        judge, ask = _Judge(plan, job), select.poll()
        ask.register(listener, select.POLLIN)
        try:
            while True:
                for _, event in ask.poll():
                    if event & select.POLLIN:
                        judge.decide(listener)
                    elif event & (select.POLLHUP | select.POLLERR):
                        return judge.steps
        finally:
            os.close(listener)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _serve(module: Any, answers: Any) -> None:
    _say("ready", answers)
    for line in sys.stdin:
        asked = json.loads(line)
        if "prepare" in asked:
            getattr(module, asked["prepare"])(**asked["arguments"])
            _say("prepared", answers)
        else:
            _say(_run(getattr(module, asked["function"]), asked["arguments"], Plan(**asked["plan"])), answers)


def _say(what: Any, answers: Any) -> None:
    answers.write(json.dumps(what) + "\n")
    answers.flush()


if __name__ == "__main__":
    # Answers have a place of their own: what imports print must not be taken for one.
    own = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for name in sys.argv[2:]:
        importlib.import_module(name)
    _serve(importlib.import_module(sys.argv[1]), own)
