"""History: earlier leads and expansions and what became of them, as known then."""

from __future__ import annotations

from csql_ml.metrics import measures as M
from csql_ml.metrics.definition import Metric

earlier_csqls = Metric(
    name="earlier_csqls",
    part="history",
    direction=0,
    unit="count",
    formula=lambda at: at(M.EARLIER_LEADS),
    label="earlier CSQLs",
    description="Leads raised before, renewals and churn saves not counted.",
    sentence="{value} earlier CSQLs",
    shown=False,
)

earlier_csqls_won = Metric(
    name="earlier_csqls_won",
    part="history",
    direction=0,
    unit="count",
    formula=lambda at: at(M.EARLIER_WINS),
    label="earlier CSQLs won",
    description="Leads raised before that are known to be won.",
    sentence="{value} earlier CSQLs were won",
    shown=False,
)

earlier_csqls_rejected = Metric(
    name="earlier_csqls_rejected",
    part="history",
    direction=0,
    unit="count",
    formula=lambda at: at(M.EARLIER_REJECTIONS),
    label="earlier CSQLs rejected",
    description="Leads raised before that sales is known to have rejected.",
    sentence="{value} earlier CSQLs were rejected",
    shown=False,
)

days_since_failed_csql = Metric(
    name="days_since_failed_csql",
    part="history",
    direction=0,
    unit="days",
    formula=lambda at: at(M.LAST_FAILURE),
    label="days since a rejected or lost CSQL",
    description="Days since the newest lead that was rejected or lost; missing where there is none.",
    sentence="the last rejected or lost CSQL was {value} days ago",
    shown=False,
)

earlier_expansions = Metric(
    name="earlier_expansions",
    part="history",
    direction=0,
    unit="count",
    formula=lambda at: at(M.EARLIER_EXPANSIONS),
    label="earlier expansions won",
    description="Expansion opportunities known to be won, whatever their source.",
    sentence="{value} expansions won earlier",
    shown=False,
)
