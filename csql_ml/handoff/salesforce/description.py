"""What Salesforce says of an object: its fields, their lengths and values, and what the user may do with them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from csql_ml.handoff.salesforce.api import Api
from csql_ml.handoff.sink import TransientError

NUMBERS = ("currency", "double", "int", "percent")
TEXTS = ("combobox", "email", "multipicklist", "phone", "picklist", "string", "textarea", "url")
PICKLISTS = ("picklist", "multipicklist")


@dataclass(frozen=True)
class RemoteField:
    """One field there.

    Attributes
    ----------
    length
        Most characters of a text.
    scale
        Decimals of a number.
    required
        A new record needs it, and nothing fills it in.
    values
        Active values of a picklist.
    """

    name: str
    type: str
    length: int
    scale: int
    unique: bool
    external_id: bool
    case_sensitive: bool
    createable: bool
    updateable: bool
    required: bool
    restricted: bool
    html: bool
    values: frozenset[str]


@dataclass(frozen=True)
class Description:
    """One object there."""

    name: str
    createable: bool
    updateable: bool
    fields: Mapping[str, RemoteField]


def described(api: Api, name: str) -> Description:
    """Ask for an object; fields that the user may not see are not there."""
    given = api.request("GET", f"/sobjects/{name}/describe").json()
    try:
        fields = {f["name"]: _field(f) for f in given["fields"]}
        return Description(given["name"], bool(given["createable"]), bool(given["updateable"]), fields)
    except (KeyError, TypeError):
        raise TransientError(f"the description of {name} is incomplete") from None


def _field(given: Mapping[str, Any]) -> RemoteField:
    return RemoteField(
        name=given["name"],
        type=given["type"],
        length=int(given.get("length") or 0),
        scale=int(given.get("scale") or 0),
        unique=bool(given.get("unique")),
        external_id=bool(given.get("externalId") or given.get("idLookup")),
        case_sensitive=bool(given.get("caseSensitive")),
        createable=bool(given.get("createable")),
        updateable=bool(given.get("updateable")),
        required=bool(given.get("createable")) and not (given.get("nillable") or given.get("defaultedOnCreate")),
        restricted=bool(given.get("restrictedPicklist")),
        html=bool(given.get("htmlFormatted")),
        values=frozenset(v["value"] for v in given.get("picklistValues") or () if v.get("active")),
    )
