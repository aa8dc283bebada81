"""What keeps a Tryton server from taking leads safely: asked of the server, before anything is sent."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from csql_ml.config.tryton import Tryton
from csql_ml.handoff.fields import Kind
from csql_ml.handoff.note import Note
from csql_ml.handoff.sink import Finding
from csql_ml.handoff.tryton.mapping import MODELS

#: What ``csql_ready`` of the Tryton module answers.
Readiness = Mapping[str, Any]
#: Version of what module and adapter expect of each other.
INTERFACE = 1


def findings(
    ready: Mapping[Kind, Readiness | None], settings: Tryton, currency: str, lead_source: str
) -> list[Finding]:
    """Everything that speaks against delivering; a refusal can be overridden by its name, at one's own risk."""
    found = [*_address(settings)]
    for kind, answer in ready.items():
        if answer is None:
            found += _no_module()
            break
        found += [*_module(kind, answer), *_access(kind, answer, settings)]
    first = next((answer for answer in ready.values() if answer is not None), None)
    if first is not None:
        found += [*_accounts(first, settings), *_company(first, settings, currency)]
        if "lead" in ready and lead_source not in first["lead_sources"]:
            message = Note(
                "there is no lead source {source}; add it in Tryton under Sales, Configuration, Lead Sources",
                source=repr(lead_source),
            )
            found.append(Finding("lead_source", "refuse", message))
    return found


def _address(settings: Tryton) -> Iterator[Finding]:
    parts = urlsplit(settings.url or "")
    if parts.scheme == "http" and parts.hostname not in ("localhost", "127.0.0.1", "::1"):
        message = Note(
            "{url} would carry the password in the clear; use https in delivery.tryton.url",
            url=f"http://{parts.hostname}",
        )
        yield Finding("plain_http", "refuse", message)
    if settings.password_file is not None and os.name != "posix":
        message = Note("whether others can read delivery.tryton.password_file is not checked here")
        yield Finding("password_file", "warn", message)


def _no_module() -> Iterator[Finding]:
    message = Note(
        "the module csql is not installed in the database; install configs/crm/tryton_module on the server and run: "
        "trytond-admin -d DATABASE -u csql"
    )
    yield Finding("no_module", "refuse", message)
    message = Note("without the module there is no key that the database keeps unique")
    yield Finding("no_unique_key", "refuse", message)


def _module(kind: Kind, ready: Readiness) -> Iterator[Finding]:
    if ready["interface"] != INTERFACE:
        message = Note(
            "the module csql speaks version {version}; install configs/crm/tryton_module on the server and run: "
            "trytond-admin -d DATABASE -u csql",
            version=str(ready["interface"]),
        )
        yield Finding("module_version", "refuse", message)
    if not ready["unique"]:
        message = Note(
            "the database does not keep csql_key of {model} unique, so a lost answer could make a record twice; remove "
            "equal keys there and run: trytond-admin -d DATABASE -u csql",
            model=MODELS[kind],
        )
        yield Finding("no_unique_key", "refuse", message)


def _access(kind: Kind, ready: Readiness, settings: Tryton) -> Iterator[Finding]:
    needed = {MODELS[kind]: ("read", "create", "write"), "party.party": ("read",)}
    if settings.create_accounts:
        needed["party.party"] = ("read", "create")
    for model, rights in needed.items():
        missing = [right for right in rights if not ready["access"][model][right]]
        if missing:
            message = Note(
                "the user may not {rights} {model}; add it to the group CSQL Delivery",
                rights=tuple(missing),
                model=model,
            )
            yield Finding("permission", "refuse", message)


def _accounts(ready: Readiness, settings: Tryton) -> Iterator[Finding]:
    field = "code" if settings.accounts_by == "code" else "csql_account_id"
    if not ready["account_unique"][field]:
        message = Note(
            "the database does not keep {field} of party.party unique, so an account may be several parties",
            field=field,
        )
        yield Finding("account_not_unique", "refuse" if settings.create_accounts else "warn", message)


def company_of(ready: Readiness, settings: Tryton) -> Mapping[str, Any] | None:
    """The company to deliver to: by name, else the user's own, else the only one."""
    companies = ready["companies"]
    if settings.company is not None:
        return next((one for one in companies if one["name"] == settings.company), None)
    own = next((one for one in companies if one["id"] == ready["user_company"]), None)
    return own or (companies[0] if len(companies) == 1 else None)


def _company(ready: Readiness, settings: Tryton, currency: str) -> Iterator[Finding]:
    company = company_of(ready, settings)
    if company is None:
        message = Note(
            "which company is meant? Tryton has {companies}; set delivery.tryton.company, or the user's own company",
            companies=tuple(sorted(repr(one["name"]) for one in ready["companies"])) or Note("none yet"),
        )
        yield Finding("company", "refuse", message)
    elif currency not in ready["currencies"]:
        message = Note(
            "company.currency is {currency}, which Tryton does not know; add it there, or correct the configuration",
            currency=currency,
        )
        yield Finding("currency", "refuse", message)
    elif company["currency"] != currency:
        message = Note(
            "leads are in {ours}, {company} counts in {theirs}; Tryton needs its rates",
            ours=currency,
            company=company["name"],
            theirs=company["currency"],
        )
        yield Finding("currency_differs", "warn", message)
