"""Account executives of the source and users there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from csql_ml.config.salesforce import Salesforce
from csql_ml.handoff.salesforce.api import Api
from csql_ml.handoff.salesforce.soql import among


class Owners:
    """Translates both ways; what was asked once is not asked again.

    Only active users count: a record cannot be given to another one.
    """

    def __init__(self, api: Api, settings: Salesforce) -> None:
        self._api = api
        self._settings = settings
        self._users: dict[str, str | None] = {}
        self._names: dict[str, str | None] = {}

    def users(self, names: Iterable[str]) -> Mapping[str, str | None]:
        """User ids of account executives; None where there is no active user, or more than one."""
        new = {n for n in names if n not in self._users}
        mapped = {n: self._settings.owners[n] for n in new if n in self._settings.owners}
        others = new - set(mapped)
        if mapped:
            active = self._active(mapped.values())
            self._users |= {n: active.get(user[:15]) for n, user in mapped.items()}
        if others:
            self._users |= dict.fromkeys(others) | self._by_field(others)
        return self._users

    def reason(self, name: str | None) -> str | None:
        """Why a lead of this executive cannot be given to anybody; None: it can."""
        if name is None:
            if self._settings.default_owner:
                return None
            return (
                "no account executive, so nobody would own it; name some under delivery.routing, or set "
                "delivery.salesforce.default_owner"
            )
        if self.users([name])[name] is None:
            return (
                f"account executive {name} is no active user of Salesforce; look at owners and owner_field of "
                "delivery.salesforce"
            )
        return None

    def user(self, name: str | None) -> str | None:
        """The user id of an executive, or of the default owner where there is none."""
        return self._settings.default_owner if name is None else self.users([name])[name]

    def names(self, ids: Iterable[str]) -> Mapping[str, str | None]:
        """Executives of user ids; None for users that are nobody's."""
        known = {user[:15]: name for name, user in self._settings.owners.items()}
        new = {i for i in ids if i and i not in self._names}
        self._names |= {i: known.get(i[:15]) for i in new}
        field = self._settings.owner_field
        # Queues own records too; their ids begin otherwise.
        open_ids = [i for i in new if self._names[i] is None and i.startswith("005")]
        if field and open_ids:
            for row in among(self._api, f"SELECT Id, {field} FROM User", "Id", open_ids):
                self._names[row["Id"]] = row.get(field) or None
        return self._names

    def inactive(self, ids: Iterable[str]) -> list[str]:
        """Those of the user ids that no active user has."""
        asked = list(ids)
        active = self._active(asked)
        return [i for i in asked if i[:15] not in active]

    def _active(self, ids: Iterable[str]) -> dict[str, str]:
        """Active users by the first 15 characters of their ids."""
        rows = among(self._api, "SELECT Id FROM User", "Id", ids, " AND IsActive = true")
        return {row["Id"][:15]: row["Id"] for row in rows}

    def _by_field(self, names: set[str]) -> dict[str, str | None]:
        field = self._settings.owner_field
        if not field:
            return {}
        rows = among(self._api, f"SELECT Id, {field} FROM User", field, names, " AND IsActive = true")
        found: dict[str, str | None] = {}
        for row in rows:
            # Salesforce compares text without regard to case.
            name = next((n for n in names if n.casefold() == str(row[field]).casefold()), None)
            if name is not None:
                found[name] = None if name in found else row["Id"]
        return found
