"""All checks of one run, put together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from csql_ml.company import open_company
from csql_ml.errors import UsageError
from csql_ml.model import bundle as bundles
from csql_ml.model.distributions import Distributions
from csql_ml.monitoring import arrivals as arriving
from csql_ml.monitoring import drift as drifting
from csql_ml.monitoring import realised as realising
from csql_ml.monitoring import reasons as reasoning
from csql_ml.monitoring.arrivals import Arrivals
from csql_ml.monitoring.drift import Drift
from csql_ml.monitoring.findings import Finding, ordered
from csql_ml.monitoring.realised import Realised
from csql_ml.monitoring.reasons import Churn
from csql_ml.monitoring.run_values import RunValues, read_values
from csql_ml.run_files import MANIFEST

if TYPE_CHECKING:
    from csql_ml.company import Progress
    from csql_ml.config import Config

Origin = Literal["champion", "bundle", "run"]


@dataclass(frozen=True)
class Reference:
    """What a run was held against: the champion's training, a bundle that was named, or an earlier run."""

    origin: Origin
    name: str
    distributions: Distributions


@dataclass(frozen=True)
class Monitored:
    """Result of `monitor`.

    Attributes
    ----------
    now
        The day stood on: outcomes are those known before it. None where the run needs no tables.
    reference
        None where there is nothing to compare with; a finding says why.
    realised
        The run and the earlier ones given, oldest first.
    findings
        Alarms first.
    """

    run: RunValues
    now: date | None
    reference: Reference | None
    drift: tuple[Drift, ...]
    realised: tuple[Realised, ...]
    arrivals: Arrivals | None
    churn: Churn | None
    findings: tuple[Finding, ...]

    @property
    def alarms(self) -> tuple[Finding, ...]:
        return tuple(f for f in self.findings if f.level == "alarm")


def monitor(
    config: Config,
    run: Path,
    *,
    earlier: Sequence[Path] = (),
    reference: Path | None = None,
    now: date | None = None,
    on_progress: Progress | None = None,
) -> Monitored:
    """Check one run.

    Parameters
    ----------
    run
        Folder written by `csql score`.
    earlier
        Earlier runs: for realised results, for reasons, and as reference where the champion keeps none.
    reference
        A run or a bundle to hold the run against; default: what its champion was trained on.
    now
        The day to stand on; default: the day after the newest row became known.

    Raises
    ------
    OutputError, BundleError
        A folder is not what it should be.
    UsageError
        An earlier run is not earlier.
    """
    settings = config.monitoring
    values = read_values(run, settings.most_accounts, settings.seed)
    before = [read_values(folder, settings.most_accounts, settings.seed) for folder in earlier]
    before.sort(key=lambda r: (r.as_of, str(r.folder)))
    late = [r for r in before if r.as_of >= values.as_of]
    if late:
        raise UsageError(
            f"--earlier {late[0].folder} is as of {late[0].as_of}, --run as of {values.as_of}; name earlier runs only"
        )
    newest = before[-1] if before else None
    held, why = _reference(config, values, newest, reference)
    drifts = drifting.compare(held.distributions, values, settings) if held else ()
    churn = reasoning.churn(values, newest, config) if newest else None
    own, today, results, arrived = bool(values.manifest.get("own_features")), None, [], None
    if not own:
        with open_company(config, on_progress=on_progress) as company:
            today = now or company.today
            results = [realising.realised(r, company, today, config) for r in (*before, values)]
            arrived = arriving.arrivals(company, values.as_of, config)
    found = [
        *why,
        *_drift_findings(drifts, held),
        *_accounts(values, newest, config),
        *(realising.findings(results, config) if results else [Finding("own_features", "unknown")]),
        *(arriving.findings(arrived, config) if arrived else []),
        *reasoning.findings(churn, config),
    ]
    return Monitored(values, today, held, tuple(drifts), tuple(results), arrived, churn, ordered(found))


def _reference(
    config: Config, run: RunValues, newest: RunValues | None, given: Path | None
) -> tuple[Reference | None, list[Finding]]:
    """What to hold the run against, and what is to be said about that."""
    if given is not None:
        return _given(given, config)
    kind, version = str(run.manifest.get("champion_kind")), run.model_version
    folder = config.models_path / f"{kind}-{version}"
    if folder.is_dir():
        found = bundles.load(folder).reference.distributions
        if found is not None:
            return Reference("champion", version, found), []
        code = "reference_old_bundle"
    else:
        code = "reference_no_bundle"
    if newest is not None:
        held = Reference("run", str(newest.folder), newest.as_reference())
        return held, [Finding(f"{code}_run", "watch", version, {"before": newest.as_of})]
    return None, [Finding(code, "unknown", version)]


def _given(given: Path, config: Config) -> tuple[Reference | None, list[Finding]]:
    if (given / MANIFEST).is_file():
        values = read_values(given, config.monitoring.most_accounts, config.monitoring.seed)
        return Reference("run", str(given), values.as_reference()), []
    champion = bundles.load(given)
    found = champion.reference.distributions
    if found is None:
        return None, [Finding("reference_old_bundle", "unknown", champion.model_version)]
    return Reference("bundle", champion.model_version, found), []


def _drift_findings(drifts: Sequence[Drift], held: Reference | None) -> list[Finding]:
    if held is None:
        return []
    found = []
    for drift in drifts:
        if drift.level == "fine":
            continue
        before, after = drift.missing
        values = {"distance": drift.distance, "shift": drift.shift, "chance": drift.chance}
        code = f"drift_{drift.kind}" if drift.what == "values" else "drift_missing"
        found.append(Finding(code, drift.level, drift.name, {**values, "before": before, "after": after}))
    metrics = sum(d.kind == "metric" for d in drifts)
    if not any(f.level == "alarm" for f in found):
        found.append(Finding("drift_fine", "fine", values={"metrics": metrics}))
    return found


def _accounts(run: RunValues, newest: RunValues | None, config: Config) -> list[Finding]:
    if newest is None:
        return []
    change = run.accounts / newest.accounts - 1 if newest.accounts else 0.0
    values = {"accounts": run.accounts, "earlier": newest.accounts, "before": newest.as_of, "change": change}
    large = abs(change) >= config.monitoring.accounts_change
    return [Finding("accounts_changed" if large else "accounts_usual", "alarm" if large else "fine", values=values)]
