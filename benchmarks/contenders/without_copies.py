"""Raw events -> the same files with every event once, in order of time; for contenders that are spared that work.

python without_copies.py RAW_FOLDER OUT_FOLDER
"""

from __future__ import annotations

import sys
from pathlib import Path

import duckdb


def main() -> None:
    """Clean file by file: simulated copies stand in the file of the original."""
    raw, out = Path(sys.argv[1]), Path(sys.argv[2])
    out.mkdir(parents=True, exist_ok=True)
    connection = duckdb.connect()
    for file in sorted(raw.glob("*.parquet")):
        draft = out / f".{file.name}"
        connection.execute(
            f"COPY (SELECT DISTINCT ON (event_id) * FROM read_parquet('{file}') ORDER BY occurred_at, event_id) "
            f"TO '{draft}' (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 500000)"
        )
        draft.rename(out / file.name)


if __name__ == "__main__":
    main()
