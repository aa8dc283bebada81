from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest

from csql_ml.errors import DeliveryError
from csql_ml.handoff.sink import BatchRejected, TransientError
from csql_ml.handoff.tryton.refusals import masked
from csql_ml.handoff.tryton.rpc import TrytonRpc
from tests.handoff.tryton_stub import LOGGED_IN, Answer, TrytonStub

PASSWORD = "correct-horse"
TAKE = "model.sale.opportunity.csql_take"
OK = Answer({"result": 1})


def rpc(url: str, timeout: float = 5.0) -> TrytonRpc:
    return TrytonRpc(url, "crm", "sender", PASSWORD, (timeout, timeout))


def error(kind: str, *texts: Any) -> Answer:
    return Answer({"id": 0, "error": [kind, *texts]})


#: Answer; what it means for a request that writes: the exception, and whether it may have had its effect.
MEANINGS = [
    (Answer(status=429, headers={"Retry-After": "7"}), TransientError, False, 7.0),
    (Answer(status=503, headers={"Retry-After": "3"}), TransientError, True, 3.0),
    (Answer(status=503, headers={"Retry-After": "soon"}), TransientError, True, None),
    (Answer(status=500), TransientError, True, None),
    (Answer(status=504), TransientError, True, None),
    (Answer(b"<html>busy</html>"), TransientError, True, None),
    (Answer({"id": 0}), TransientError, True, None),
    (Answer([1]), TransientError, True, None),
    (Answer({"result": {"__class__": "Decimal", "decimal": "many"}}), TransientError, True, None),
    (error("ConcurrencyException", "busy"), TransientError, False, None),
    (error("UserError", ["no", "", None]), BatchRejected, None, None),
    (error("UserWarning", ["name", "sure?", ""]), BatchRejected, None, None),
    (error("unsupported operand", "Traceback: secret"), BatchRejected, None, None),
    (Answer(status=413), BatchRejected, None, None),
    (error("LoginException", ["token", "your token", "char"]), DeliveryError, None, None),
    (Answer(status=403), DeliveryError, None, None),
    (Answer(status=404), DeliveryError, None, None),
    (Answer(status=302, headers={"Location": "/"}), DeliveryError, None, None),
]


@pytest.mark.parametrize(("answer", "kind", "uncertain", "wait"), MEANINGS)
def test_what_an_answer_means_for_a_request_that_writes(
    answer: Answer, kind: type[Exception], uncertain: bool | None, wait: float | None
) -> None:
    with TrytonStub([answer]) as stub, pytest.raises(kind) as found:
        rpc(stub.url).write(TAKE, [])
    if isinstance(found.value, TransientError):
        assert (found.value.uncertain, found.value.retry_after) == (uncertain, wait)
    assert stub.methods == ["login", "csql_take"], "one request, no retry"
    for secret in (PASSWORD, "session-key", "secret"):
        assert secret not in str(found.value)


@pytest.mark.parametrize(("answer", "kind"), [(a, k) for a, k, _, _ in MEANINGS])
def test_a_request_that_only_reads_never_has_an_effect(answer: Answer, kind: type[Exception]) -> None:
    with TrytonStub([answer]) as stub, pytest.raises((TransientError, DeliveryError)) as found:
        rpc(stub.url).read("model.party.party.search", [])
    assert isinstance(found.value, TransientError) == (kind is TransientError)
    assert not getattr(found.value, "uncertain", False)


def test_a_server_that_hangs_is_left_after_the_timeout() -> None:
    with TrytonStub([Answer(hang=True)]) as stub, pytest.raises(TransientError, match="ReadTimeout") as found:
        rpc(stub.url, timeout=0.2).write(TAKE, [])
    assert found.value.uncertain


def test_where_nobody_listens_nothing_was_sent() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    with pytest.raises(TransientError, match="no connection") as found:
        rpc(f"http://127.0.0.1:{port}").write(TAKE, [])
    assert not found.value.uncertain


def test_an_answer_lost_after_the_request_is_uncertain_but_not_while_logging_in() -> None:
    with TrytonStub([OK, Answer(hang=True)]) as stub:
        one = rpc(stub.url, timeout=0.2)
        one.write(TAKE, [])
        with pytest.raises(TransientError) as found:
            one.write(TAKE, [])
    assert found.value.uncertain
    with TrytonStub([Answer(hang=True)], logins=False) as stub, pytest.raises(TransientError) as found:
        rpc(stub.url, timeout=0.2).write(TAKE, [])
    assert not found.value.uncertain


def test_a_session_that_has_ended_is_begun_again_once() -> None:
    with TrytonStub([OK, Answer(status=401), OK]) as stub:
        one = rpc(stub.url)
        assert [one.write(TAKE, []), one.write(TAKE, [])] == [1, 1]
        assert stub.methods == ["login", "csql_take", "csql_take", "login", "csql_take"]
    with TrytonStub([Answer(status=401), Answer(status=401)]) as stub:
        with pytest.raises(DeliveryError, match="ends the session of sender"):
            rpc(stub.url).write(TAKE, [])
        assert stub.methods == ["login", "csql_take", "login", "csql_take"]


def test_a_wrong_password_is_no_matter_of_waiting() -> None:
    with TrytonStub([Answer(status=401)], logins=False) as stub, pytest.raises(DeliveryError) as found:
        rpc(stub.url).read("x")
    assert "does not know user sender with this password in database crm" in str(found.value)
    assert PASSWORD not in str(found.value)


def test_something_else_than_tryton_is_recognised() -> None:
    answer = Answer({"result": "hello"})
    with TrytonStub([answer], logins=False) as stub, pytest.raises(DeliveryError, match="is it a Tryton server"):
        rpc(stub.url).read("x")


def test_a_password_of_the_netrc_file_does_not_replace_the_session(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login somebody password else\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with TrytonStub([OK]) as stub:
        rpc(stub.url).write(TAKE, [])
    assert stub.signed == [None, "Session c2VuZGVyOjc6c2Vzc2lvbi1rZXk="]
    assert LOGGED_IN["result"][1] == "session-key"


def test_secrets_are_not_shown_by_the_session_itself() -> None:
    assert PASSWORD not in repr(rpc("https://tryton.example.com"))


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        (
            'The value "Ines" for field "Title" in record "L1 Ines" of "Opportunity" is too long (4 > 3).',
            "The value … is too long (4 > 3). (field Title)",
        ),
        ('The value "a "quoted" name" for field "Title" is bad.', "The value … is bad. (field Title)"),
        ("Something is missing.", "Something is missing."),
    ],
)
def test_refusals_show_fields_and_no_values(message: str, shown: str) -> None:
    assert masked(message) == shown
