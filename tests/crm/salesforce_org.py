"""An org in memory: objects, fields, users, records and bulk jobs, as the public documentation describes them.

It is not the vendor's system and not made from the vendor's specification: what it does was written by hand from what
the documentation says, for the few things that the sink uses.
"""

from __future__ import annotations

import csv
import io
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from tests.crm.salesforce_soql import Query

csv.field_size_limit(10_000_000)
PREFIX = {"Lead": "00Q", "Opportunity": "006", "Account": "001", "User": "005"}
USER = "005000000000001AAA"
Row = dict[str, Any]


class RefusedError(Exception):
    """One row, or one request, is refused."""

    def __init__(self, code: str, message: str, *fields: str) -> None:
        super().__init__(message)
        self.code, self.message, self.fields = code, message, list(fields)


def field(name: str, kind: str = "string", length: int = 255, **given: Any) -> dict[str, Any]:
    """A field as describe tells it; custom fields may be empty."""
    found = {
        "name": name,
        "type": kind,
        "length": length if kind in ("string", "textarea", "picklist") else 0,
        "scale": 2,
        "unique": False,
        "externalId": False,
        "caseSensitive": False,
        "createable": True,
        "updateable": True,
        "nillable": True,
        "defaultedOnCreate": False,
        "restrictedPicklist": False,
        "htmlFormatted": False,
        "picklistValues": [],
    }
    return {**found, **given}


def picklist(name: str, *values: str, **given: Any) -> dict[str, Any]:
    return field(name, "picklist", picklistValues=[{"value": v, "active": True} for v in values], **given)


def _system(*closed: str) -> list[dict[str, Any]]:
    locked: dict[str, Any] = {"createable": False, "updateable": False}
    times = [field(n, "datetime", **locked) for n in ("CreatedDate", "LastModifiedDate", "SystemModstamp")]
    return [field("Id", "id", **locked), *times, *(field(n, "boolean", **locked) for n in closed)]


def _csql_fields(key: Mapping[str, Any]) -> list[dict[str, Any]]:
    numbers = ("CSQL_Score__c", "CSQL_Expected_ARR__c", "CSQL_Potential_ARR__c")
    long = ("CSQL_Proof_Of_Value__c", "CSQL_Trigger__c", "CSQL_Hypothesis__c", "CSQL_Stakeholders__c")
    texts = ("Account_Id", "Type", "Product", "CSM", "Band", "Currency", "Run", "Model")
    return [
        field("CSQL_Key__c", length=64, **key),
        *(field(f"CSQL_{n}__c") for n in texts),
        *(field(f"CSQL_{n}__c", "date") for n in ("Opened_On", "Answer_Due", "As_Of")),
        field("CSQL_Propensity__c", "double", scale=4),
        *(field(n, "double") for n in numbers),
        *(field(n, "textarea", 32768) for n in long),
        field("CSQL_Rejection_Reason__c"),
    ]


class Org:
    """Records and what happens to them; one request at a time.

    Attributes
    ----------
    locked
        Keys whose rows are locked: how many times more.
    rule
        A validation rule: the text of the error of a row, or None.
    stale_guard
        The validation rule of the documentation: an older as-of date is refused.
    history
        Whether field history of leads is kept.
    created, written
        How many records were made, and how many writes there were.
    """

    def __init__(self, *, unique: bool = True) -> None:
        self.lock = threading.RLock()
        self.now = datetime(2026, 7, 1, 8, tzinfo=UTC)
        self.rows: dict[str, dict[str, Row]] = {name: {} for name in PREFIX}
        self.history_rows: dict[str, list[Row]] = {"LeadHistory": [], "OpportunityHistory": []}
        self.jobs: dict[str, Row] = {}
        self.locked: dict[str, int] = {}
        self.rule: Callable[[Row], str | None] = lambda row: None
        self.stale_guard = False
        self.history = True
        self.polls = 0
        self.created = 0
        self.written = 0
        self.currency = "EUR"
        self.limits = {"DailyApiRequests": {"Max": 100_000, "Remaining": 99_000}}
        key = {"unique": unique, "externalId": True}
        self.describes = {name: self._described(name, key) for name in PREFIX}
        self.add_user(USER, "AE-1")

    def _described(self, name: str, key: Mapping[str, Any]) -> Row:
        required = {"nillable": False}
        owner = field("OwnerId", "reference", defaultedOnCreate=True, nillable=False)
        own = {
            "Lead": [
                *_system("IsConverted"),
                field("LastName", length=80, **required),
                field("Company", **required),
                picklist(
                    "Status", "Open - Not Contacted", "Working - Contacted", "Closed - Not Converted", "Withdrawn"
                ),
                picklist("LeadSource", "Web", "CSQL"),
                field("ConvertedOpportunityId", "reference", createable=False, updateable=False),
                owner,
                *_csql_fields(key),
            ],
            "Opportunity": [
                *_system("IsClosed", "IsWon"),
                field("Name", length=120, **required),
                picklist(
                    "StageName", "Prospecting", "Qualification", "Closed Won", "Closed Lost", "Withdrawn", **required
                ),
                field("CloseDate", "date", **required),
                field("Amount", "currency"),
                picklist("LeadSource", "Web", "CSQL"),
                picklist("Type", "Existing Customer - Upgrade", "New Customer"),
                field("AccountId", "reference"),
                owner,
                *_csql_fields(key),
            ],
            "Account": [
                *_system(),
                field("Name", **required),
                field("CSQL_Account_Id__c", length=64, unique=True, externalId=True, caseSensitive=True),
                field("CSQL_Propensity__c", "percent"),
                field("CSQL_As_Of__c", "date"),
                picklist("CSQL_Band__c", "high", "medium", "low", restrictedPicklist=True),
            ],
            "User": [*_system(), field("Username"), field("FederationIdentifier"), field("IsActive", "boolean")],
        }[name]
        return {"name": name, "createable": True, "updateable": True, "fields": own}

    # what tests do

    def field_of(self, name: str, column: str) -> Row:
        return next(f for f in self.describes[name]["fields"] if f["name"] == column)

    def add_user(self, user: str, federation: str, *, active: bool = True) -> None:
        self.rows["User"][user] = {"Id": user, "FederationIdentifier": federation, "IsActive": active}

    def add_account(self, account_id: str) -> str:
        return self.insert("Account", {"Name": f"Account {account_id}", "CSQL_Account_Id__c": account_id})

    def pass_time(self, **given: int) -> None:
        self.now += timedelta(**given)

    def edit(self, object_name: str, row_id: str, **values: Any) -> None:
        """Sales changes a record."""
        with self.lock:
            self.pass_time(seconds=1)
            self._store(object_name, self.rows[object_name][row_id], values)

    def convert(self, lead_id: str, account_id: str | None = None, **values: Any) -> str:
        """Sales turns a lead into an opportunity."""
        with self.lock:
            lead = self.rows["Lead"][lead_id]
            account = self._by("Account", "CSQL_Account_Id__c", account_id or lead.get("CSQL_Account_Id__c"))
            given = {"Name": lead["LastName"], "StageName": "Prospecting", "CloseDate": "2026-09-01"}
            given |= {"LeadSource": lead.get("LeadSource"), "OwnerId": lead["OwnerId"], **values}
            self.pass_time(seconds=1)
            opportunity = self.insert("Opportunity", given | ({"AccountId": account[0]["Id"]} if account else {}))
            self._note("Lead", lead, "leadConverted", None)
            converted = {"IsConverted": True, "ConvertedOpportunityId": opportunity, "Status": "Closed - Converted"}
            self._store("Lead", lead, converted)
            return opportunity

    def keys(self, object_name: str = "Lead") -> list[str]:
        return sorted(r["CSQL_Key__c"] for r in self.rows[object_name].values() if r.get("CSQL_Key__c"))

    def by_key(self, key: str, object_name: str = "Lead") -> Row:
        (found,) = self._by(object_name, "CSQL_Key__c", key)
        return found

    # writing

    def insert(self, object_name: str, values: Row) -> str:
        """Make a record."""
        with self.lock:
            self._check(object_name, values, None)
            number = len(self.rows[object_name]) + 1
            row = {"Id": f"{PREFIX[object_name]}0000000{number:05d}AAA", "CreatedDate": self.stamp(), "OwnerId": USER}
            row |= {"Lead": {"IsConverted": False, "Status": "Open - Not Contacted"}}.get(object_name, {})
            row |= {"Opportunity": {"IsClosed": False, "IsWon": False}}.get(object_name, {})
            self.rows[object_name][row["Id"]] = row
            self.created += object_name in ("Lead", "Opportunity")
            self._store(object_name, row, values)
            return str(row["Id"])

    def update(self, object_name: str, row_id: str, values: Row, unmodified_since: str | None = None) -> None:
        with self.lock:
            row = self.rows[object_name].get(row_id)
            if row is None:
                raise RefusedError("NOT_FOUND", "The requested resource does not exist")
            if unmodified_since is not None:
                modified = datetime.strptime(row["LastModifiedDate"], "%Y-%m-%dT%H:%M:%S.%f%z")
                if modified.replace(microsecond=0) > parsedate_to_datetime(unmodified_since):
                    raise RefusedError("PRECONDITION_FAILED", "changed")
            self._check(object_name, values, row)
            self._store(object_name, row, values)

    def upsert(self, object_name: str, key_field: str, values: Row) -> tuple[str, bool]:
        """Id of the record, and whether it was made."""
        with self.lock:
            there = self._by(object_name, key_field, values[key_field])
            if len(there) > 1:
                raise RefusedError("DUPLICATE_EXTERNAL_ID", f"more than one record found: {there[0]['Id']}", key_field)
            if not there:
                return self.insert(object_name, values), True
            self.update(object_name, there[0]["Id"], values)
            return str(there[0]["Id"]), False

    def _check(self, object_name: str, values: Row, row: Row | None) -> None:
        merged = {**(row or {}), **values}
        key = merged.get("CSQL_Key__c")
        if self.locked.get(str(key), 0):
            self.locked[str(key)] -= 1
            raise RefusedError("UNABLE_TO_LOCK_ROW", "unable to obtain exclusive access to this record")
        if row is not None and row.get("IsConverted"):
            raise RefusedError("CANNOT_UPDATE_CONVERTED_LEAD", "cannot reference converted lead")
        declared = {f["name"]: f for f in self.describes[object_name]["fields"]}
        for name, value in values.items():
            self._check_value(object_name, name, value, declared.get(name), row)
        lacking = [
            f["name"]
            for f in declared.values()
            if f["createable"] and not (f["nillable"] or f["defaultedOnCreate"]) and merged.get(f["name"]) in (None, "")
        ]
        if lacking:
            raise RefusedError(
                "REQUIRED_FIELD_MISSING", f"Required fields are missing: [{', '.join(lacking)}]", *lacking
            )
        if (error := self.rule(merged)) is not None:
            raise RefusedError("FIELD_CUSTOM_VALIDATION_EXCEPTION", error)
        if self.stale_guard and row is not None and str(merged.get("CSQL_As_Of__c")) < str(row.get("CSQL_As_Of__c")):
            raise RefusedError("FIELD_CUSTOM_VALIDATION_EXCEPTION", "a newer run was here")

    def _check_value(self, object_name: str, name: str, value: Any, found: Row | None, row: Row | None) -> None:
        if name == "OwnerId" and not self.rows["User"].get(value, {}).get("IsActive"):
            raise RefusedError("INACTIVE_OWNER_OR_USER", "operation performed with inactive user", name)
        if found is None:
            raise RefusedError("INVALID_FIELD", f"No such column '{name}' on sobject of type {object_name}")
        if isinstance(value, str) and found["length"] and len(value) > found["length"]:
            message = f"{name}: data value too large: {value} (max length={found['length']})"
            raise RefusedError("STRING_TOO_LONG", message, name)
        if value not in (None, "") and found["unique"]:
            there = [r for r in self._by(object_name, name, value) if row is None or r["Id"] != row["Id"]]
            if there:
                message = f"duplicate value found: {name} duplicates value on record with id: {there[0]['Id']}"
                raise RefusedError("DUPLICATE_VALUE", message)

    def _store(self, object_name: str, row: Row, values: Row) -> None:
        self.pass_time(milliseconds=10)
        self.written += 1
        for name, value in values.items():
            if name in ("Status", "StageName") and row.get(name) != value:
                self._note(object_name, row, name, value)
            row[name] = value.strip() if isinstance(value, str) else value
        if object_name == "Opportunity":
            row["IsClosed"] = str(row.get("StageName")) in ("Closed Won", "Closed Lost", "Withdrawn")
            row["IsWon"] = row.get("StageName") == "Closed Won"
        row |= {"LastModifiedDate": self.stamp(), "SystemModstamp": self.stamp()}

    def _note(self, object_name: str, row: Row, name: str, value: Any) -> None:
        entry = {"Id": f"{len(self.history_rows['LeadHistory']):018d}", "CreatedDate": self.stamp()}
        if object_name == "Lead" and self.history:
            self.history_rows["LeadHistory"].append(entry | {"LeadId": row["Id"], "Field": name, "NewValue": value})
        if object_name == "Opportunity":
            self.history_rows["OpportunityHistory"].append(entry | {"OpportunityId": row["Id"], "StageName": value})

    def stamp(self) -> str:
        return self.now.strftime("%Y-%m-%dT%H:%M:%S.") + f"{self.now.microsecond // 1000:03d}+0000"

    def _by(self, object_name: str, name: str, value: Any) -> list[Row]:
        declared = self.field_of(object_name, name)
        if declared["caseSensitive"]:
            return [r for r in self.rows[object_name].values() if r.get(name) == value]
        wanted = str(value).casefold()
        return [r for r in self.rows[object_name].values() if str(r.get(name)).casefold() == wanted]

    # reading

    def query(self, text: str) -> list[Row]:
        with self.lock:
            query = Query(text, self._table, self.value)
            query.end()
            return [self._shown(query.source, row, query.columns) for row in query.rows()]

    def _table(self, name: str) -> list[Row]:
        if name in self.history_rows and (name != "LeadHistory" or self.history):
            return list(self.history_rows[name])
        if name not in self.rows:
            raise RefusedError("INVALID_TYPE", f"sObject type '{name}' is not supported")
        return list(self.rows[name].values())

    def value(self, row: Row, name: str) -> Any:
        if name.startswith("Account."):
            return self.rows["Account"].get(row.get("AccountId") or "", {}).get(name.partition(".")[2])
        return row.get(name)

    def _shown(self, source: str, row: Row, columns: list[str]) -> Row:
        known = {f["name"] for f in self.describes.get(source, {"fields": []})["fields"]}
        found: Row = {"attributes": {"type": source}}
        for name in columns:
            parent, dot, inner = name.partition(".")
            if known and (parent if not dot else f"{parent}Id") not in known:
                raise RefusedError("INVALID_FIELD", f"No such column '{name}' on entity '{source}'")
            if dot:
                found[parent] = {inner: self.value(row, name)} if row.get(f"{parent}Id") else None
            else:
                found[name] = row.get(name)
        return found

    # bulk jobs

    def create_job(self, given: Row) -> Row:
        with self.lock:
            job = {"id": f"750{len(self.jobs):012d}AAA", "state": "Open", "data": None, "polls": self.polls, **given}
            self.jobs[job["id"]] = job | {"done": [], "failed": [], "unprocessed": []}
            return self.job(job["id"])

    def job(self, job_id: str, *, poll: bool = False) -> Row:
        with self.lock:
            if job_id not in self.jobs:
                raise RefusedError("NOT_FOUND", "The requested resource does not exist")
            job = self.jobs[job_id]
            if poll and job["state"] in ("UploadComplete", "InProgress"):
                if job["polls"] <= 0:
                    job["state"] = job.get("ends", "JobComplete")
                else:
                    job["polls"] -= 1
                    job["state"] = "InProgress"
            hidden = ("data", "done", "failed", "unprocessed", "polls", "ends")
            return {n: v for n, v in job.items() if n not in hidden}

    def upload(self, job_id: str, data: str) -> None:
        with self.lock:
            if self.job(job_id)["state"] != "Open" or self.jobs[job_id]["data"] is not None:
                raise RefusedError("INVALIDJOBSTATE", "Not valid for state")
            self.jobs[job_id]["data"] = data

    def close_job(self, job_id: str, state: str) -> Row:
        with self.lock:
            job = self.jobs[self.job(job_id)["id"]]
            if job["state"] not in (
                ("Open",) if state == "UploadComplete" else ("Open", "UploadComplete", "InProgress")
            ):
                raise RefusedError("INVALIDJOBSTATE", "Aborting or closing is not valid for this state")
            job["state"] = state
            if state == "UploadComplete":
                self._work(job)
            return self.job(job_id)

    def _work(self, job: Row) -> None:
        rows = list(csv.DictReader(io.StringIO(job["data"] or "", newline="")))
        for start in range(0, len(rows), 200):
            self._chunk(job, rows[start : start + 200])
        if job.get("ends") == "Failed":
            job["unprocessed"] = [r for r, _ in job["failed"]] + [r for r, _, _ in job["done"]][10:]
            job["failed"] = []

    def _chunk(self, job: Row, rows: list[Row]) -> None:
        key_field = job["externalIdFieldName"]
        keys = [r[key_field].casefold() for r in rows]
        for row in rows:
            try:
                if keys.count(row[key_field].casefold()) > 1:
                    message = f"Duplicate external id specified: {row[key_field]}"
                    raise RefusedError("DUPLICATE_VALUE", message, "Other__c")
                row_id, made = self.upsert(job["object"], key_field, self._typed(job["object"], row))
            except RefusedError as error:
                text = f"{error.code}:{error.message}:{', '.join(error.fields)} --"
                job["failed"].append((row, text))
            else:
                job["done"].append((row, row_id, made))

    def _typed(self, object_name: str, row: Row) -> Row:
        """Cells as values: empty ones are left alone, #N/A empties."""
        kinds = {f["name"]: f["type"] for f in self.describes[object_name]["fields"]}
        found: Row = {}
        for name, text in row.items():
            if text == "":
                continue
            if "." in name:
                accounts = self._by("Account", name.partition(".")[2], text)
                if not accounts:
                    raise RefusedError("INVALID_FIELD", f"Foreign key external ID: {text} not found", "AccountId")
                found["AccountId"] = accounts[0]["Id"]
            elif text == "#N/A":
                found[name] = None
            else:
                found[name] = float(text) if kinds.get(name) in ("double", "currency", "percent") else text
        return found

    def job_results(self, job_id: str, what: str) -> str:
        with self.lock:
            state, job = self.job(job_id)["state"], self.jobs[job_id]
            if state in ("Open", "UploadComplete", "InProgress"):
                raise RefusedError("INVALIDJOBSTATE", "Results are not available in this state")
            out = io.StringIO(newline="")
            writer = csv.writer(out, lineterminator="\n")
            rows: list[tuple[list[str], Row]] = {
                "successfulResults": [([row_id, str(made).lower()], row) for row, row_id, made in job["done"]],
                "failedResults": [(["", text], row) for row, text in job["failed"]],
                "unprocessedrecords": [([], row) for row in job["unprocessed"]],
            }[what]
            first = {"successfulResults": ["sf__Id", "sf__Created"], "failedResults": ["sf__Id", "sf__Error"]}
            header = (job["data"] or "").split("\n", 1)[0].split(",")
            writer.writerow([*first.get(what, []), *header])
            writer.writerows([*start, *(row[name] for name in header)] for start, row in rows)
            return out.getvalue()
