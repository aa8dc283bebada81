"""A company as it was before the last day, and that day's events as a file of their own, for the append step.

    python benchmarks/one_day_later.py before COMPANY OUT   everything but what became known on the last day
    python benchmarks/one_day_later.py after COMPANY OUT    adds the file of the last day

All files but the newest of the events are links to those of the company.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import duckdb
import yaml

#: The last simulated day in Berlin, as an instant: what became known from then on is new.
LAST_DAY = "2026-09-30"
_NEW = "recorded_at >= TIMESTAMPTZ '2026-09-29 22:00:00+00'"


def before(company: Path, out: Path) -> None:
    """Lay out the company without its last day."""
    shutil.rmtree(out, ignore_errors=True)
    events = out / "tables" / "events"
    events.mkdir(parents=True)
    for file in sorted((company / "tables").glob("*.parquet")):
        (out / "tables" / file.name).symlink_to(file)
    *older, newest = sorted((company / "tables" / "events").glob("*.parquet"))
    for file in older:
        (events / file.name).symlink_to(file)
    _copy(newest, f"NOT ({_NEW})", events / newest.name)
    settings = yaml.safe_load((company / "config.yaml").read_text(encoding="utf-8"))
    (out / "config.yaml").write_text(yaml.safe_dump(settings, sort_keys=False), encoding="utf-8")


def after(company: Path, out: Path) -> None:
    """Add the last day."""
    newest = max((company / "tables" / "events").glob("*.parquet"))
    _copy(newest, _NEW, out / "tables" / "events" / f"{LAST_DAY}.parquet")


def _copy(file: Path, where: str, out: Path) -> None:
    """Some rows of a file in their order; events of the last day are late ones of earlier days, too."""
    connection = duckdb.connect()
    connection.execute(
        f"COPY (SELECT * FROM read_parquet('{file}') WHERE {where}) TO '{out}' (FORMAT parquet, COMPRESSION zstd)"
    )


def main() -> None:
    """Do one of both."""
    what, company, out = sys.argv[1:4]
    {"before": before, "after": after}[what](Path(company).resolve(), Path(out).resolve())


if __name__ == "__main__":
    main()
