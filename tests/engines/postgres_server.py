"""A throw-away PostgreSQL server from the system's packages, for tests.

It listens on loopback only, has a random password and its own temporary folder, and is stopped and deleted at the end.
Its defaults are hostile on purpose (another time zone, another date style, another sort order than DuckDB's), because
a customer's server may have any of them.
"""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

#: Who the server runs as when the tests run as root, whom initdb refuses.
_UNPRIVILEGED = ("postgres", "nobody")
_START_SECONDS = 60
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "shared_buffers": "64MB",
    "autovacuum": "off",
    "timezone": "America/New_York",
    "datestyle": "SQL, DMY",
    "intervalstyle": "sql_standard",
    "bytea_output": "escape",
}


class PostgresMissingError(RuntimeError):
    """No PostgreSQL server programs are installed, or they do not start; the message says what to do."""


@dataclass(frozen=True)
class Server:
    """A running server.

    Attributes
    ----------
    url
        Of an empty database, as its owner and superuser.
    folder
        Everything the server writes; ``server.log`` among it.
    """

    url: str
    folder: Path
    run_as: Mapping[str, Any]
    process: subprocess.Popen[bytes]

    def execute(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """Run one statement as the owner, and return its rows."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            cursor = connection.execute(sql, values or None)  # type: ignore[arg-type] # no literal: test tables
            return cursor.fetchall() if cursor.description else []

    def load(self, table: str, rows: Iterable[Sequence[Any]]) -> None:
        """Add rows to a table; None is NULL."""
        statement: Any = f"COPY {table} FROM STDIN"
        connect = psycopg.connect(self.url, autocommit=True)
        with connect as connection, connection.cursor() as cursor, cursor.copy(statement) as copy:
            for row in rows:
                copy.write_row(row)

    def create_reader(self, name: str = "reader") -> str:
        """URL of a user who may read the public schema and nothing else: no temporary tables either."""
        password = secrets.token_hex(8)
        database = self.url.rsplit("/", 1)[1]
        for statement in (
            f"CREATE ROLE {name} LOGIN PASSWORD '{password}'",
            f"REVOKE TEMPORARY, CREATE ON DATABASE {database} FROM PUBLIC",
            "REVOKE CREATE ON SCHEMA public FROM PUBLIC",
            f"ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO {name}",
            f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {name}",
        ):
            self.execute(statement)
        return self.url.replace(self.url.split("//")[1].split("@")[0], f"{name}:{password}")


def newest_programs() -> Path:
    """The folder with the newest installed ``initdb`` and ``postgres``.

    Raises
    ------
    PostgresMissingError
        There is none.
    """
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parent.parent.name))
    on_path = shutil.which("initdb")
    if not found and on_path is None:
        raise PostgresMissingError(
            "no PostgreSQL server is installed (looked for /usr/lib/postgresql/*/bin/initdb and on PATH); "
            "apt-get install postgresql, or run the tests with `make test-engines`"
        )
    return found[-1].parent if found else Path(str(on_path)).resolve().parent


@contextmanager
def postgres_server(*, with_ssl: bool = False, settings: Mapping[str, str] | None = None) -> Iterator[Server]:
    """Start a server on a free port of 127.0.0.1; stop and delete it in the end.

    Parameters
    ----------
    with_ssl
        Give it a self-signed certificate for ``localhost``; its file is ``folder / "server.crt"``.
    settings
        Further server settings.

    Raises
    ------
    PostgresMissingError
        The programs are absent, or the server does not start.
    """
    programs, run_as = newest_programs(), _run_as()
    folder = Path(tempfile.mkdtemp(prefix="csql-pg-"))
    process = None
    try:
        if run_as:
            os.chown(folder, run_as["user"], run_as["group"])
        password = secrets.token_hex(16)
        _initialise(programs, folder, password, run_as)
        wanted = {**_SETTINGS, **(_certificate(folder, run_as) if with_ssl else {}), **(settings or {})}
        process, port = _start(programs, folder, wanted, run_as)
        server = Server(f"postgresql://owner:{password}@127.0.0.1:{port}/postgres", folder, run_as, process)
        yield server
    finally:
        if process is not None:
            _stop(process)
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def new_database(server: Server, name: str) -> Iterator[Server]:
    """A fresh database of a running server, dropped in the end."""
    server.execute(f'CREATE DATABASE "{name}"')
    try:
        yield Server(f"{server.url.rsplit('/', 1)[0]}/{name}", server.folder, server.run_as, server.process)
    finally:
        server.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def connect_ibis(url: str, *, read_only: bool = False, schema: str | None = None) -> Any:
    """An Ibis backend whose session is in UTC, as csql_ml's own sessions are.

    Parameters
    ----------
    read_only
        Refuse every write. Without it, Ibis may make temporary tables and views (`ibis.memtable` needs them).
    schema
        The schema unqualified names are looked up in.
    """
    import ibis

    options = "-c TimeZone=UTC -c DateStyle=ISO -c IntervalStyle=postgres -c extra_float_digits=1"
    options += " -c default_transaction_read_only=on" if read_only else ""
    parts = psycopg.conninfo.conninfo_to_dict(url)
    return ibis.postgres.connect(
        host=parts["host"],
        port=int(parts["port"] or 5432),
        user=parts["user"],
        password=parts["password"],
        database=parts["dbname"],
        schema=schema,
        options=options,
    )


# ---------------------------------------------------------------- starting and stopping


def _run_as() -> dict[str, Any]:
    """Arguments of `subprocess` that give up root; empty for everybody else."""
    if os.geteuid() != 0:
        return {}
    for name in _UNPRIVILEGED:
        try:
            user = pwd.getpwnam(name)
        except KeyError:
            continue
        return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    raise PostgresMissingError(f"PostgreSQL does not run as root, and there is no user {' or '.join(_UNPRIVILEGED)}")


def _run(command: list[str | Path], folder: Path, run_as: Mapping[str, Any]) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, **run_as)
    if done.returncode:
        raise PostgresMissingError(f"{Path(command[0]).name} failed: {done.stderr.strip() or done.stdout.strip()}")


def _initialise(programs: Path, folder: Path, password: str, run_as: Mapping[str, Any]) -> None:
    secret = folder / "password"
    secret.write_text(password)
    if run_as:
        os.chown(secret, run_as["user"], run_as["group"])
    options = [f"--pgdata={folder / 'data'}", "--username=owner", f"--pwfile={secret}", "--auth=scram-sha-256"]
    options += ["--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"]
    if _major_version(programs) >= 15:  # older ones sort by the system's locales only, which may not be installed
        options += ["--locale-provider=icu", "--icu-locale=en-US"]
    _run([programs / "initdb", *options], folder, run_as)
    secret.unlink()


def _major_version(programs: Path) -> int:
    done = subprocess.run([programs / "postgres", "--version"], capture_output=True, text=True, check=True)
    return int(done.stdout.split("(PostgreSQL) ")[1].split(".")[0].split()[0])


def _certificate(folder: Path, run_as: Mapping[str, Any]) -> dict[str, str]:
    """Settings of a server with a self-signed certificate for localhost."""
    key, certificate = folder / "server.key", folder / "server.crt"
    command = ["openssl", "req", "-new", "-x509", "-nodes", "-days", "2", "-newkey", "rsa:2048", "-subj"]
    _run([*command, "/CN=localhost", "-keyout", key, "-out", certificate], folder, run_as)
    key.chmod(0o600)
    return {"ssl": "on", "ssl_cert_file": str(certificate), "ssl_key_file": str(key)}


def _start(
    programs: Path, folder: Path, settings: Mapping[str, str], run_as: Mapping[str, Any]
) -> tuple[subprocess.Popen[bytes], int]:
    """Start on a free port; another program may take it before the server does, so try a few."""
    chosen = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    for _ in range(5):
        port = _free_port()
        with (folder / "server.log").open("ab") as log:
            command = [programs / "postgres", "-D", folder / "data", "-p", str(port), *chosen]
            process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, **run_as)
        if _answers(process, programs, port):
            return process, port
        _stop(process)
    raise PostgresMissingError(f"PostgreSQL does not start: {(folder / 'server.log').read_text()[-2000:]}")


def _free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


def _answers(process: subprocess.Popen[bytes], programs: Path, port: int) -> bool:
    def ready() -> bool:
        command = [programs / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port)]
        return subprocess.run(command, check=False).returncode == 0

    return _wait(lambda: process.poll() is not None or ready()) and process.poll() is None


def _wait(done: Callable[[], bool]) -> bool:
    until = time.monotonic() + _START_SECONDS
    while time.monotonic() < until:
        if done():
            return True
        time.sleep(0.05)
    return False


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Stop at once: nothing of it is kept."""
    if process.poll() is None:
        process.send_signal(signal.SIGQUIT)
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
