"""Tryton's JSON-RPC over HTTP: one session, no retries; every failure named by what it means for the request.

What a failure means is what counts here: after some the server surely did nothing, after others nobody knows.
"""

from __future__ import annotations

import base64
from importlib import import_module
from typing import Any

from csql_ml.errors import DeliveryError, MissingExtraError
from csql_ml.handoff.http_answers import never_sent, nothing_sent_yet, retry_after
from csql_ml.handoff.sink import BatchRejected, TransientError
from csql_ml.handoff.tryton.refusals import masked
from csql_ml.handoff.tryton.values import decoded, encoded

#: Statuses after which the server has done nothing.
_NOT_TAKEN_UP = (425, 429)
#: Statuses of a server, or of a proxy before it, that may pass.
_MAY_PASS = (408, 500, 502, 503, 504, 520, 522, 524)


class TrytonRpc:
    """A session with one database of a server.

    Parameters
    ----------
    timeouts
        Seconds to connect, and to wait for an answer.
    """

    def __init__(self, url: str, database: str, user: str, password: str, timeouts: tuple[float, float]) -> None:
        try:
            self._requests: Any = import_module("requests")
        except ImportError as error:
            raise MissingExtraError("the tryton sink", "tryton") from error
        self.url = url.rstrip("/")
        self._address = f"{self.url}/{database}/rpc/"
        self._database = database
        self._user = user
        self._password = password
        self.timeouts = timeouts
        self._session: str | None = None
        self._http: Any = self._requests.Session()

    def __repr__(self) -> str:
        return f"TrytonRpc({self.url!r}, {self._database!r})"

    def read(self, method: str, *params: Any, context: dict[str, Any] | None = None) -> Any:
        """Call a method that changes no record, such as ``model.party.party.search_read``.

        Raises
        ------
        TransientError
            It may pass; nothing was done.
        DeliveryError
            It will not pass: password, permission, database, address.
        """
        try:
            with nothing_sent_yet():
                return self.write(method, *params, context=context)
        except BatchRejected as error:
            raise DeliveryError(
                f"{self.url} refuses {method}: {error.reason}; check the rights of {self._user}"
            ) from error

    def write(self, method: str, *params: Any, context: dict[str, Any] | None = None) -> Any:
        """Call a method; a session that has ended is begun again, once.

        Raises
        ------
        TransientError
            It may pass; ``uncertain`` says whether the request may have had its effect.
        BatchRejected
            Tryton refused the request, and undid whatever it had begun.
        DeliveryError
            As for `read`.
        """
        if self._session is None:
            self._login()
        body = {"id": 0, "method": method, "params": [*params, context or {}]}
        answer = self._post(body, self._session)
        if answer.status_code == 401:
            # Nothing was done: Tryton looks at the session before it looks at the request.
            self._login()
            answer = self._post(body, self._session)
            if answer.status_code == 401:
                self._session = None
                raise DeliveryError(f"{self.url} ends the session of {self._user} as soon as it has begun; see its log")
        return self._result(answer, method)

    def _login(self) -> None:
        self._session = None
        params = [self._user, {"password": self._password}, "en"]
        # Logging in changes no record, so that what was to follow surely had no effect.
        with nothing_sent_yet():
            answer = self._post({"id": 0, "method": "common.db.login", "params": params}, None)
            if answer.status_code == 401:
                raise DeliveryError(
                    f"{self.url} does not know user {self._user} with this password in database {self._database}; "
                    "check delivery.tryton.user and the password"
                )
            found = self._result(answer, "login")
        if not isinstance(found, list) or len(found) < 2:
            raise DeliveryError(f"{self.url} answers a login with something else; is it a Tryton server?")
        user_id, key = found[:2]
        token = base64.b64encode(f"{self._user}:{user_id}:{key}".encode()).decode("ascii")
        self._session = f"Session {token}"

    def _post(self, body: dict[str, Any], session: str | None) -> Any:
        errors = self._requests.exceptions

        def sign(request: Any) -> Any:
            # Given as a function, because a password in somebody's .netrc would replace a plain header.
            if session is not None:
                request.headers["Authorization"] = session
            return request

        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        try:
            return self._http.post(
                self._address,
                data=encoded(body),
                headers=headers,
                auth=sign,
                timeout=self.timeouts,
                allow_redirects=False,
            )
        except errors.SSLError as error:
            raise DeliveryError(
                f"{self.url} has no certificate that this machine trusts; set REQUESTS_CA_BUNDLE"
            ) from error
        except errors.ConnectTimeout as error:
            raise TransientError(f"{self.url} cannot be reached: ConnectTimeout", uncertain=False) from error
        except errors.RequestException as error:
            raise TransientError(f"{self.url}: {_kind(error)}", uncertain=not never_sent(error)) from error

    def _result(self, answer: Any, method: str) -> Any:
        status = answer.status_code
        if status in _NOT_TAKEN_UP:
            raise TransientError(f"{self.url} answers {status}", retry_after(answer.headers), uncertain=False)
        if status in _MAY_PASS:
            raise TransientError(f"{self.url} answers {status}", retry_after(answer.headers))
        if status == 413:
            raise BatchRejected("Tryton takes no request of this size")
        if status != 200:
            raise DeliveryError(f"{self.url} answers {status} to {method}: {_meaning(status)}")
        try:
            found = decoded(answer.content)
        except ValueError as error:
            raise TransientError(f"{self.url} answers {method} with something that is no JSON") from error
        if isinstance(found, dict) and found.get("error") is not None:
            self._refused(found["error"], method)
        if not isinstance(found, dict) or "result" not in found:
            raise TransientError(f"{self.url} answers {method} with something that is no answer")
        return found["result"]

    def _refused(self, error: Any, method: str) -> None:
        """The server undid everything and says why; anything but its own kinds of errors is a failure inside it."""
        kind = error[0] if isinstance(error, list) and error else None
        if kind == "ConcurrencyException":
            raise TransientError("Tryton: another request was writing at the same time", uncertain=False)
        if kind in ("UserError", "UserWarning"):
            texts = error[1] if len(error) > 1 and isinstance(error[1], list) else []
            message = texts[1] if kind == "UserWarning" and len(texts) > 1 else texts[0] if texts else "no reason given"
            raise BatchRejected(f"Tryton: {masked(str(message))}")
        if kind == "LoginException":
            raise DeliveryError(f"{self.url} asks {self._user} for more than a password; a user for csql_ml must not")
        raise BatchRejected(f"Tryton failed inside at {method} and undid the request; its log has the error")


def _kind(error: Exception) -> str:
    return "no connection" if never_sent(error) else f"no answer ({type(error).__name__})"


def _meaning(status: int) -> str:
    if status in (301, 302, 307, 308):
        return "it is moved; set delivery.tryton.url to the address it points to"
    if status == 403:
        return "the method is not allowed; install the newest configs/crm/tryton_module there"
    if status == 404:
        return "there is no such database; check delivery.tryton.url and delivery.tryton.database"
    return "check delivery.tryton.url, and the server's log"
