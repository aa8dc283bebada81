"""How fast a company is simulated, and how much memory it takes.

python benchmarks/simulate.py --accounts 5000 --events 10000000
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from pathlib import Path

from csql_ml.simulate import Summary, simulate


def peak_memory() -> float:
    """Most memory this process has held, in MB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak / 1e3


def folder_size(folder: Path) -> float:
    """Size of all files below a folder, in MB."""
    return sum(p.stat().st_size for p in folder.rglob("*") if p.is_file()) / 1e6


def table(summary: Summary, seconds: float) -> str:
    """The figures as text, one per line."""
    events = summary.rows["events"]
    figures = [
        ("accounts", f"{summary.rows['accounts']:,}"),
        ("events", f"{events:,}"),
        ("rows in all", f"{sum(summary.rows.values()):,}"),
        ("seconds", f"{seconds:,.1f}"),
        ("events per second", f"{events / seconds:,.0f}"),
        ("peak memory, MB", f"{peak_memory():,.0f}"),
        ("files, MB", f"{folder_size(summary.out):,.0f}"),
        ("base rate", "-" if summary.base_rate is None else f"{summary.base_rate:.3f}"),
        ("ROC-AUC of the truth", "-" if summary.truth_auc is None else f"{summary.truth_auc:.3f}"),
    ]
    return "\n".join(f"{name:<22}{value:>14}" for name, value in figures)


def main() -> None:
    """Simulate into a temporary folder and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--accounts", type=int, default=5_000)
    parser.add_argument("--events", type=int, default=10_000_000)
    parser.add_argument("--quarters", type=int, default=8)
    parser.add_argument("--seed", type=int, default=7)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        begun = time.perf_counter()
        summary = simulate(
            Path(folder) / "company",
            accounts=given.accounts,
            events=given.events,
            quarters=given.quarters,
            seed=given.seed,
        )
        print(table(summary, time.perf_counter() - begun))


if __name__ == "__main__":
    main()
