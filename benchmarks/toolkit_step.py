"""One measured step of the toolkit, in a process of its own.

python benchmarks/toolkit_step.py open CONFIG MARKS             checks and rollup, or what is left to do of them
python benchmarks/toolkit_step.py snapshots CONFIG MARKS DATE...  metrics as of dates from the rollup
python benchmarks/toolkit_step.py score CONFIG MARKS DATE OUT   the batch run, by the rules where nothing is trained
"""

from __future__ import annotations

import sys
from datetime import date
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parent / "contenders")]

from job import Marks  # noqa: E402 - the folders have to be on the path


def main() -> None:
    """Do one step and note the CPU seconds of its parts."""
    what, config_file, marks_file, *rest = sys.argv[1:]
    marks = Marks(Path(marks_file))
    from csql_ml import config as configuration
    from csql_ml import pipeline
    from csql_ml.company import open_company

    marks.end_of("imports")
    config = configuration.load(Path(config_file))
    if what == "score":
        pipeline.score(config, date.fromisoformat(rest[0]), Path(rest[1]))
        marks.end_of("score")
        return
    with open_company(config) as company:
        marks.end_of("open", metrics=len(company.metrics))
        rows = sum(
            len(snapshot.features)
            for snapshot in company.snapshots([date.fromisoformat(d) for d in rest], contacts=False)
        )
        marks.end_of("snapshots", rows=rows)


if __name__ == "__main__":
    main()
