"""The unit of all ratios: reading and hashing the columns that any feature engine needs of the raw events.

CPU seconds of DuckDB for ``bit_xor(hash(...))`` over the Parquet files, without interpreter and imports; the least of
three runs.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path

import duckdb

COLUMNS = "event_id, account_id, user_id, occurred_at, event_name, feature, recorded_at"


def main() -> None:
    """Hash the events of a folder and write the figures."""
    events, marks = Path(sys.argv[1]), Path(sys.argv[2])
    connection = duckdb.connect()
    seconds = []
    for _ in range(3):
        begun = time.process_time()
        query = f"SELECT count(*), bit_xor(hash({COLUMNS})) FROM read_parquet('{events}/*.parquet')"
        rows, _ = connection.execute(query).fetchone() or (0, 0)
        seconds.append(time.process_time() - begun)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    said = {"unit": min(seconds), "runs": seconds, "rows": rows, "peak": peak, "version": duckdb.__version__}
    marks.write_text(json.dumps(said), encoding="utf-8")


if __name__ == "__main__":
    main()
