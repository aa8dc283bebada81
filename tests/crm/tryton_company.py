"""Run by the Python that Tryton is installed in: fill a fresh database with a company, its people and accounts.

``tryton_company.py CONFIG DATABASE ACCOUNTS PASSWORD``; the module ``csql`` may be there or not.
"""

from __future__ import annotations

import sys
from decimal import Decimal

#: Executives ``AE-1`` to ``AE-5``; the salesperson is the first of them.
EXECUTIVES = 5


def main(config_file: str, database: str, accounts: int, password: str) -> None:
    from trytond import config  # Tryton is not installed where tests are

    config.update_etc(config_file)
    from trytond.pool import Pool
    from trytond.transaction import Transaction

    Pool.start()
    pool = Pool(database)
    with Transaction().start(database, 0, readonly=True):
        pool.init()
    with Transaction().start(database, 0):
        company = _company(pool)
        with Transaction().set_context(company=company.id):
            employees = _employees(pool, company)
            _users(pool, company, employees[0], password)
            _accounts(pool, accounts)
            _catalogue(pool, company)


def _company(pool):  # type: ignore[no-untyped-def]
    currency, company, party = pool.get("currency.currency"), pool.get("company.company"), pool.get("party.party")
    euro, dollar = currency.create(
        [
            {
                "name": name,
                "symbol": symbol,
                "code": code,
                "numeric_code": number,
                "rounding": Decimal("0.01"),
                "digits": 2,
            }
            for name, symbol, code, number in (("Euro", "€", "EUR", "978"), ("US Dollar", "$", "USD", "840"))
        ]
    )
    from datetime import date

    pool.get("currency.currency.rate").create(
        [
            {"currency": euro.id, "date": date(2020, 1, 1), "rate": Decimal(1)},
            {"currency": dollar.id, "date": date(2020, 1, 1), "rate": Decimal("1.25")},
        ]
    )
    (own,) = party.create([{"name": "Example & Co", "code": "OWN"}])
    (found,) = company.create([{"party": own.id, "currency": euro.id}])
    return found


def _employees(pool, company):  # type: ignore[no-untyped-def]
    people = pool.get("party.party").create(
        [{"name": f"Executive {n}", "code": f"AE-{n}"} for n in range(1, EXECUTIVES + 1)]
    )
    return pool.get("company.employee").create([{"party": p.id, "company": company.id} for p in people])


def _users(pool, company, employee, password):  # type: ignore[no-untyped-def]
    """``sender`` may deliver, ``seller`` sells, ``guest`` may neither."""
    groups, users = pool.get("res.group"), pool.get("res.user")
    own = [g.id for g in groups.search([("name", "=", "CSQL Delivery")])]
    selling = [g.id for g in groups.search([("name", "in", ["Sales", "Sale Opportunity", "Sales Administrator"])])]
    belongs = {"companies": [("add", [company.id])], "company": company.id}
    users.create(
        [
            {"name": "Sender", "login": "sender", "password": password, "groups": [("add", own)], **belongs},
            {
                "name": "Seller",
                "login": "seller",
                "password": password,
                "groups": [("add", selling)],
                "employees": [("add", [employee.id])],
                "employee": employee.id,
                **belongs,
            },
            {"name": "Guest", "login": "guest", "password": password, **belongs},
        ]
    )


def _accounts(pool, number):  # type: ignore[no-untyped-def]
    """Customers ``A0000``, ``A0001`` and so on, by the module's field and by their codes."""
    party = pool.get("party.party")
    known = "csql_account_id" in party._fields
    party.create(
        [
            {
                "name": f"Account A{n:04d}",
                "code": f"A{n:04d}",
                "addresses": [("create", [{}])],
                **({"csql_account_id": f"A{n:04d}"} if known else {}),
            }
            for n in range(number)
        ]
    )


def _catalogue(pool, company):  # type: ignore[no-untyped-def]
    """Numbers for opportunities and sales."""
    kinds = {"sale_opportunity_sequence": "Sale Opportunity", "sale_sequence": "Sale"}
    configuration = pool.get("sale.configuration")(1)
    sequences = pool.get("ir.sequence")
    for field, name in kinds.items():
        if not configuration.get_multivalue(field, company=company.id):
            (found,) = sequences.search([("sequence_type.name", "=", name)], limit=1)
            configuration.set_multivalue(field, found.id, company=company.id)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4])
