"""A real Tryton server on a free port of 127.0.0.1, over SQLite: the CRM that end-to-end tests deliver to.

Tryton lives in an environment of its own (`.venv-tryton`, made by `make test-engines`), because its packages are none
of the project's. The database is prepared once, which takes half a minute, and copied for every server.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

ROOT = Path(__file__).resolve().parents[2]
#: Password of everybody in the test database.
PASSWORD = "only-for-tests-8"
DATABASE = "crm"
_START_SECONDS = 60


class TrytonMissingError(RuntimeError):
    """Tryton is not installed for the tests; the message has the command."""


def tryton_python() -> Path:
    """The Python that Tryton is installed in: ``CSQL_TRYTON_PYTHON``, or that of ``.venv-tryton``.

    Raises
    ------
    TrytonMissingError
        There is none.
    """
    found = Path(os.environ.get("CSQL_TRYTON_PYTHON") or ROOT / ".venv-tryton/bin/python")
    if not found.exists():
        raise TrytonMissingError("no Tryton server is installed; `make test-engines` installs it in .venv-tryton")
    return found


def prepare(folder: Path, *, accounts: int = 500) -> tuple[Path, Path]:
    """Two databases with a company, its people and accounts: without the module ``csql``, and with it."""
    bare = _database(folder / "bare", None, "sale_opportunity")
    full = _database(folder / "full", bare, "csql")
    for file in (bare, full):
        config = _configuration(file.parent, 0)
        _run([tryton_python(), ROOT / "tests/crm/tryton_company.py", config, DATABASE, str(accounts), PASSWORD], {})
        with closing(sqlite3.connect(file)) as connection:
            # Everything into the one file that is copied.
            connection.execute("PRAGMA journal_mode = DELETE")
    return bare, full


def _database(folder: Path, base: Path | None, module: str) -> Path:
    """A database with a module and all it needs, new or from one that has most of it."""
    folder.mkdir(parents=True)
    file, password = folder / f"{DATABASE}.sqlite", folder / "password"
    file.write_bytes(b"" if base is None else base.read_bytes())
    password.write_text(PASSWORD)
    update = ["-d", DATABASE, "-u", module, "--activate-dependencies", "--email", "admin@example.com"]
    command = [tryton_python().parent / "trytond-admin", "-c", _configuration(folder, 0), *update]
    _run(command, {"TRYTONPASSFILE": str(password)})
    return file


def _run(command: list[Any], environment: dict[str, str]) -> None:
    done = subprocess.run(command, env=_environment() | environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{Path(command[0]).name} failed: {(done.stderr or done.stdout)[-2000:]}")


def _environment() -> dict[str, str]:
    """Nothing of the machine's own settings for Tryton, nor of the tests' Python."""
    return {n: v for n, v in os.environ.items() if not n.startswith(("TRYTON", "PYTHON", "CSQL"))}


def _configuration(folder: Path, port: int) -> Path:
    path = folder / "trytond.conf"
    path.write_text(f"[database]\nuri = sqlite://\npath = {folder}\n[web]\nlisten = 127.0.0.1:{port}\n")
    return path


@dataclass
class TrytonServer:
    """A running server; ``file`` is its database, to look into and to break."""

    port: int
    folder: Path
    process: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def file(self) -> Path:
        return self.folder / f"{DATABASE}.sqlite"

    def sql(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """Run one statement in the database, behind the server's back."""
        with closing(sqlite3.connect(self.file, timeout=30)) as connection, connection:
            return connection.execute(statement, values).fetchall()

    def log(self) -> str:
        return (self.folder / "server.log").read_text(encoding="utf-8")


@contextmanager
def tryton_server(template: Path, folder: Path) -> Iterator[TrytonServer]:
    """Start a server over a copy of a prepared database; stopped in the end."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(template, folder / f"{DATABASE}.sqlite")
    process, port = _start(folder)
    try:
        yield TrytonServer(port, folder, process)
    finally:
        _stop(process)


def _start(folder: Path) -> tuple[subprocess.Popen[bytes], int]:
    """Another program may take the port before the server does, so try a few."""
    for _ in range(5):
        with socket.socket() as listening:
            listening.bind(("127.0.0.1", 0))
            port = int(listening.getsockname()[1])
        command = [tryton_python().parent / "trytond", "-c", _configuration(folder, port), "-d", DATABASE]
        with (folder / "server.log").open("ab") as log:
            process = subprocess.Popen(command, env=_environment(), stdout=log, stderr=log)
        if _answers(process, port):
            return process, port
        _stop(process)
    raise RuntimeError(f"Tryton does not start: {(folder / 'server.log').read_text()[-2000:]}")


def _answers(process: subprocess.Popen[bytes], port: int) -> bool:
    body = {"id": 0, "method": "common.server.version", "params": []}
    until = time.monotonic() + _START_SECONDS
    while time.monotonic() < until and process.poll() is None:
        try:
            return requests.post(f"http://127.0.0.1:{port}/rpc/", json=body, timeout=5).ok
        except requests.ConnectionError:
            time.sleep(0.05)
    return False


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
