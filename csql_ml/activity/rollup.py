"""The daily rollup as one expression: product events -> one row per account, user, day and day it became known.

Feature use is a compact set: one bit per configured feature, so that "different features used" is a bitwise or over
any span of days. The same expression runs on DuckDB, Spark and PostgreSQL.
"""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Any

import ibis
import ibis.expr.types as ir

from csql_ml.days import known_day, local_day

if TYPE_CHECKING:
    import pyarrow as pa

    from csql_ml.config import Config, OwnSignal
    from csql_ml.contract.report import Inputs

#: Columns that identify a row of the rollup.
GRAIN = ("account_id", "user_id", "day", "known_day")


@ibis.udf.agg.builtin(name="bit_or")  # type: ignore[untyped-decorator]
def bit_or(bits: int) -> int:  # type: ignore[empty-body]
    """Bitwise or of a column; every engine has it under this name, and Ibis has no rule of its own for Spark."""


def own_columns(config: Config) -> tuple[str, ...]:
    """The rollup's columns of ``signals.own``: a count and a quantity for each."""
    return tuple(column for name in config.signals.own for column in (f"own_{name}", f"own_{name}_quantity"))


def build(inputs: Inputs, config: Config) -> ir.Table:
    """Roll validated events up, in the memory of the engine they are in.

    Returns
    -------
    ir.Table
        See `rollup`.
    """
    return inputs.con.create_table("activity", rollup(inputs.tables["events"], config), temp=True)


def rollup(events: ir.Table, config: Config) -> ir.Table:
    """The rollup of validated events.

    Parameters
    ----------
    events
        Kept rows of the contract table, in their declared types.

    Returns
    -------
    ir.Table
        `GRAIN` (days are the company's) plus, per row: ``events`` (count), ``usage`` (sum of ``quantity``, default 1),
        ``core_events``, ``core_mask``, ``advanced_events``, ``advanced_mask``, ``gated_clicks``, ``gated_mask`` (bits
        of ``catalogue.modules``), ``upgrade_attempts``, ``workflow_starts``, ``workflow_completions``; for every name
        of ``signals.own`` a count ``own_<name>`` and a sum ``own_<name>_quantity``; and

        ``user_day``
            1 on the earliest known row of an account, user and day, else 0; 0 without a user.
        ``account_day``
            1 on one of the earliest known rows of an account and day, else 0.

        If any row of a day is known, its earliest known one is: sums of the last two over what is known count
        user-days and active days.
    """
    zone = config.company.time_zone
    days = events.mutate(day=local_day(events.occurred_at, zone), known_day=known_day("events", events, zone))
    quantity = events.quantity.fill_null(_decimal(1)) if "quantity" in events.columns else _decimal(1)
    signals = days.select(*GRAIN, quantity=quantity, **signals_of(days, config))
    return with_day_marks(_summed(signals, config)).select(*columns_of(config))


def counted(signals: ir.Table, config: Config) -> dict[str, Any]:
    """Per count of the rollup, whether an event counts (over the columns of `signals_of`)."""
    flags = {
        "core_events": signals.core_bit > 0,
        "advanced_events": signals.advanced_bit > 0,
        "gated_clicks": signals.is_gated,
        "upgrade_attempts": signals.is_upgrade,
        "workflow_starts": signals.is_start,
        "workflow_completions": signals.is_completion,
    }
    return flags | {f"own_{name}": signals[f"own_{name}"] for name in config.signals.own}


def masked(signals: ir.Table) -> dict[str, Any]:
    """Per feature set of the rollup, the bits of an event (over the columns of `signals_of`)."""
    return {"core_mask": signals.core_bit, "advanced_mask": signals.advanced_bit, "gated_mask": signals.gated_bit}


def columns_of(config: Config) -> tuple[str, ...]:
    """The rollup's columns in their order."""
    counts = ("events", "usage", "core_events", "core_mask", "advanced_events", "advanced_mask", "gated_clicks")
    rest = ("gated_mask", "upgrade_attempts", "workflow_starts", "workflow_completions")
    return (*GRAIN, *counts, *rest, *own_columns(config), "user_day", "account_day")


def no_rows(config: Config) -> pa.Table:
    """A rollup without rows."""
    import pyarrow as pa

    texts = dict.fromkeys(("account_id", "user_id"), pa.string())
    days = dict.fromkeys(("day", "known_day"), pa.date32())
    sums = {c: pa.decimal128(38, 6) for c in columns_of(config) if c == "usage" or c.endswith("_quantity")}
    types = texts | days | sums
    return pa.schema([(name, types.get(name, pa.int64())) for name in columns_of(config)]).empty_table()


def _summed(signals: ir.Table, config: Config) -> ir.Table:
    sums: dict[str, Any] = {"events": signals.count(), "usage": signals.quantity.sum()}
    for name, flag in counted(signals, config).items():
        sums[name] = _count(flag)
        if name.startswith("own_"):
            sums[f"{name}_quantity"] = ibis.ifelse(flag, signals.quantity, _decimal(0)).sum()
    sums |= {name: bit_or(bits) for name, bits in masked(signals).items()}
    return signals.group_by(list(GRAIN)).aggregate(**sums)


def with_day_marks(rows: ir.Table) -> ir.Table:
    """Mark the earliest known row of each user's and each account's day."""
    by_user = ibis.window(group_by=[rows.account_id, rows.user_id, rows.day])
    order = [ibis.asc(rows.known_day), ibis.asc(rows.user_id, nulls_first=False)]
    by_account = ibis.window(group_by=[rows.account_id, rows.day], order_by=order)
    first = (rows.known_day == rows.known_day.min().over(by_user)) & rows.user_id.notnull()
    return rows.mutate(
        user_day=first.cast("int64"), account_day=(ibis.row_number().over(by_account) == 0).cast("int64")
    )


def _count(flag: Any) -> Any:
    return flag.cast("int64").sum().cast("int64")


def _decimal(number: int) -> Any:
    return ibis.literal(number).cast("decimal(18, 6)")


def signals_of(events: ir.Table, config: Config) -> dict[str, Any]:
    """One flag or bit per mapped signal, from nothing but ``event_name`` and ``feature``."""
    names, what = config.signals, events.event_name
    is_gated, is_upgrade = _among(what, names.gated_clicks), _among(what, names.upgrade_attempts)
    used = ~(is_gated | is_upgrade)
    module_features = [m.features for m in config.catalogue.modules]
    return {
        "core_bit": _bits(events, [(f,) for f in names.core_features], used),
        "advanced_bit": _bits(events, [(f,) for f in names.advanced_features], used),
        "gated_bit": _bits(events, module_features, is_gated | is_upgrade),
        "is_gated": is_gated,
        "is_upgrade": is_upgrade,
        "is_start": _among(what, names.workflow_starts),
        "is_completion": _among(what, names.workflow_completions),
        **{f"own_{name}": _is_own(events, signal) for name, signal in names.own.items()},
    }


def _is_own(events: ir.Table, signal: OwnSignal) -> Any:
    return _among(events.event_name, signal.events) | _among(events.feature, signal.features)


def _among(value: Any, names: tuple[str, ...]) -> Any:
    return value.isin(list(names)).fill_null(False) if names else ibis.literal(False)


def _bits(events: ir.Table, groups: list[tuple[str, ...]], where: Any) -> Any:
    """2**i where the event's feature (or, without one, its name) is in the i-th group, else 0."""
    feature = ibis.coalesce(events.feature, events.event_name)
    bits = [ibis.ifelse(feature.isin(list(group)), 1 << i, 0).cast("int64") for i, group in enumerate(groups) if group]
    none = ibis.literal(0, type="int64")
    return ibis.ifelse(where, reduce(or_, bits, none), none) if bits else none
