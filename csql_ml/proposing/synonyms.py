"""What the field calls the contract's tables and columns, declared once.

``sure`` names mean the column wherever they stand. ``likely`` ones are mapped with a remark that asks for a look.
``weak`` ones are only written as a remark: the name may as well mean something else (an MRR is no ARR).
A few German, French and Spanish names are among them. Names are compared through `csql_ml.proposing.names.phrase`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from csql_ml.contract.tables import TABLES
from csql_ml.proposing.names import phrase

SURE, LIKELY, WEAK = 0.9, 0.7, 0.45


@dataclass(frozen=True)
class Known:
    """Names of one column, separated by commas."""

    sure: str = ""
    likely: str = ""
    weak: str = ""


#: What sources of each table are called; the first one is the noun that its columns may begin with.
TABLE_NAMES: dict[str, str] = {
    "accounts": "account, customer, company, organization, organisation, org, client, tenant, workspace, kunde, "
    "kunden, "
    "firma, cliente, crm account",
    "contracts": "contract, subscription, order, license, licence, entitlement, subscription item, vertrag, vertraege, "
    "abo, abonnement, contrat, contrato, suscripcion, contract line, recurring revenue",
    "users": "user, member, login, seat holder, nutzer, benutzer, utilisateur, usuario, product user, app user",
    "events": "event, usage, feature usage, activity, track, telemetry, event log, page view, product event, nutzung, "
    "ereignis, ereignisse, evenement, evento, action",
    "tickets": "ticket, case, support ticket, issue, incident, support case, conversation, anfrage, vorgang, support",
    "nps": "nps, nps response, nps score, survey, survey response, nps survey, umfrage, enquete, encuesta, nps answer",
    "advocacy": "advocacy, advocate, reference, review, referral, testimonial, advocacy activity",
    "milestones": "milestone, qbr, qbr note, success plan, goal, objective, meilenstein, qbr outcome, business review",
    "contacts": "contact, stakeholder, person, people, kontakt, kontakte, ansprechpartner, contacto, crm contact",
    "csqls": "csql, lead, expansion lead, cs lead, cs qualified lead, upsell lead, crm lead",
    "opportunities": "opportunity, deal, verkaufschance, chance, opportunite, oportunidad, pipeline, crm opportunity",
    "coverage": "coverage, poc, pilot, coverage period, book of business, csm assignment, csm coverage, assignment",
}

_ACCOUNT = Known(
    sure="customer id, company id, org id, organization id, organisation id, tenant id, workspace id, client id, "
    "account key, account number, account no, account nr, customer number, customer no, customer nr, customer key, "
    "company key, kundennr, kundennummer, kunden nr, kunden nummer, kunden id, kunde id, mandant id, mandanten id, "
    "associated company id, associated company, associatedcompanyid, crm account id, id client, numero client, "
    "code client, nr client, nr cliente, id cliente, cliente id, numero cliente, numero de cliente, "
    "organization uuid, account uuid",
    likely="account, customer, company, tenant, workspace, org, organization, organisation, kunde, client, cliente, "
    "group id, team id, client number, parent company",
    weak="domain, email domain, external id, account name, company name, customer name, team, group",
)
_CSM = Known(
    sure="csm, customer success manager, customer success manager id, csm owner, csm owner id, success manager, "
    "success manager id, csm email, csm user id",
    likely="csm name, kundenbetreuer, betreuer, cs owner, cs manager",
    weak="account manager, account manager id, manager, chargee de compte",
)
_AE = Known(
    sure="ae, account executive, account executive id, sales owner, sales owner id, sales rep, sales rep id, ae owner, "
    "ae email",
    likely="owner id, owner, hubspot owner id, account owner, account owner id, vertriebler, commercial, comercial",
    weak="account manager, assigned to, salesperson",
)
_USER = Known(
    sure="distinct id, actor id, member id, person id, nutzer id, benutzer id, uid, id utilisateur, utilisateur id, "
    "id usuario, usuario id, user uuid, user key, login id, user",
    likely="actor, member, nutzer, benutzer, utilisateur, usuario, user email, username, user name",
    weak="email, anonymous id, device id, contact id, respondent id",
)
_CREATED = "created, created at, creation date, create date, created date, createdate, created on, date created, "
_CREATED += "creation time, erstellt am, created time, "
_CREATED += "erstellt, erstellt am, angelegt am, date creation, date de creation, cree le, fecha creacion, "
_CREATED += "fecha de creacion, created timestamp, inserted at"
_CLOSED = "closed, closed at, close date, closedate, closed date, closed on, date closed, closed time, geschlossen am, "
_CLOSED += "abgeschlossen am, date cloture, date de cloture, fecha cierre, fecha de cierre"
_MONEY = Known(
    sure="annual recurring revenue, arr amount, expected arr, new arr, incremental arr, expansion arr, arr value",
    likely="amount, deal amount, opportunity amount, betrag, montant, importe",
    weak="value, acv, annual contract value, tcv, mrr, expected revenue, hs mrr, revenue",
)
_WON = Known(sure="is won, closed won, is closed won, hs is closed won, gewonnen, gagne, ganado", likely="", weak="")
_SOURCE = Known(sure="lead source, leadsource", likely="analytics source, origin, channel, herkunft, utm source")
_START = Known(
    sure="start, starts on, starts at, begin, begin date, begins on, valid from, effective date, effective from, "
    "term start, term start date, contract start, contract start date, subscription start, subscription start date, "
    "vertragsbeginn, beginn, vertragsstart, laufzeit von, laufzeitbeginn, gueltig ab, gueltig von, startdatum, debut, "
    "date debut, date de debut, fecha inicio, fecha de inicio, inicio, service start date, started at, started on",
    likely="current period start, activation date, activated at, from, date from, period start, created at",
    weak="order date, purchase date",
)
_END = Known(
    sure="end, ends on, ends at, expiry, expiry date, expires at, expires on, expiration, expiration date, valid to, "
    "valid until, effective to, term end, term end date, contract end, contract end date, subscription end, "
    "subscription end date, vertragsende, ende, laufzeit bis, laufzeitende, gueltig bis, enddatum, fin, date fin, "
    "date de fin, echeance, date echeance, fecha fin, fecha de fin, vencimiento, fecha vencimiento, ended at, "
    "service end date",
    likely="renewal date, current period end, to, date to, period end, next renewal date, verlaengerung am",
    weak="cancelled at, canceled at, cancellation date, churn date, kuendigungsdatum, kuendigung zum",
)

SYNONYMS: dict[str, dict[str, Known]] = {
    "accounts": {
        "account_id": Known(f"id, uuid, hs object id, record id, nr, nummer, key, {_ACCOUNT.sure}", _ACCOUNT.likely),
        "name": Known(
            "account name, company name, customer name, organization name, organisation name, display name, "
            "legal name, firma, firmenname, kundenname, unternehmen, raison sociale, nom, nombre, razon social, "
            "tenant name, workspace name, client name",
            "company, customer, account, organization, kunde, client, cliente",
            "title, domain, website",
        ),
        "created_at": Known(
            "customer since, sign up date, signup date, signed up at, signup at, became customer at, kunde seit, "
            "client depuis, cliente desde, fecha alta, onboarded at, first contract date, customer start date",
            f"{_CREATED}, start date, first purchase date, activated at, onboarding date",
            "close date, first seen, updated at",
        ),
        "industry": Known("sector, branche, secteur, industria, industry name, vertical, industrie", "", "sic desc"),
        "segment": Known("customer segment, account segment, kundensegment, size segment, segment name", "tier"),
        "region": Known(
            "country, country code, billing country, land, pays, pais, region name",
            "territory, geo, market, sales region",
        ),
        "employees": Known(
            "number of employee, numberofemployee, employee count, no of employee, num employee, headcount, "
            "mitarbeiter, "
            "mitarbeiterzahl, anzahl mitarbeiter, effectif, empleados, empleado, staff count",
            "company size, size",
        ),
        "csm_id": _CSM,
        "ae_id": _AE,
        "parent_account_id": Known(
            "parent id, parent account, parent company id, parent company, hs parent company id, "
            "parent organization id, "
            "ultimate parent id, mutterkonzern",
            "parent",
        ),
    },
    "contracts": {
        "account_id": _ACCOUNT,
        "product": Known(
            "product name, product code, product id, produkt, produktname, produit, producto, sku, module name",
            "item, service, module, modul, product 2 id, offering, artikel",
            "product family, description, price id, name",
        ),
        "seats": Known(
            "licence, license, licenses, licence count, license count, licensed seat, number of seat, seat count, "
            "no of seat, num seat, num licence, num license, number of licence, number of license, contracted seat, "
            "purchased seat, seat quantity, lizenzen, lizenz, anzahl lizenzen, sieges, siege, licencias, licencia, "
            "asientos, puestos, nb licence, nombre licence, nombre de licence, user limit, licensed user",
            "quantity, user, menge, anzahl, anzahl nutzer, quantite, cantidad, user count, max user",
            "unit, count",
        ),
        "arr": Known(
            "annual recurring revenue, arr amount, annual value, annualized value, annualised value, annual amount, "
            "annualized revenue, yearly amount, annual revenue, jahreswert, ca annuel recurrent, contract arr, "
            "arr value, annual subscription value",
            "jahresbetrag, jahresumsatz, annual price, yearly price, annual fee, montant annuel, importe anual",
            "mrr, mrr amount, monthly recurring revenue, monthly amount, monthly price, monthly fee, "
            "monatsbetrag, acv, "
            "annual contract value, tcv, total contract value, amount, value, price, total, revenue, betrag, "
            "contract value, umsatz, montant, importe",
        ),
        "start_date": _START,
        "end_date": _END,
        "contract_id": Known(
            "id, subscription id, order id, order number, contract number, contract nr, vertrag nr, vertragsnr, "
            "nr contrat, nr contrato, numero contrat, vertragsnummer, vertrags nr, vertrag id, "
            "subscription number, abo id, hs object id, line item id, "
            "order item id, contract line id"
        ),
        "plan": Known(
            "plan name, plan tier, plan id, tier, edition, package, plan type, tarif, paket, forfait, "
            "subscription plan, "
            "product edition, pricing plan"
        ),
        "signed_at": Known(
            "signature date, signed date, signed on, date signed, unterschrieben am, unterschriftsdatum, "
            "date signature, date de signature, fecha firma, fecha de firma, customer signed date, activated date",
            "booked at, booking date, order date, closed won date",
        ),
    },
    "users": {
        "user_id": Known(f"id, uuid, {_USER.sure}", _USER.likely, _USER.weak),
        "account_id": _ACCOUNT,
        "created_at": Known(
            f"{_CREATED}, sign up date, signup date, signed up at, registered at, registration date, registriert am, "
            "joined at, date inscription, fecha alta",
            "first seen, first seen at, invited at, activated at, first login, first login at, start date",
        ),
        "deactivated_at": Known(
            "disabled at, deleted at, removed at, suspended at, deactivation date, deactivated on, deactivated date, "
            "deaktiviert am, inactive since, left at, revoked at, archived at",
            "end date",
        ),
        "role": Known("user role, role name, rolle, user type, permission level", "profile, type", "job title, title"),
    },
    "events": {
        "account_id": _ACCOUNT,
        "user_id": _USER,
        "occurred_at": Known(
            "timestamp, ts, time, event time, event timestamp, event at, event date, occurred, occurred on, "
            "happened at, "
            "original timestamp, zeitpunkt, zeitstempel, usage date, activity date, horodatage, date heure, "
            "fecha hora, usage timestamp, event datetime, datetime, logged at, tracked at, event ts",
            f"date, day, {_CREATED}, received at, sent at, datum, fecha, client event time, used at, start time",
            "loaded at, uploaded at, synced at",
        ),
        "event_name": Known(
            "event, event type, event name, event key, action, action name, activity type, activity, ereignis, "
            "evenement, "
            "evento, nom evenement, track name, event code, aktion, ereignisname",
            "name, type, operation, verb",
            "label, category",
        ),
        "event_id": Known("id, usage id, message id, insert id, event uuid, uuid, activity id, hs object id, row id"),
        "feature": Known(
            "feature name, feature key, feature id, feature used, funktion, fonctionnalite, funcionalidad, "
            "feature code, "
            "product feature",
            "module, component, modul, screen, page, object type, area",
            "category, url, path, title",
        ),
        "quantity": Known(
            "count, usage count, event count, menge, anzahl, quantite, cantidad, times, number of use, hits",
            "",
            "value",
        ),
    },
    "tickets": {
        "ticket_id": Known(
            "id, case id, case number, issue id, ticket number, ticket no, ticket nr, incident id, vorgangsnummer, "
            "hs object id, conversation id, request id, case no, ticketnummer, key"
        ),
        "account_id": _ACCOUNT,
        "opened_at": Known(
            f"{_CREATED}, opened, open date, opened on, submitted at, submitted on, reported at, eroeffnet am, "
            "date ouverture, fecha apertura, opened date",
            "date, received at, start date, datum",
        ),
        "severity": Known(
            "priority, ticket priority, urgency, severity level, prioritaet, dringlichkeit, priorite, gravite, "
            "prioridad, gravedad, hs ticket priority, case priority, schweregrad",
            "impact, criticality, level",
        ),
        "closed_at": Known(
            f"{_CLOSED}, resolved at, solved at, resolved on, resolution date, resolved date, geloest am, "
            "date resolution, fecha resolucion, solved date"
        ),
        "topic": Known(
            "category, ticket category, ticket topic, thema, kategorie, sujet, tema, case reason, issue type, "
            "hs ticket category, categorie, categoria, ticket type",
            "type, reason, case type, area, product area",
            "subject, tag, title, description",
        ),
    },
    "nps": {
        "account_id": _ACCOUNT,
        "responded_at": Known(
            f"response date, answered at, responded on, submitted at, submitted on, survey date, response time, "
            f"beantwortet am, date reponse, fecha respuesta, submission date, hs submission timestamp, response at, "
            f"{_CREATED}",
            "date, timestamp, completed at, datum, fecha, time",
        ),
        "score": Known(
            "nps, nps score, nps rating, nps value, hs nps score, recommendation score, promoter score",
            "rating, bewertung, punktzahl, puntuacion, note, hs value, answer score",
            "answer, value, response",
        ),
        "user_id": Known(f"{_USER.sure}, respondent id, responder id", _USER.likely, "email, contact id"),
    },
    "advocacy": {
        "account_id": _ACCOUNT,
        "occurred_at": Known(
            f"date, happened at, published at, activity date, event date, {_CREATED}", "timestamp, datum"
        ),
        "kind": Known("type, activity type, advocacy type, category, action, art, activity"),
    },
    "milestones": {
        "account_id": _ACCOUNT,
        "occurred_at": Known(
            f"date, happened at, qbr date, achieved at, achieved on, milestone date, noted at, meeting date, "
            f"completed at, reached at, {_CREATED}",
            "timestamp, datum, due date",
        ),
        "kind": Known("type, milestone type, category, outcome, art, milestone kind, outcome type, milestone"),
        "product": Known("product name, module, product of interest, produkt"),
        "note": Known("comment, description, summary, text, detail, bemerkung, notiz, remark"),
    },
    "contacts": {
        "contact_id": Known("id, person id, contact key, vid, hs object id, kontakt id, kontaktnr, stakeholder id"),
        "account_id": _ACCOUNT,
        "role": Known(
            "contact role, persona, buying role, hs buying role, rolle, stakeholder role, decision role, "
            "stakeholder type",
            "type",
            "title, job title, jobtitle, position, department",
        ),
        "since": Known(f"role since, since date, in role since, seit, depuis, desde, {_CREATED}", "start date", ""),
        "last_engaged_at": Known(
            "last engaged, last engagement, last activity date, last activity, last contacted, last contacted at, "
            "last contact, notes last contacted, last touch, last meeting, last meeting date, letzter kontakt, "
            "hs last sales activity timestamp, last touch at, hs last contacted",
        ),
        "name": Known("full name, contact name, fullname", "", "last name, lastname, email"),
    },
    "csqls": {
        "csql_id": Known("id, lead id, record id, hs object id, csql key"),
        "account_id": _ACCOUNT,
        "type": Known("lead type, motion, play, csql type, expansion type, lead kind, hs lead type"),
        "created_at": Known(
            f"raised at, submitted at, submitted on, date raised, raised on, lead date, {_CREATED}", "date"
        ),
        "csm_id": Known(f"{_CSM.sure}, raised by, submitted by, created by, created by id", f"owner id, {_CSM.likely}"),
        "ae_id": Known(f"{_AE.sure}, taken by, accepted by", _AE.likely, _AE.weak),
        "accepted_at": Known("accepted, acceptance date, accepted date, accepted on, sal date, sales accepted at"),
        "rejected_at": Known("rejected, rejection date, rejected date, rejected on, disqualified at, declined at"),
        "rejection_reason": Known("reject reason, rejected reason, disqualification reason, decline reason", "reason"),
        "opportunity_at": Known(
            "opportunity created at, opportunity date, opportunity created date, converted at, converted date, "
            "sql date, "
            "conversion date"
        ),
        "closed_at": Known(_CLOSED),
        "won": _WON,
        "arr": _MONEY,
        "source": _SOURCE,
    },
    "opportunities": {
        "opportunity_id": Known("id, deal id, hs object id, opportunity number, opp id, record id, opportunity nr"),
        "account_id": _ACCOUNT,
        "type": Known("deal type, dealtype, opportunity type, opp type, kind, record type, art", "deal kind, category"),
        "created_at": Known(f"{_CREATED}, opened at, open date, opened on", "date"),
        "arr": _MONEY,
        "closed_at": Known(_CLOSED, "won date, decision date", "expected close date"),
        "won": _WON,
        "source": _SOURCE,
    },
    "coverage": {
        "csm_id": _CSM,
        "account_id": _ACCOUNT,
        "start_date": _START,
        "end_date": _END,
    },
}


@cache
def column_phrases(table: str) -> dict[str, tuple[tuple[str, float], ...]]:
    """Phrase -> the columns of a table that it may mean, each with how sure that is."""
    found: dict[str, dict[str, float]] = {}
    for column in TABLES[table].column_names:
        known = SYNONYMS[table].get(column, Known())
        for strength, names in ((WEAK, known.weak), (LIKELY, known.likely), (SURE, known.sure), (1.0, column)):
            for name in filter(None, map(str.strip, names.split(","))):
                for text in {phrase(name), phrase(name).replace(" ", "")}:  # closedate is close date
                    found.setdefault(text, {})[column] = strength
    return {text: tuple(columns.items()) for text, columns in found.items()}


@cache
def table_phrases(table: str) -> tuple[str, ...]:
    """Phrases that a source of a table is called by."""
    return tuple(dict.fromkeys(phrase(name) for name in (table, *TABLE_NAMES[table].split(","))))


def meant_by(table: str, text: str) -> dict[str, float]:
    """Columns of a table that a phrase may mean, each with how sure that is."""
    phrases = column_phrases(table)
    return dict(phrases.get(text) or phrases.get(text.replace(" ", "")) or ())
