"""A funnel in a few small text tables, and the report on it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

import pandas as pd

from csql_ml.config import Config
from csql_ml.outcomes.facts import Facts, facts_of
from csql_ml.outcomes.lead_book import read_runs
from csql_ml.outcomes.measure import Measured, measured, quarter_day
from tests.properties.typed_inputs import typed_inputs
from tests.small_company import rows

AS_OF = date(2026, 7, 1)
ACCOUNTS = """
account_id | name | created_at | csm_id
a1         | A    | 2025-01-01 | c1
a2         | B    | 2025-01-01 | c1
a3         | C    | 2025-01-01 | c2
a4         | D    | 2025-01-01 | c2
"""
CONTRACTS = """
account_id | product  | seats | arr   | start_date | end_date
a1         | Platform | 10    | 10000 | 2025-01-01 | 2027-01-01
a1         | Module   | 10    | 2000  | 2026-05-01 | 2027-01-01
a2         | Platform | 10    | 5000  | 2025-01-01 | 2026-06-01
a3         | Platform | 10    | 5000  | 2025-01-01 | 2027-01-01
a4         | Platform | 10    | 4000  | 2026-06-01 | 2027-01-01
"""


def table(text: str) -> list[dict[str, Any]]:
    return [{k: v or None for k, v in row.items()} for row in rows(text)]


def facts(as_of: date = AS_OF, config: Config | None = None, **tables: str | list[dict[str, Any]]) -> Facts:
    """Facts of the company above with these tables beside it, or in place of its own."""
    given: Mapping[str, Any] = {"accounts": ACCOUNTS, "contracts": CONTRACTS, **tables}
    typed = typed_inputs({n: table(t) if isinstance(t, str) else t for n, t in given.items()})
    return facts_of(typed, config or Config(), as_of)


def report(
    as_of: date = AS_OF,
    quarter: str | None = None,
    runs: pd.DataFrame | None = None,
    config: Config | None = None,
    **tables: str | list[dict[str, Any]],
) -> Measured:
    """The funnel report of the company above."""
    config = config or Config.model_validate({"outcomes": {"nrr_quarters": 1}})
    known = facts(as_of, config, **tables)
    return measured(known, read_runs([]) if runs is None else runs, config, quarter and quarter_day(quarter, config))
