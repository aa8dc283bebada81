"""Reading records: by a unique property, by id, by search; and what is associated with them.

A search finds what HubSpot has indexed, some seconds behind; batch reads see what is there. Keys are looked up by
batch reads therefore, and by search only where the key property is not unique, which batch reads refuse.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from csql_ml.handoff.hubspot.api import Content, HubSpotApi, reason, understood
from csql_ml.handoff.hubspot.values import milliseconds
from csql_ml.handoff.sink import TransientError

#: Most records of one request; with history HubSpot takes half of them.
BATCH, HISTORY_BATCH = 100, 50
#: Most results of one page of a search.
PAGE = 200
MODIFIED = "hs_lastmodifieddate"


@dataclass(frozen=True)
class Found:
    """A record of HubSpot.

    Attributes
    ----------
    created
        Milliseconds since 1970.
    history
        Of each property asked for: (milliseconds since 1970, value), oldest first.
    """

    id: str
    properties: Mapping[str, str | None]
    created: int
    history: Mapping[str, tuple[tuple[int, str], ...]] = field(default_factory=dict)

    def __getitem__(self, name: str) -> str:
        """Text of a property; "" where it is empty."""
        return self.properties.get(name) or ""

    @property
    def modified(self) -> int:
        """When it was last changed, in milliseconds since 1970."""
        return milliseconds(self[MODIFIED]) or self.created


@dataclass(frozen=True)
class Linked:
    """A record that another one is associated with, and how: ids of association types, and their labels."""

    id: str
    types: frozenset[int]
    labels: frozenset[str]


class Objects:
    """Reads records of any object type."""

    def __init__(self, api: HubSpotApi) -> None:
        self._api = api

    def by_value(
        self, object_type: str, name: str, values: Iterable[str], properties: Iterable[str], *, unique: bool
    ) -> dict[str, list[Found]]:
        """Records whose property has one of these values; the oldest of each value first."""
        wanted, asked = list(dict.fromkeys(values)), sorted({name, *properties})
        found: dict[str, list[Found]] = {}
        for part in _parts(wanted, BATCH):
            records = (
                self._batch(object_type, part, asked, name) if unique else self._any_of(object_type, name, part, asked)
            )
            for one in records:
                found.setdefault(one[name], []).append(one)
        # HubSpot compares some texts without their case; keys are compared with it.
        return {v: sorted(found[v], key=lambda r: (r.created, int(r.id))) for v in wanted if v in found}

    def by_id(
        self, object_type: str, ids: Iterable[str], properties: Iterable[str], history: Iterable[str] = ()
    ) -> dict[str, Found]:
        """Records by id; those that are not there any more are left out."""
        past, found = sorted(history), {}
        for part in _parts(sorted(set(ids), key=int), HISTORY_BATCH if past else BATCH):
            for one in self._batch(object_type, part, sorted(properties), None, past):
                found[one.id] = one
        return found

    def linked(self, from_type: str, to_type: str, ids: Iterable[str]) -> dict[str, list[Linked]]:
        """Records of another type that each of these is associated with, in the order of their ids."""
        path = f"/crm/v4/associations/{from_type}/{to_type}/batch/read"
        found: dict[str, dict[str, Linked]] = {}
        for part in _parts(sorted(set(ids), key=int), BATCH):
            inputs: list[Content] = [{"id": one} for one in part]
            while inputs:
                answer = self._api.ask(path, {"inputs": inputs})
                with understood(path):
                    _only_absent(path, answer)
                    inputs = _note_links(answer, found)
        return {one: sorted(links.values(), key=lambda link: int(link.id)) for one, links in found.items()}

    def changed(
        self, object_type: str, since: int, properties: Iterable[str], conditions: Sequence[Content] = ()
    ) -> Iterator[Found]:
        """Records that were made or changed at or after a time (milliseconds since 1970), in the order of that time.

        A new record counts as changed when it was made. HubSpot gives 10,000 results to one search, sorts by one
        property and pages by counting, so that what changes meanwhile makes it skip. Here every request is a first
        page: from the time of the last record seen on; and where one instant fills a page, by id within it.
        """
        asked = sorted({MODIFIED, *properties})
        while True:
            page = self._search(object_type, [_at_least(MODIFIED, since), *conditions], MODIFIED, asked)
            yield from page
            if len(page) < PAGE:
                return
            newest = max(one.modified for one in page)
            if newest == since:
                yield from self._of_instant(object_type, since, asked, conditions)
                newest += 1
            since = newest

    def _of_instant(
        self, object_type: str, moment: int, asked: Sequence[str], conditions: Sequence[Content]
    ) -> Iterator[Found]:
        """All records that were changed in one millisecond, in the order of their ids."""
        last = 0
        while True:
            instant = {"propertyName": MODIFIED, "operator": "LTE", "value": str(moment)}
            after = {"propertyName": "hs_object_id", "operator": "GT", "value": str(last)}
            filters = [_at_least(MODIFIED, moment), instant, after, *conditions]
            page = self._search(object_type, filters, "hs_object_id", asked)
            yield from page
            if len(page) < PAGE:
                return
            last = max(int(one.id) for one in page)

    def _any_of(self, object_type: str, name: str, values: Sequence[str], asked: Sequence[str]) -> list[Found]:
        """All records with one of these values, page by page in the order of their ids."""
        # HubSpot wants the values of IN in lower case and finds every case of them.
        one_of = {"propertyName": name, "operator": "IN", "values": sorted({v.lower() for v in values})}
        found: list[Found] = []
        last = 0
        while True:
            after = {"propertyName": "hs_object_id", "operator": "GT", "value": str(last)}
            page = self._search(object_type, [one_of, after], "hs_object_id", asked)
            found += page
            if len(page) < PAGE:
                return found
            last = max(int(one.id) for one in page)

    def _search(self, object_type: str, filters: Sequence[Content], order: str, asked: Sequence[str]) -> list[Found]:
        answer = self._api.ask(
            f"/crm/v3/objects/{object_type}/search",
            {
                "filterGroups": [{"filters": list(filters)}],
                "sorts": [{"propertyName": order, "direction": "ASCENDING"}],
                "properties": list(asked),
                "limit": PAGE,
            },
        )
        with understood(f"/crm/v3/objects/{object_type}/search"):
            return [_found(one) for one in answer.get("results", ())]

    def _batch(
        self,
        object_type: str,
        ids: Sequence[str],
        asked: Sequence[str],
        id_property: str | None,
        history: Sequence[str] = (),
    ) -> list[Found]:
        path = f"/crm/v3/objects/{object_type}/batch/read"
        body: Content = {"inputs": [{"id": one} for one in ids], "properties": list(asked)}
        if id_property is not None:
            body["idProperty"] = id_property
        if history:
            body["propertiesWithHistory"] = list(history)
        answer = self._api.ask(path, body)
        with understood(path):
            _only_absent(path, answer)
            return [_found(one) for one in answer.get("results", ())]


def _only_absent(path: str, answer: Content) -> None:
    """A record is absent only where HubSpot says so: any other error leaves open whether it is there."""
    for error in answer.get("errors") or ():
        if error.get("category") != "OBJECT_NOT_FOUND":
            raise TransientError(f"{path}: {reason(error)}")


def _note_links(answer: Content, found: dict[str, dict[str, Linked]]) -> list[Content]:
    """Put a page of links to the others; returns what to ask for next: who has very many has pages of their own."""
    more: list[Content] = []
    for result in answer.get("results", ()):
        one = str(result["from"]["id"])
        links = map(_linked, result["to"])
        found.setdefault(one, {}).update((link.id, link) for link in links)
        if after := (result.get("paging") or {}).get("next", {}).get("after"):
            more.append({"id": one, "after": str(after)})
    return more


def _at_least(name: str, moment: int) -> Content:
    return {"propertyName": name, "operator": "GTE", "value": str(moment)}


def _found(record: Mapping[str, Any]) -> Found:
    past = record.get("propertiesWithHistory") or {}
    return Found(
        str(record["id"]),
        dict(record.get("properties") or {}),
        milliseconds(record.get("createdAt")) or 0,
        {name: _oldest_first(entries) for name, entries in past.items()},
    )


def _oldest_first(entries: Iterable[Mapping[str, Any]]) -> tuple[tuple[int, str], ...]:
    dated = ((milliseconds(str(e.get("timestamp"))), str(e.get("value") or "")) for e in entries)
    # Newest first is how HubSpot gives them; sorting keeps entries of one instant in the order they happened.
    return tuple(sorted(((at, value) for at, value in reversed(list(dated)) if at is not None), key=lambda e: e[0]))


def _linked(to: Mapping[str, Any]) -> Linked:
    types = to.get("associationTypes") or ()
    return Linked(
        str(to["toObjectId"]),
        frozenset(int(t["typeId"]) for t in types),
        frozenset(str(t["label"]) for t in types if t.get("label")),
    )


def _parts(items: Sequence[str], size: int) -> Iterator[list[str]]:
    for start in range(0, len(items), size):
        yield list(items[start : start + size])
