"""The population: accounts with their traits, customer success managers and their portfolios, names."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from csql_ml.simulate.timeline import NEVER, Flags, Floats, Ints, Timeline

SEGMENTS = ("smb", "mid_market", "enterprise")
INDUSTRIES = ("Manufacturing", "Logistics", "Retail", "Healthcare", "Software", "Finance", "Education", "Public sector")
REGIONS = ("DACH", "UK & Ireland", "France", "Iberia", "Nordics")
_REGION_SHARES = np.array([0.38, 0.22, 0.17, 0.13, 0.10])
#: The proof of concept begins with the managers of this region.
EARLY_REGION = 0
ACCOUNTS_PER_CSM, ACCOUNTS_PER_AE = 40, 90
#: Ordinary sizes: median and spread (log) of licensed seats.
MEDIAN_SEATS, SEATS_SPREAD = 10.0, 1.15


@dataclass(frozen=True)
class Traits:
    """What an account is and stays; arrays of one value per account.

    Attributes
    ----------
    join_day
        Day it becomes a customer within the simulation; before day 0 for those who were there at the start.
    seats
        Licensed seats of the first term.
    pull
        Log of demand for seats / seats that the account tends to.
    intensity, maturity, satisfaction
        Log of usage per user; how well it works with the product; how content it is. Not in any table.
    effect
        Unobserved readiness to buy, in log-odds.
    liking
        Module it likes best.
    sponsor_since
        Day since which the first executive sponsor has been there, `NEVER` where none is known; counted from joining
        for those who join later.
    """

    join_day: Ints
    seats: Ints
    plan: Ints
    discount: Floats
    pull: Floats
    intensity: Floats
    maturity: Floats
    satisfaction: Floats
    effect: Floats
    liking: Ints
    answers: Flags
    survey_month: Ints
    notice_days: Ints
    sponsor_since: Ints

    def take(self, accounts: Ints) -> Traits:
        """The traits of some accounts, repeated where an account is."""
        return Traits(**{f.name: getattr(self, f.name)[accounts] for f in fields(self)})

    def __len__(self) -> int:
        return len(self.seats)


@dataclass(frozen=True)
class Company:
    """Accounts as the CRM shows them, and who looks after them; arrays of one value per account."""

    traits: Traits
    names: tuple[str, ...]
    segment: Ints
    industry: Ints
    region: Ints
    employees: Ints
    csm: Ints
    ae: Ints
    parent: Ints
    csm_region: Ints
    poc_csms: Flags

    def __len__(self) -> int:
        return len(self.traits)

    def covered(self, quarter: int) -> Flags:
        """Whether an account is worked in a quarter: nobody in the first, the POC in the second, then all."""
        if quarter >= 2:
            return np.ones(len(self), dtype=bool)
        return self.poc_csms[self.csm] if quarter == 1 else np.zeros(len(self), dtype=bool)


def found(accounts: int, timeline: Timeline, seed: int, size: float) -> Company:
    """A company with so many customers.

    Parameters
    ----------
    size
        Factor on ordinary seat counts, for companies whose customers do little in the product.
    """
    rng = np.random.default_rng([seed, 1])
    traits = _traits(accounts, timeline, rng, size)
    segment = np.searchsorted([25, 120], traits.seats, side="right")
    region = rng.choice(len(REGIONS), accounts, p=_REGION_SHARES)
    csm, csm_region = _portfolios(region, rng)
    employees = np.round(traits.seats * np.exp(rng.normal(1.6, 0.7, accounts))) + 2
    return Company(
        traits=traits,
        names=_names(accounts, rng),
        segment=segment,
        industry=rng.choice(len(INDUSTRIES), accounts, p=[0.2, 0.13, 0.15, 0.1, 0.18, 0.12, 0.07, 0.05]),
        region=region,
        employees=employees.astype(np.int64),
        csm=csm,
        ae=rng.integers(0, max(2, accounts // ACCOUNTS_PER_AE), accounts),
        parent=_parents(traits.seats, rng),
        csm_region=csm_region,
        poc_csms=_poc(csm, csm_region),
    )


def _traits(accounts: int, timeline: Timeline, rng: np.random.Generator, size: float) -> Traits:
    seats = np.exp(rng.normal(np.log(MEDIAN_SEATS * size), SEATS_SPREAD, accounts))
    seats = np.clip(np.round(seats), 3, 2000).astype(np.int64)
    join_day = _join_days(accounts, timeline, rng)
    sponsor_since = np.maximum(join_day, -rng.integers(1, 700, accounts))
    relative = np.log(seats / (MEDIAN_SEATS * size))
    drive = rng.normal(0.0, 1.0, accounts)  # lies behind several traits, so that signals come together
    return Traits(
        join_day=join_day,
        seats=seats,
        plan=np.clip(np.floor(rng.normal(0.7, 0.6, accounts) + 0.2 * np.log(seats / 10)), 0, 2).astype(np.int64),
        discount=np.round(np.exp(rng.normal(-0.05, 0.1, accounts)) * (seats / 10.0) ** -0.06, 3),
        pull=-0.41 + 0.22 * rng.normal(0.0, 1.0, accounts) + 0.10 * drive + 0.07 * relative,
        intensity=rng.normal(0.0, 0.3, accounts),
        maturity=0.8 * rng.normal(0.0, 1.0, accounts) + 0.6 * drive,
        satisfaction=0.9 * rng.normal(0.0, 1.0, accounts) + 0.4 * drive,
        effect=rng.normal(0.0, 0.2, accounts),
        liking=rng.integers(0, 3, accounts),
        answers=rng.random(accounts) < 0.75,
        survey_month=rng.integers(0, 3, accounts),
        notice_days=rng.integers(10, 46, accounts),
        sponsor_since=np.where(rng.random(accounts) < 0.6, sponsor_since, NEVER),
    )


def _join_days(accounts: int, timeline: Timeline, rng: np.random.Generator) -> Ints:
    """About 3 % of the accounts join per quarter; the others joined in the five years before."""
    later = rng.random(accounts) < 0.03 * timeline.quarters / (1.0 + 0.03 * timeline.quarters)
    within = rng.integers(0, timeline.end, accounts)
    before = -1 - (1800 * rng.random(accounts) ** 1.3).astype(np.int64)
    return _within_28(np.where(later, within, before), timeline)


def _within_28(day: Ints, timeline: Timeline) -> Ints:
    """Days 2 to 28 of a month: anniversaries always exist and never fall on a quarter's first day."""
    dates = timeline.dates(day)
    of_month: Ints = (dates - dates.astype("M8[M]").astype("M8[D]")).astype(np.int64)
    moved: Ints = day - np.maximum(of_month - 27, 0) + (of_month == 0)
    return moved


def _portfolios(region: Ints, rng: np.random.Generator) -> tuple[Ints, Ints]:
    """Customer success managers, each in one region, with uneven shares of its accounts."""
    csm = np.zeros(len(region), dtype=np.int64)
    csm_region: list[int] = []
    for code in range(len(REGIONS)):
        here = np.flatnonzero(region == code)
        count = max(1, round(len(here) / ACCOUNTS_PER_CSM))
        shares = rng.dirichlet(np.full(count, 4.0))
        csm[here] = len(csm_region) + rng.choice(count, len(here), p=shares)
        csm_region += [code] * count
    return csm, np.array(csm_region)


def _poc(csm: Ints, csm_region: Ints) -> Flags:
    """About half of the managers by accounts; those of `EARLY_REGION` first."""
    order = np.lexsort((np.arange(len(csm_region)) * 7 % 5, csm_region != EARLY_REGION))
    accounts = np.bincount(csm, minlength=len(csm_region))[order]
    chosen = np.zeros(len(csm_region), dtype=bool)
    chosen[order[np.cumsum(accounts) - accounts / 2 <= len(csm) / 2]] = True
    return chosen


def _parents(seats: Ints, rng: np.random.Generator) -> Ints:
    """Index of the parent account, or `NEVER`: one in twenty belongs to a larger account without a parent."""
    parent = np.full(len(seats), NEVER)
    order = np.argsort(-seats, kind="stable")
    heads = order[: max(1, len(seats) // 20)]
    children = order[len(heads) :][rng.random(len(seats) - len(heads)) < 0.05]
    parent[children] = rng.choice(heads, len(children))
    return parent


_FIRST = (
    *("Nord", "Alpen", "Hansa", "Rhein", "Grün", "Blau", "Köln", "Süd", "Zürich", "Öko", "Silver", "Oak", "North"),
    *("Harbour", "Bright", "Stone", "Río", "Sol", "Année", "Étoile", "Lumière", "Côte", "Žito", "Łódź", "Ørsted"),
    *("Ångström", "Fjord", "Skåne", "Mávila", "Señal", "Vega", "Atlas", "Delta", "Kite", "Lotus", "Ember", "Quant"),
)
_SECOND = (
    *("werk", "technik", "bau", " Logistik", " Handel", " Pharma", "soft", " Energie", " & Söhne", " Systems"),
    *(" Foods", " Health", " Partners", " Media", " Conseil", " Hôtels", " Moda", " Industria", " Labs", " Textil"),
)
_FORM = ("GmbH", "AG", "Ltd", "SA", "SL", "AB", "AS", "Group", "KG", "SAS")


def _names(accounts: int, rng: np.random.Generator) -> tuple[str, ...]:
    """Invented names in several scripts' letters; some bear the same name, as in every CRM."""
    draws = rng.integers(0, (len(_FIRST), len(_SECOND), len(_FORM)), (accounts, 3))
    return tuple(f"{_FIRST[a]}{_SECOND[b]} {_FORM[c]}" for a, b, c in draws)


def account_ids(count: int) -> npt.NDArray[np.str_]:
    """Keys of accounts."""
    return np.char.mod("A%06d", np.arange(1, count + 1))
