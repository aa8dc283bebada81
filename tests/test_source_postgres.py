"""PostgreSQL as a source, where no server is needed; tests/engines/test_postgres_source.py asks a real one."""

from __future__ import annotations

import sys

import pytest

from csql_ml.config import Config
from csql_ml.errors import MissingExtraError, SourceError
from csql_ml.source_postgres import Postgres, relation_of
from csql_ml.sources import open_warehouse

pytest.importorskip("psycopg")


class ServerError(Exception):
    def __init__(self, sqlstate: str | None, text: str) -> None:
        super().__init__(text)
        self.sqlstate = sqlstate


@pytest.mark.parametrize(
    ("state", "text", "shown"),
    [
        ("22P02", 'invalid input syntax for type integer: "secret"', "a value cannot be converted"),
        ("P0001", "secret is not welcome", "a function of the database raised an error"),
        ("57014", "canceling statement due to statement timeout", "raise statement_timeout for this user"),
        ("57P01", "terminating connection due to administrator command", "the connection was lost"),
        (None, "server closed the connection unexpectedly\n\tThis probably means", "was lost (server closed the conn"),
        ("42P01", 'relation "gone" does not exist\nLINE 1: SELECT secret', 'relation "gone" does not exist'),
    ],
)
def test_reasons_are_one_line_without_values(state: str | None, text: str, shown: str) -> None:
    reason = Postgres.reason(ServerError(state, text))
    assert shown in reason
    assert "secret" not in reason
    assert "\n" not in reason


def test_without_the_driver_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'csql-ml\[postgres\]'"):
        open_warehouse(Config.model_validate({"data": {"database": "postgres://host/db"}}))


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgres://me:secr%40et@127.0.0.1:1/db", r"postgres://127\.0\.0\.1:1/db cannot be opened: connection fail"),
        ("postgresql://127.0.0.1:1/db?user=me&password=secret", r"postgres://127\.0\.0\.1:1/db cannot be opened"),
        ("postgres://me:secret%zz@127.0.0.1/db", r"not a URL that PostgreSQL understands; .* %2F for a / in the pass"),
        ("postgres://me:se/cret@127.0.0.1:1/db", r"not a URL that PostgreSQL understands"),
        ("postgres://me:1/secret@127.0.0.1:1/db", r"not a URL that PostgreSQL understands"),
        ("postgres://me:se@cret@127.0.0.1:1/db", r"not a URL that PostgreSQL understands"),
        ("postgres://me:cret@127.0.0.1:1/db?sslmode=none", r"cannot be opened: .*invalid sslmode value"),
    ],
)
def test_an_address_that_does_not_answer_keeps_the_password_to_itself(url: str, shown: str) -> None:
    with pytest.raises(SourceError, match=shown) as caught:
        open_warehouse(Config.model_validate({"data": {"database": url}}))
    assert "cret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_names_are_quoted_and_queries_closed() -> None:
    assert relation_of('crm.Kunden "neu"', None) == '"crm"."Kunden ""neu"""'
    assert relation_of(None, "SELECT 1 -- all of them;\n;") == "(SELECT 1 -- all of them;\n\n) AS q"
