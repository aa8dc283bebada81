"""Parties are accounts: by a field of their own, or by the party's code."""

from trytond.model import Unique, fields
from trytond.pool import PoolMeta


class Party(metaclass=PoolMeta):
    """A party with the account's id in the source that is scored."""

    __name__ = "party.party"
    csql_account_id = fields.Char("CSQL Account", size=200)

    @classmethod
    def __setup__(cls):
        cls.csql_account_id.search_unaccented = False
        super().__setup__()
        table = cls.__table__()
        constraint = ("csql_account_unique", Unique(table, table.csql_account_id), "csql.msg_account_unique")
        cls._sql_constraints.append(constraint)

    @classmethod
    def copy(cls, parties, default=None):
        """A copy is another account."""
        default = {} if default is None else default.copy()
        default.setdefault("csql_account_id", None)
        return super().copy(parties, default=default)

    @classmethod
    def csql_parties(cls, rows, options, create):
        """Ids of parties by account; with ``create``, missing ones are made if the options want that.

        Without ``create``, an account that would get a party has None.
        """
        field = options["account_field"]
        names = {row["account_id"]: row.get("account_name") for row in rows}
        found = cls.search([(field, "in", list(names))])
        ids = {getattr(party, field): party.id for party in found}
        missing = [account for account in names if account not in ids]
        if missing and options["create_parties"]:
            made = cls.create([{"name": names[a] or a, field: a} for a in missing]) if create else []
            ids.update(dict.fromkeys(missing) | dict(zip(missing, [p.id for p in made], strict=False)))
        return ids
