"""How often an experiment's interval covers the true effect, on simulated companies in which that effect is known.

    python benchmarks/experiment_coverage.py [--seeds 400] [--accounts 240 600 1500] [--csms 25] [--write FILE]

Per seed a company lives through three quarters. In the second one, leads are raised only in the accounts that the plan
of ``csql poc plan`` has drawn to be worked; expansions that sales finds alone happen everywhere. The experiment is read
with the code of ``csql poc read``. The truth is what the same company would have done had all of its accounts been
worked, less what it would have done had none been, summed over all seeds: in the simulation an account's luck does not
depend on other accounts', so both are known of every account. With --write, the table replaces the part of the page
between the markers of this benchmark.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import date
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from benchmarks.page import write
from csql_ml.config import Config
from csql_ml.outcomes.effects import ARR, NRR, PARTS, RATE, effects
from csql_ml.outcomes.experiment_accounts import account_outcomes
from csql_ml.outcomes.facts import COLUMNS, Facts, typed
from csql_ml.outcomes.plan_file import Unit
from csql_ml.outcomes.planning import planned
from csql_ml.simulate import records, sales
from csql_ml.simulate.company import Company, account_ids, found
from csql_ml.simulate.contracts import Books, Ledger
from csql_ml.simulate.dynamics import live
from csql_ml.simulate.events import Names
from csql_ml.simulate.funnel import Leads, raise_leads
from csql_ml.simulate.history import History
from csql_ml.simulate.state import initial
from csql_ml.simulate.timeline import END, NEVER, Timeline

_QUARTERS, _WORKED, _SCALE = 3, 1, 8.0
_HEAD = (
    "randomised",
    "units",
    "seeds",
    "outcome",
    "true effect",
    "covered",
    "truth below",
    "truth above",
    "half width",
)
_MARKS = "<!-- experiment -->", "<!-- /experiment -->"
_CONFIG = Config()


@dataclass(frozen=True)
class Experimental(Company):
    """A company in which some accounts are worked in the second quarter, and none before or after."""

    worked: npt.NDArray[np.bool_]

    def covered(self, quarter: int) -> npt.NDArray[np.bool_]:
        return self.worked if quarter == _WORKED else np.zeros(len(self), dtype=bool)


def lived(company: Company, seed: int, worked: npt.NDArray[np.bool_]) -> History:
    """The company's three quarters if these accounts are worked; an account's luck depends on the seed alone."""
    timeline = Timeline.of(_QUARTERS)
    firm = Experimental(**{f.name: getattr(company, f.name) for f in fields(Company)}, worked=worked)
    ledger, traits = Ledger(), company.traits
    state = initial(traits, timeline, np.random.default_rng([seed, 2]))
    Books(state, traits, timeline, ledger).open()
    open_until, leads = np.full(len(firm), NEVER), []
    for quarter in range(_QUARTERS):
        rng = np.random.default_rng([seed, 4, quarter])
        leads.append(raise_leads(state, firm, quarter, timeline, rng, open_until)[0])
        for month in timeline.months(quarter):
            live(state, traits, month, timeline, rng, _SCALE, ledger)
    return History(firm, timeline, (), ledger, Leads.stack(leads), (), state)


def known(history: History, seed: int) -> Facts:
    """The funnel's tables as they are read from files, known at the end."""
    names = Names(pa.array(account_ids(len(history.company)), pa.string()))
    rng = np.random.default_rng([seed, 6])
    tables = {"opportunities": sales.opportunities, "contracts": records.contract_rows}
    frames = {name: _day_counts(layout(history, names, rng), COLUMNS[name]) for name, layout in tables.items()}
    accounts = pd.DataFrame({"account_id": names.accounts.to_pylist()})
    accounts["csm_id"] = [f"csm-{c}" for c in history.company.csm]
    no_leads = typed(pd.DataFrame(columns=list(COLUMNS["csqls"])))
    return Facts(END, typed(accounts), frames["contracts"], no_leads, frames["opportunities"], True)


def _day_counts(table: pa.Table, columns: tuple[str, ...]) -> pd.DataFrame:
    """Columns of a table with day counts to the end in the place of times."""
    end, found = np.datetime64(END, "D"), {}
    for name in table.column_names:
        counted = f"{name.removesuffix('_at').removesuffix('_date')}_days_ago"
        if counted in columns:
            days = table.column(name).cast(pa.timestamp("us")).to_numpy().astype("M8[D]")
            found[counted] = np.where(np.isnat(days), np.nan, (end - days).astype(float))
        elif name in columns:
            found[name] = table.column(name).to_pandas()
    return typed(pd.DataFrame(found))


@dataclass(frozen=True)
class Experiment:
    """One seed: differences and intervals per outcome, and the sums the truth is made of."""

    found: Mapping[str, tuple[float, float, float]]
    sums: npt.NDArray[np.float64]


def experiment(accounts: int, unit: Unit, seed: int) -> Experiment:
    """Plan, live through and read one experiment."""
    timeline = Timeline.of(_QUARTERS)
    company = found(accounts, timeline, seed, 1.0)
    start, end = (timeline.date(timeline.starts[q]) for q in (_WORKED, _WORKED + 1))
    none = np.zeros(accounts, dtype=bool)
    nobody = known(lived(company, seed, none), seed)
    plan = planned(_before(nobody, start), _CONFIG, f"experiment {seed}", (start, end), unit)
    units = pd.DataFrame(list(plan.units))
    chosen = set(units.loc[units["worked"], "account_id"])
    worked = np.array([a in chosen for a in account_ids(accounts)])
    worlds = [
        account_outcomes(facts, units["account_id"], start, plan.complete_from)
        for facts in (known(lived(company, seed, worked), seed), known(lived(company, seed, ~none), seed), nobody)
    ]
    read = effects(worlds[0].assign(unit=units["unit"], worked=units["worked"]), unit, plan.confidence)
    sums = [
        [w.assign(accounts=1.0)[list(PARTS[o])].to_numpy().sum(axis=0) for o in (RATE, ARR, NRR)] for w in worlds[1:]
    ]
    nothing = (np.nan, np.nan, np.nan)
    return Experiment(
        {e.outcome: nothing if e.low is None else (e.difference, e.low, e.high) for e in read},  # type: ignore[misc]
        np.array(sums),
    )


def _before(facts: Facts, day: date) -> Facts:
    """The facts as known on an earlier day, for the plan: contracts in force then, opportunities closed before."""
    ago = facts.days_ago(day)

    def shifted(frame: pd.DataFrame) -> pd.DataFrame:
        days = [c for c in frame.columns if c.endswith("_days_ago")]
        moved = frame.assign(**{c: frame[c] - ago for c in days})
        for column in set(days) & {"closed_days_ago"}:
            moved[column] = moved[column].where(moved[column] >= 1)
        return moved

    opportunities = None if facts.opportunities is None else shifted(facts.opportunities)
    return Facts(day, facts.accounts, shifted(facts.contracts), shifted(facts.csqls), opportunities, True)


def rows(accounts: int, unit: Unit, seeds: int) -> Iterator[str]:
    """The table's rows of one size and kind of experiment."""
    done = [experiment(accounts, unit, seed) for seed in range(seeds)]
    worked, nobody = sum(e.sums for e in done)  # each (outcomes, 2)
    truths = worked[:, 0] / worked[:, 1] - nobody[:, 0] / nobody[:, 1]
    units = "accounts" if unit == "account" else "CSMs"
    count = accounts if unit == "account" else len(set(found(accounts, Timeline.of(_QUARTERS), 0, 1.0).csm.tolist()))
    for outcome, truth in zip((RATE, ARR, NRR), truths, strict=True):
        values = np.array([e.found[outcome] for e in done])
        values = values[~np.isnan(values[:, 0])]
        below, above = (truth < values[:, 1]).mean(), (truth > values[:, 2]).mean()
        scale, digits = (1.0, 0) if outcome == ARR else (100.0, 1)
        words = [f"{v * scale:,.{digits}f}" for v in (truth, np.median(values[:, 2] - values[:, 1]) / 2)]
        shares = [f"{1 - below - above:.1%}", f"{below:.1%}", f"{above:.1%}"]
        name = f"{outcome}, {'EUR' if outcome == ARR else 'points'}"
        yield "| " + " | ".join([units, f"{count:,}", str(len(values)), name, words[0], *shares, words[1]]) + " |"


def lines(accounts: list[int], csms: int, seeds: int) -> Iterator[str]:
    """The table, row by row as Markdown."""
    yield "| " + " | ".join(_HEAD) + " |"
    yield "|---|---:|---:|---|" + "---:|" * 5
    for size in accounts:
        yield from rows(size, "account", seeds)
    if csms:
        yield from rows(csms * 40, "csm", seeds)


def main() -> None:
    """Print the table, and write it where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--accounts", type=int, nargs="*", default=[240, 600, 1500])
    parser.add_argument("--csms", type=int, default=25, help="portfolios of the experiment by CSM; 0: none")
    parser.add_argument("--seeds", type=int, default=400)
    parser.add_argument("--write", type=Path, metavar="FILE")
    given = parser.parse_args()
    started = time.perf_counter()
    table = []
    for line in lines(given.accounts, given.csms, given.seeds):
        print(line, flush=True)
        table.append(line)
    print(f"{time.perf_counter() - started:.0f} s")
    if given.write is not None:
        write(given.write, _MARKS, "\n".join(table))


if __name__ == "__main__":
    main()
