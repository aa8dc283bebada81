"""Records that csql_ml writes under a key: taken whole batches at a time, once, and never by a late request.

Every request that writes names the revision it saw of each record, and the moment up to which it is meant. A request
that a network delivered late finds another revision, or comes after its time, and changes nothing.
"""

# ruff: noqa: SLF001 - records of one model know each other

import time
from contextlib import contextmanager

from trytond.exceptions import ConcurrencyException
from trytond.i18n import gettext
from trytond.model import Model, Unique, fields
from trytond.model.exceptions import AccessError, SQLConstraintError
from trytond.pool import Pool
from trytond.rpc import RPC
from trytond.transaction import Transaction, without_check_access

from trytond_csql.unique import is_unique

#: Changes when what a client may rely on changes.
INTERFACE = 1
OPEN, WITHDRAWN = "open", "withdrawn"
ACKNOWLEDGED, RETRY, INVALID = "acknowledged", "retry", "invalid"


def text(string):
    """A field of many lines that only csql_ml fills."""
    return fields.Text(string, readonly=True)


class Keyed(Model):
    """A record with a key of csql_ml.

    A row of a request has ``key``, ``revision`` (None: not there yet), ``as_of``, ``account_id`` and ``values``; what
    more it has is up to the model.
    """

    csql_key = fields.Char("CSQL Key", size=64, readonly=True)
    csql_revision = fields.Integer("CSQL Revision", readonly=True)
    csql_status = fields.Char("CSQL Status", size=16, readonly=True)
    csql_as_of = fields.Date("Scored as of", readonly=True)
    csql_run_id = fields.Char("Run", size=100, readonly=True)
    csql_model_version = fields.Char("Model", size=100, readonly=True)
    csql_propensity = fields.Float("Propensity", digits=(1, 4), readonly=True)
    csql_baseline_score = fields.Float("Baseline Score", digits=(3, 2), readonly=True)
    csql_band = fields.Char("Band", size=40, readonly=True)
    csql_expected_arr = fields.Numeric("Expected ARR", digits=(14, 2), readonly=True)
    csql_lead_type = fields.Char("Lead Type", size=40, readonly=True)
    csql_csm = fields.Char("Customer Success Manager", size=100, readonly=True)

    @classmethod
    def __setup__(cls):
        cls.csql_key.search_unaccented = False
        super().__setup__()
        table = cls.__table__()
        cls._sql_constraints.append(("csql_key_unique", Unique(table, table.csql_key), "csql.msg_key_unique"))
        cls.__rpc__.update(
            csql_ready=RPC(),
            csql_revisions=RPC(),
            csql_problems=RPC(),
            csql_take=RPC(readonly=False),
            csql_sweep=RPC(readonly=False),
        )

    @classmethod
    def copy(cls, records, default=None):
        """A copy is a record of its own."""
        default = {} if default is None else default.copy()
        default.setdefault("csql_key", None)
        default.setdefault("csql_revision", None)
        default.setdefault("csql_status", None)
        return super().copy(records, default=default)

    # what a client asks before it sends anything

    @classmethod
    def csql_ready(cls):
        """Whether the key is unique in the database, and what the user may do."""
        pool = Pool()
        models = {cls.__name__, "party.party"}
        with without_check_access():
            companies = pool.get("company.company").search([])
            currencies = pool.get("currency.currency").search([])
            sources = pool.get("csql.lead_source").search([])
        party = pool.get("party.party")
        return {
            "interface": INTERFACE,
            "unique": is_unique(cls._table, "csql_key"),
            "account_unique": {name: is_unique(party._table, name) for name in ("csql_account_id", "code")},
            "access": pool.get("ir.model.access").get_access(models),
            "companies": [{"id": c.id, "name": c.party.name, "currency": c.currency.code} for c in companies],
            "user_company": Transaction().context.get("company") or cls._users_company(),
            "currencies": [c.code for c in currencies],
            "lead_sources": [s.name for s in sources],
            "sizes": {n: f.size for n, f in cls._fields.items() if isinstance(getattr(f, "size", None), int)},
        }

    @classmethod
    def _users_company(cls):
        company = Pool().get("res.user")(Transaction().user).company
        return company.id if company else None

    @classmethod
    def csql_revisions(cls, keys):
        """The server's time in seconds, and the revision of every key that is there."""
        with without_check_access():
            found = cls._csql_found(keys)
        return {"now": _now(), "revisions": {key: r.csql_revision or 0 for key, r in found.items()}}

    @classmethod
    def csql_problems(cls, rows, options):
        """Why rows would be refused, by key."""
        return cls._csql_problems(rows, cls._csql_links(rows, options, create=False))

    # taking a batch

    @classmethod
    def csql_take(cls, rows, options):
        """Create and update records: one transaction, all of them or none.

        Parameters
        ----------
        options
            ``until``: seconds, by the server's clock, after which the request is too late to be meant;
            ``account_field``: what tells a party's account; ``create_parties``; ``company``.

        Returns
        -------
        list
            A dict per row: ``key``, ``status``, ``id``, ``error``.
        """
        if _now() > options["until"]:
            return [_answer(row, RETRY, error="the request came too late to be meant") for row in rows]
        try:
            links = cls._csql_links(rows, options)
            problems = cls._csql_problems(rows, links)
            with without_check_access():
                found = cls._csql_found([row["key"] for row in rows])
            sound = [row for row in rows if row["key"] not in problems]
            stale = {r["key"] for r in sound if _revision(found.get(r["key"])) != r["revision"]}
            with cls._csql_writing():
                ids = cls._csql_store([row for row in sound if row["key"] not in stale], found, links)
        except SQLConstraintError as error:
            # Another request was first, in the same moment; this one's transaction is undone.
            raise ConcurrencyException("Another request has written one of these keys in the meanwhile") from error
        cls._csql_own({i for i in ids.values() if i is not None})
        return [_answered(row, problems, stale, ids) for row in rows]

    @classmethod
    @contextmanager
    def _csql_writing(cls):
        """Write fields that are read-only to people, for a user who may create and write such records."""
        access = Pool().get("ir.model.access")
        access.check(cls.__name__, "create")
        access.check(cls.__name__, "write")
        with without_check_access():
            yield

    @classmethod
    def _csql_own(cls, ids):
        """Undo everything where rules, such as those of companies, hide a record from the user."""
        if len(cls.search([("id", "in", list(ids))])) != len(ids):
            raise AccessError(gettext("csql.msg_hidden"))

    @classmethod
    def _csql_found(cls, keys):
        """The record of every key that is there; the oldest, should a key be there twice."""
        records = cls.search([("csql_key", "in", keys)], order=[("id", "DESC")])
        return {record.csql_key: record for record in records}

    @classmethod
    def _csql_links(cls, rows, options, create=True):
        """Parties and whatever else rows name, by what they name them."""
        return {"parties": Pool().get("party.party").csql_parties(rows, options, create=create)}

    @classmethod
    def _csql_problems(cls, rows, links):
        """Why rows cannot be taken, by key."""
        problems = {}
        for row in rows:
            reason = cls._csql_problem(row, links)
            if reason:
                problems[row["key"]] = reason
        return problems

    @classmethod
    def _csql_problem(cls, row, links):
        if row["account_id"] not in links["parties"]:
            return f"no party has the account {row['account_id']}; create it, or let csql_ml create missing ones"
        return None

    @classmethod
    def _csql_store(cls, rows, found, links):
        """Create what is not there, change what is; returns ids by key."""
        # What is withdrawn and was never here need not come into being.
        new = [row for row in rows if row["key"] not in found and row.get("status") != WITHDRAWN]
        made = cls.create([cls._csql_new(row, links) for row in new])
        changes = []
        for row in rows:
            record = found.get(row["key"])
            if record is None or (record.csql_as_of and record.csql_as_of > row["as_of"]):
                continue
            values = cls._csql_change(cls(record.id), row, links)
            if values:
                changes += [[cls(record.id)], values | {"csql_revision": (record.csql_revision or 0) + 1}]
        if changes:
            cls.write(*changes)
        return {r["key"]: m.id for r, m in zip(new, made, strict=True)} | {k: r.id for k, r in found.items()}

    @classmethod
    def _csql_new(cls, row, links):
        """Values of a new record."""
        return {
            **row["values"],
            "csql_key": row["key"],
            "csql_revision": 1,
            "csql_as_of": row["as_of"],
            "party": links["parties"][row["account_id"]],
        }

    @classmethod
    def _csql_change(cls, record, row, links):
        """What to write to a record that is there; nothing: leave it alone."""
        return {**row["values"], "csql_as_of": row["as_of"]}

    # keys that are there more than once

    @classmethod
    def csql_sweep(cls, keys):
        """Keep one record of each key, withdraw the others and take the key from them.

        The one that sales works on is kept, else the oldest. Returns ``key``, ``kept`` and ``withdrawn`` (ids).
        """
        by_key = {}
        for record in cls.search([("csql_key", "in", keys)], order=[("id", "ASC")]):
            by_key.setdefault(record.csql_key, []).append(record.id)
        with cls._csql_writing():
            return [cls._csql_swept(key, cls.browse(ids)) for key, ids in by_key.items() if len(ids) > 1]

    @classmethod
    def _csql_swept(cls, key, records):
        kept, *others = sorted(records, key=lambda r: (not r._csql_in_work(), r.id))
        cls._csql_withdraw([r for r in others if not r._csql_in_work()])
        cls.write(others, {"csql_key": None, "csql_status": WITHDRAWN})
        return {"key": key, "kept": kept.id, "withdrawn": [r.id for r in others]}

    def _csql_in_work(self):
        """Whether sales has taken the record on."""
        return False

    @classmethod
    def _csql_withdraw(cls, records):
        """What a model has to do besides noting that records are withdrawn."""


def _now():
    """Seconds by the server's clock: the only one that says when a request came."""
    return time.time()  # noqa: TID251


def _revision(record):
    return None if record is None else record.csql_revision or 0


def _answered(row, problems, stale, ids):
    """What became of one row of a batch."""
    key = row["key"]
    if key in problems:
        return _answer(row, INVALID, error=problems[key])
    if key in stale:
        return _answer(row, RETRY, error="the record has changed since it was looked up")
    return _answer(row, ACKNOWLEDGED, ids.get(key))


def _answer(row, status, record_id=None, error=None):
    return {"key": row["key"], "status": status, "id": record_id, "error": error}
