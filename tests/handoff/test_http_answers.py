from __future__ import annotations

import pytest
import requests
from urllib3.exceptions import ConnectTimeoutError, MaxRetryError, ProtocolError

from csql_ml.handoff.http_answers import never_sent, nothing_sent_yet, retry_after
from csql_ml.handoff.sink import TransientError

DATE = "Sun, 22 Nov 2026 08:00:00 GMT"


@pytest.mark.parametrize(
    ("asked", "date", "seconds"),
    [
        ("120", None, 120.0),
        (" 1.5 ", None, 1.5),
        ("99999999", None, 86_400.0),
        ("Sun, 22 Nov 2026 08:00:30 GMT", DATE, 30.0),
        ("Thu, 01 Jan 1970 00:00:00 GMT", DATE, 0.0),
        ("Sun, 22 Nov 2026 08:00:30 GMT", None, None),
        ("Sun, 22 Nov 2026 08:00:30 GMT", "yesterday", None),
        ("soon", DATE, None),
        ("-1", None, None),
        (None, DATE, None),
    ],
)
def test_retry_after(asked: str | None, date: str | None, seconds: float | None) -> None:
    headers = {name: value for name, value in (("retry-after", asked), ("date", date)) if value is not None}
    assert retry_after(headers) == seconds


def test_requests_headers_are_found_in_any_case() -> None:
    assert retry_after(requests.structures.CaseInsensitiveDict({"Retry-After": "7"})) == 7.0


def test_a_connection_that_never_came_about_is_told_from_an_answer_that_was_lost() -> None:
    before = requests.ConnectionError(MaxRetryError(None, "/", ConnectTimeoutError("no")))  # type: ignore[arg-type]
    assert never_sent(before)
    assert not never_sent(requests.ConnectionError(ProtocolError("Connection aborted.", ConnectionResetError(104))))
    assert not never_sent(requests.ReadTimeout("slow"))
    itself = ValueError()
    itself.args = (itself,)
    assert not never_sent(itself)


def test_what_fails_before_anything_was_sent_is_certain() -> None:
    with pytest.raises(TransientError) as caught, nothing_sent_yet():
        raise TransientError("reset", 3.0)
    assert (caught.value.reason, caught.value.retry_after, caught.value.uncertain) == ("reset", 3.0, False)
