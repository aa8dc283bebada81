"""Metrics that look ahead, found: the property every built-in metric is tested for, for metrics of one's own.

Random companies are made in which the signals of the configuration occur. News that become known at the cut-off
instant or later (rows that happen, rows recorded late, new versions, later facts) must not change a metric by one bit;
the same company at another time, its rows in another order, must have the same values. Besides, the metric's code is
searched for clocks, chance and data of its own, which no random company can show.

A metric that does not change either when the same news come one instant *before* the cut-off was not tested by them:
it is reported as ``silent``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd

from csql_ml.company import open_company
from csql_ml.config import Config
from csql_ml.errors import CsqlError, UsageError
from csql_ml.leak_check.reading import source_file, suspicious_calls, suspicious_expressions
from csql_ml.leak_check.tables import as_of_schemas, checked_config, write_world
from csql_ml.leak_check.worlds import Rows, World
from csql_ml.metrics import metrics_of, registry
from csql_ml.metrics.compiler import measures_of
from csql_ml.metrics.definition import Metric
from csql_ml.metrics.soundness import columns_of

#: The day that random companies are looked at, and how far another look is away: whole weeks, so that weekdays stay.
_AS_OF, _ELSEWHEN = date(2025, 12, 1), timedelta(days=364)

OnCompany = Callable[[int, int], None]


@dataclass(frozen=True)
class Finding:
    """Something that must not be.

    Attributes
    ----------
    of
        The metric, or the file of metrics whose code does it.
    """

    of: str
    message: str


@dataclass(frozen=True)
class LeakReport:
    """Result of `check_leaks`.

    Attributes
    ----------
    metrics
        The metrics that were checked.
    findings
        What was found, files first, then metrics in their order; empty: no leak was found.
    passed
        Metrics that nothing was found about, neither in them nor in their file, and that news can change.
    silent
        Metrics that no news changed, known early enough or not: nothing was shown about them.
    companies
        How many random companies they were checked on.
    """

    metrics: tuple[str, ...]
    findings: tuple[Finding, ...]
    passed: tuple[str, ...]
    silent: tuple[str, ...]
    companies: int

    @property
    def sound(self) -> bool:
        """Whether nothing was found."""
        return not self.findings


def check_leaks(
    config: Config,
    metrics: Sequence[str] | None = None,
    *,
    companies: int = 3,
    accounts: int = 40,
    seed: int = 7,
    on_company: OnCompany | None = None,
) -> LeakReport:
    """Check metrics for looking ahead, on random companies.

    Parameters
    ----------
    config
        Its signals, catalogue and own metrics are used; its data is not read.
    metrics
        Names; default: every metric that is not built in.
    companies, accounts
        How many random companies of how many accounts; each costs four snapshots, some seconds.
    seed
        Same seed, same companies.
    on_company
        Called with how many companies are done and how many there will be.

    Raises
    ------
    ConfigError
        A definition cannot be read or is not sound.
    UsageError
        There is no such metric, or none to check.

    Examples
    --------
    >>> from csql_ml.config import Config
    >>> check_leaks(Config(), ["active_days"], companies=1, accounts=3).sound
    True
    """
    chosen = _chosen(config, metrics)
    names = [m.name for m in chosen]
    reach = max((period.reach for m in chosen for _, period in measures_of(m, config)), default=0)
    files = dict.fromkeys(file for m in chosen if (file := source_file(m)) is not None)
    found = [Finding(str(file), message) for file in files for message in suspicious_calls(file)]
    with TemporaryDirectory(prefix="csql-leaks-") as folder:
        world = World(config, _AS_OF, seed, accounts, max(reach, 60))
        looks = _Looks(chosen, world, Path(folder))
        looks.set_aside()
        for number in range(companies):
            looks.world = replace(world, seed=seed + number)
            looks.look_everywhere()
            if on_company is not None:
                on_company(number + 1, companies)
    order = {name: i for i, name in enumerate(names)}
    found += sorted(dict.fromkeys(looks.found), key=lambda f: order[f.of])
    told = {finding.of for finding in found}
    doubtful = {m.name for m in chosen if m.name in told or str(source_file(m)) in told}
    passed = tuple(n for n in names if n in looks.moved - doubtful)
    silent = tuple(n for n in names if n not in looks.moved | doubtful)
    return LeakReport(tuple(names), tuple(found), passed, silent, companies)


def _chosen(config: Config, names: Sequence[str] | None) -> list[Metric]:
    known = metrics_of(config)
    if names is None:
        names = [name for name in known if name not in registry()]
        if not names:
            raise UsageError(
                "there is no metric of your own to check: none in own_metrics or metric_files of the configuration, "
                "and no installed package has one"
            )
    unknown = [name for name in names if name not in known]
    if unknown:
        raise UsageError(f"there is no metric {unknown[0]!r}; csql metrics lists them")
    return [known[name] for name in names]


class _Looks:
    """Snapshots of random companies: as they are, with news, and at another time.

    Attributes
    ----------
    metrics
        Those that are looked at.
    found, moved
        What changed and must not; names of metrics that news can change at all.
    """

    def __init__(self, metrics: Sequence[Metric], world: World, folder: Path) -> None:
        self.metrics, self.world = list(metrics), world
        self.found: list[Finding] = []
        self.moved: set[str] = set()
        self._folder, self._count = folder, 0

    def set_aside(self) -> None:
        """Note what can be seen of the metrics without a look, and look no more at those that have it."""
        schemas = as_of_schemas(self.world.config)
        self._keep_without({m.name: suspicious_expressions(m, self.world.config, schemas) for m in self.metrics})

    def _keep_without(self, reasons: Mapping[str, Sequence[str]]) -> None:
        self.found += [Finding(name, message) for name, messages in reasons.items() for message in messages]
        self.metrics = [m for m in self.metrics if not reasons.get(m.name)]

    def look_everywhere(self) -> None:
        """Compare one company with itself at another time and with news."""
        world = self.world
        other = replace(world, as_of=world.as_of + _ELSEWHEN)
        plain = self._first_look()
        if not self.metrics:
            return
        for look, message in (
            (self._look(world.with_news(), world.as_of), "news known at or after the cut-off change its value"),
            (
                self._look(other.shuffled(), other.as_of),
                "the same company at another time, its rows in another order, has other values",
            ),
        ):
            self.found += [Finding(name, f"{message} ({where})") for name, where in self._changes(plain, look)]
        early = self._look(world.with_news(earlier=True), world.as_of)
        self.moved |= {name for name, _ in self._changes(plain, early)}

    def _first_look(self) -> pd.DataFrame:
        """The company as it is; metrics that the engine refuses are set aside."""
        rows, as_of = self.world.base, self.world.as_of
        try:
            return self._look(rows, as_of)
        except CsqlError:
            raise
        except Exception:  # noqa: BLE001 - the engine's refusal of anybody's formula
            self._keep_without({m.name: self._refusal(m) for m in self.metrics})
            return self._look(rows, as_of)

    def _refusal(self, metric: Metric) -> list[str]:
        """Why a metric cannot be computed, if so."""
        alone = _Looks([metric], self.world, self._folder / metric.name)
        try:
            alone._look(self.world.base, self.world.as_of)
        except Exception as error:  # noqa: BLE001 - see above
            return [f"it cannot be computed: {' '.join(str(error).split())[:300]}"]
        return []

    def _changes(self, plain: pd.DataFrame, look: pd.DataFrame) -> Iterator[tuple[str, str]]:
        """Metrics with another value, to the last bit, in any account; and the first such place."""
        for metric in self.metrics:
            columns = [c for c in plain.columns if c in columns_of(metric) or c.startswith(f"{metric.name}.")]
            one, other = plain[columns], look[columns].reindex(plain.index)
            differs = ~((one == other) | (one.isna() & other.isna()))
            if differs.to_numpy().any():
                column = differs.any().idxmax()
                yield metric.name, f"column {column}, account {differs[column].idxmax()} of company {self.world.seed}"

    def _look(self, rows: Rows, as_of: date) -> pd.DataFrame:
        """Features and facts of every account."""
        self._count += 1
        folder = self._folder / str(self._count)
        write_world(rows, folder)
        with open_company(checked_config(self.world.config, self.metrics, folder)) as company:
            built = company.builder.build(as_of)
        frames = [built.features.drop(columns="as_of"), built.facts]
        return pd.concat([f.set_index("account_id") for f in frames], axis=1)
