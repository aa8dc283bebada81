"""Who speaks well of the product: accounts whose advocacy opened a gate, with the facts behind it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds

from csql_ml.errors import OutputError
from csql_ml.reports.run_folder import Run
from csql_ml.reports.site import Site

EXPLANATIONS = "explanations.parquet"
#: The metric that makes an advocate where it is at its threshold (and the one it needs beside it at its own).
ADVOCACY = "advocacy_index"
#: What is told of an advocate, in this order.
_TOLD = ("nps_score", ADVOCACY, "engaged_stakeholders")

Values = Mapping[str, Mapping[str, float]]


def is_advocate(account: Mapping[str, Any]) -> bool:
    """Whether advocacy is among what opened a gate; the gates of the run know its thresholds."""
    return any(ADVOCACY in (gate.get("because") or ()) for gate in account["gates"])


def advocacy_values(run: Run, accounts: Collection[str]) -> Values:
    """Values of the metrics that are told of advocates, of these accounts; empty for runs without metrics.

    Raises
    ------
    OutputError
        The explanations of the run cannot be read.
    """
    path = run.folder / EXPLANATIONS
    found: dict[str, dict[str, float]] = defaultdict(dict)
    if not accounts or run.own_features or not path.is_file():
        return found
    try:
        wanted = ds.field("metric").isin(_TOLD) & ds.field("value").is_valid()
        for batch in ds.dataset(path).to_batches(columns=["account_id", "metric", "value"], filter=wanted):
            for account, metric, value in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                if account in accounts:
                    found[account][metric] = value
    except (OSError, pa.ArrowException) as error:
        raise OutputError(f"{path} cannot be read: {error}; score again") from error
    return found


def advocacy_note(account_id: str, values: Values, site: Site) -> str:
    """The facts as sentences."""
    known = values.get(account_id, {})
    facts = [{"metric": name, "value": known[name], "facts": {}} for name in _TOLD if known.get(name)]
    return site.texts.joined(site.facts.sentence(fact) for fact in facts)
