"""Leads are sale opportunities with a key: what csql_ml writes to them, and what sales made of them."""

# ruff: noqa: SLF001 - records of one model know each other

from collections import defaultdict
from datetime import datetime

from sql import Column
from trytond.exceptions import UserError
from trytond.model import ModelSQL, ModelView, Unique, fields
from trytond.pool import Pool, PoolMeta
from trytond.pyson import Bool, Eval
from trytond.rpc import RPC
from trytond.transaction import Transaction

from trytond_csql.keyed import OPEN, WITHDRAWN, Keyed, text


class LeadSource(ModelSQL, ModelView):
    """Where leads come from."""

    __name__ = "csql.lead_source"
    name = fields.Char("Name", required=True)

    @classmethod
    def __setup__(cls):
        super().__setup__()
        table = cls.__table__()
        cls._sql_constraints.append(("name_unique", Unique(table, table.name), "csql.msg_source_unique"))


class Opportunity(Keyed, metaclass=PoolMeta):
    """A lead that customer success qualified: why, how likely, whose, and until when to answer."""

    __name__ = "sale.opportunity"
    csql_account_id = fields.Char("CSQL Account", size=200, readonly=True)
    csql_account_name = fields.Char("Account's Name", readonly=True)
    csql_source = fields.Many2One("csql.lead_source", "Lead Source", ondelete="RESTRICT")
    csql_opportunity_type = fields.Selection(
        [(None, ""), ("expansion", "Expansion"), ("renewal", "Renewal"), ("new", "New Business")], "Type"
    )
    csql_product = fields.Char("Product", size=200, readonly=True)
    csql_owner = fields.Char("Account Executive", size=100, readonly=True)
    csql_opened_on = fields.Date("Handed over on", readonly=True)
    csql_answer_due = fields.Date("Answer due on", readonly=True)
    csql_potential_arr = fields.Numeric("Potential ARR", digits=(14, 2), readonly=True)
    csql_proof_of_value = text("Proof of Value")
    csql_trigger_event = text("Trigger")
    csql_expansion_hypothesis = text("Hypothesis")
    csql_stakeholders = text("Stakeholders")
    csql_accepted_at = fields.Timestamp("Accepted at", readonly=True)
    csql_rejection_reason = fields.Text("Reason of Rejection")

    @classmethod
    def __setup__(cls):
        super().__setup__()
        cls._buttons["csql_accept"] = {
            "invisible": (Eval("state") != "lead") | Bool(Eval("csql_accepted_at")) | ~Bool(Eval("csql_key")),
            "depends": ["state", "csql_accepted_at", "csql_key"],
        }
        cls.__rpc__["csql_changes"] = RPC()

    @classmethod
    def copy(cls, opportunities, default=None):
        """A copy was not accepted yet."""
        default = {} if default is None else default.copy()
        default.setdefault("csql_accepted_at", None)
        return super().copy(opportunities, default=default)

    @classmethod
    @ModelView.button
    def csql_accept(cls, opportunities):
        """Sales takes a lead on; it need not be an opportunity yet."""
        fresh = [o for o in opportunities if o.state == "lead" and not o.csql_accepted_at]
        cls.write(fresh, {"csql_accepted_at": datetime.now()})  # noqa: DTZ005, TID251 - Tryton sets its process to UTC

    # taking leads

    @classmethod
    def _csql_links(cls, rows, options, create=True):
        pool, company = Pool(), options["company"]
        codes = {row["executive"] for row in rows if row["executive"]}
        employees = pool.get("company.employee").search([("party.code", "in", codes), ("company", "=", company)])
        sources = pool.get("csql.lead_source").search([("name", "in", {row["source"] for row in rows})])
        currencies = pool.get("currency.currency").search([("code", "in", {row["currency"] for row in rows})])
        return {
            **super()._csql_links(rows, options, create),
            "company": company,
            "employees": {e.party.code: e.id for e in employees},
            "sources": {s.name: s.id for s in sources},
            "currencies": {c.code: c.id for c in currencies},
        }

    @classmethod
    def _csql_problem(cls, row, links):
        for name, what in (("executive", "employee"), ("source", "lead source"), ("currency", "currency")):
            kind = {"executive": "employees", "source": "sources", "currency": "currencies"}[name]
            if row[name] and row[name] not in links[kind]:
                return f"Tryton has no active {what} {row[name]}"
        return super()._csql_problem(row, links)

    @classmethod
    def _csql_first(cls, row, links):
        """What is written when a lead is opened, and belongs to sales from then on."""
        linked = {"employee": ("executive", "employees"), "csql_source": ("source", "sources")}
        found = {field: links[kind][row[name]] for field, (name, kind) in linked.items() if row[name]}
        return {**row["first"], **found}

    @classmethod
    def _csql_new(cls, row, links):
        currency = {"currency": links["currencies"][row["currency"]]} if row["currency"] else {}
        return {
            **super()._csql_new(row, links),
            **cls._csql_first(row, links),
            **currency,
            "company": links["company"],
            "csql_account_id": row["account_id"],
            "csql_opportunity_type": "expansion",
            "csql_status": OPEN,
        }

    @classmethod
    def _csql_change(cls, record, row, links):
        if record.csql_status == WITHDRAWN and row["status"] == OPEN and not record._csql_in_work():
            if record.state == "cancelled":
                cls.lead([record])
            first = {**cls._csql_first(row, links), "end_date": None}
            return {**super()._csql_change(record, row, links), **first, "csql_status": OPEN}
        if record._csql_closed() or (row["status"] == WITHDRAWN and record._csql_in_work()):
            return {}
        if row["status"] == WITHDRAWN:
            cls._csql_withdraw([record])
        status = {"csql_status": row["status"]} if row["status"] else {}
        return {**super()._csql_change(record, row, links), **status}

    def _csql_in_work(self):
        ours = self.state == "cancelled" and self.csql_status == WITHDRAWN
        return bool(self.csql_accepted_at) or (self.state != "lead" and not ours)

    def _csql_closed(self):
        return self.state in {"converted", "won", "lost", "cancelled"}

    @classmethod
    def _csql_withdraw(cls, records):
        """Out of the lists of open leads."""
        cls.cancel([r for r in records if r.state in {"lead", "opportunity"}])

    # what sales made of them

    @classmethod
    def csql_changes(cls, since, after, limit, options):
        """Opportunities changed at or after a time, oldest change first, and the states they went through.

        Parameters
        ----------
        since, after
            Time of change and id; what was changed then is returned if its id is greater. None: from the beginning.
        options
            ``account_field``, ``company``, and ``currency`` (code) that amounts are converted to.
        """
        domain = [("company", "=", options["company"])]
        if since is not None:
            later = [("last_modified_at", "=", since), ("id", ">", after)]
            domain.append(["OR", ("last_modified_at", ">", since), later])
        order = [("last_modified_at", "ASC"), ("id", "ASC")]
        records = cls.search(domain, order=order, limit=limit)
        states = cls._csql_states([record.id for record in records])
        return [record._csql_outcome(states[record.id], options) for record in records]

    @classmethod
    def _csql_states(cls, ids):
        """Per id the states it went through, each with the time it began: the history that Tryton keeps."""
        table = cls.__table_history__()
        columns = [table.id, table.state, table.write_date, table.create_date]
        cursor = Transaction().connection.cursor()
        query = table.select(*columns, where=table.id.in_(ids or [-1]), order_by=[table.id, Column(table, "__id")])
        cursor.execute(*query)
        found = defaultdict(list)
        for record_id, state, written, created in cursor:
            if state and (not found[record_id] or found[record_id][-1][0] != state):
                found[record_id].append([state, written or created])
        return found

    def _csql_outcome(self, states, options):
        amount, problem = self._csql_amount(options["currency"])
        return {
            "id": self.id,
            "changed_at": self.write_date or self.create_date,
            "created_at": self.create_date,
            "state": self.state,
            "states": states,
            "account_id": getattr(self.party, options["account_field"]) if self.party else None,
            "executive": self.employee.party.code if self.employee else None,
            "source": self.csql_source.name if self.csql_source else None,
            "type": self.csql_opportunity_type,
            "amount": amount,
            "problem": problem,
            "key": self.csql_key,
            "status": self.csql_status,
            "lead_type": self.csql_lead_type,
            "csm_id": self.csql_csm,
            "owner": self.csql_owner,
            "accepted_at": self.csql_accepted_at,
            "reason": self.csql_rejection_reason or self.lost_reason,
        }

    def _csql_amount(self, code):
        """The amount in a currency, by the rate of the day the opportunity ended, and why it has none."""
        if self.amount is None or self.currency.code == code:
            return self.amount, None
        pool = Pool()
        currencies = pool.get("currency.currency")
        wanted = currencies.search([("code", "=", code)], limit=1)
        day = self.end_date or pool.get("ir.date").today()
        try:
            with Transaction().set_context(date=day):
                return currencies.compute(self.currency, self.amount, wanted[0]), None
        except (UserError, IndexError):
            return None, f"Tryton has no rate from {self.currency.code} to {code} for {day}"
