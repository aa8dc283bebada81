"""Product events -> daily rollup: one row per account, user, day and day on which it became known.

The rollup is what every usage metric is computed from; raw events are read once. Feature use is a compact set: one
bit per configured feature, so that "different features used" is a bitwise or over any span of days.
"""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Any

import ibis
import ibis.expr.types as ir

from csql_ml.days import known_day, local_day

if TYPE_CHECKING:
    from csql_ml.config import Config
    from csql_ml.contract.validate import Inputs

#: Columns that identify a row of the rollup.
GRAIN = ("account_id", "user_id", "day", "known_day")


def build(inputs: Inputs, config: Config) -> ir.Table:
    """Roll the validated events up to account, user and day.

    Returns
    -------
    ir.Table
        `GRAIN` plus, per row: ``events`` (count), ``usage`` (sum of ``quantity``, default 1), ``core_events``,
        ``core_mask``, ``advanced_events``, ``advanced_mask``, ``gated_clicks``, ``gated_mask`` (bits of
        ``catalogue.modules``), ``upgrade_attempts``, ``workflow_starts``, ``workflow_completions``. Days are the
        company's.
    """
    return inputs.con.create_table("activity", rollup(inputs.tables["events"], config), temp=True)


def rollup(events: ir.Table, config: Config) -> ir.Table:
    """The rollup as an expression; see `build`."""
    zone = config.company.time_zone
    days = events.mutate(day=local_day(events.occurred_at, zone), known_day=known_day("events", events, zone))
    signals = _signals(days, config)
    return signals.group_by(list(GRAIN)).aggregate(
        events=signals.count(),
        usage=signals.quantity.sum(),
        core_events=_count(signals.core_bit > 0),
        core_mask=signals.core_bit.bit_or(),
        advanced_events=_count(signals.advanced_bit > 0),
        advanced_mask=signals.advanced_bit.bit_or(),
        gated_clicks=_count(signals.is_gated),
        gated_mask=signals.gated_bit.bit_or(),
        upgrade_attempts=_count(signals.is_upgrade),
        workflow_starts=_count(signals.is_start),
        workflow_completions=_count(signals.is_completion),
    )


def _count(flag: Any) -> Any:
    return flag.fill_null(False).cast("int64").sum()


def _signals(events: ir.Table, config: Config) -> ir.Table:
    """One flag or bit per mapped signal; all else about the event is left behind."""
    names, what = config.signals, events.event_name
    is_gated, is_upgrade = _among(what, names.gated_clicks), _among(what, names.upgrade_attempts)
    used = ~(is_gated | is_upgrade)
    module_features = [m.features for m in config.catalogue.modules]
    one = ibis.literal(1).cast("decimal(18, 6)")
    return events.select(
        *GRAIN,
        quantity=events.quantity.fill_null(one) if "quantity" in events.columns else one,
        core_bit=_bits(events, [(f,) for f in names.core_features], used),
        advanced_bit=_bits(events, [(f,) for f in names.advanced_features], used),
        gated_bit=_bits(events, module_features, is_gated | is_upgrade),
        is_gated=is_gated,
        is_upgrade=is_upgrade,
        is_start=_among(what, names.workflow_starts),
        is_completion=_among(what, names.workflow_completions),
    )


def _among(value: Any, names: tuple[str, ...]) -> Any:
    return value.isin(list(names)).fill_null(False) if names else ibis.literal(False)


def _bits(events: ir.Table, groups: list[tuple[str, ...]], where: Any) -> Any:
    """2**i where the event's feature (or, without one, its name) is in the i-th group, else 0."""
    feature = ibis.coalesce(events.feature, events.event_name)
    bits = [ibis.ifelse(feature.isin(list(group)), 1 << i, 0).cast("int64") for i, group in enumerate(groups) if group]
    none = ibis.literal(0, type="int64")
    return ibis.ifelse(where, reduce(or_, bits, none), none) if bits else none
