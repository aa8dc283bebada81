"""Required columns that a source may lack: a constant or an empty value stands in, which says nothing untrue."""

from __future__ import annotations

from typing import NamedTuple


class StandIn(NamedTuple):
    """SQL in the place of a column, and what that means: whole sentences."""

    sql: str
    remark: str


#: By contract table and column.
STAND_INS: dict[str, dict[str, StandIn]] = {
    "contracts": {
        "product": StandIn(
            "'Product'",
            "No column names the product, so every contract gets the one name 'Product'. That is right if you sell one "
            "product; else name the column.",
        ),
        "end_date": StandIn(
            "CAST(NULL AS DATE)",
            "No column says when a contract ends, so every contract is open-ended here and nothing is known of "
            "renewals.",
        ),
    },
    "events": {
        "user_id": StandIn("CAST(NULL AS VARCHAR)", "Events name no user: what counts users goes missing."),
        "event_name": StandIn(
            "'feature_used'",
            "No column names the event. As every row is the use of a feature, all are called 'feature_used'.",
        ),
    },
}
