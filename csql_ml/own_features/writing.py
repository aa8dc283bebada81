"""The files of a scored feature table, written some accounts at a time: memory does not grow with explanations.

Scores and ranks of all accounts are known before; what is written of an account needs no other account then.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, overload

import numpy as np
import pandas as pd
import pyarrow as pa

from csql_ml.batch_run import write_manifest
from csql_ml.handoff.lead import Dossier
from csql_ml.run_files import EXPLANATIONS_SCHEMA, SCORES_SCHEMA, ParquetStream, json_text, write_parquet
from csql_ml.scoring import QUALIFIED

#: Accounts explained at a time.
CHUNK = 8_192


def write_parts(
    folder: Path,
    scores: pd.DataFrame,
    parts: Iterable[Dossier],
    lead: Callable[[Mapping[str, Any]], dict[str, Any]],
    about: Mapping[str, Any],
) -> dict[str, Any]:
    """Write a run's files into a folder, with the bytes that `csql_ml.batch_run.write_run` gives them.

    Parameters
    ----------
    scores
        All accounts.
    parts
        The same accounts in the same order, some at a time.
    lead
        An account's record -> its lead.

    Returns
    -------
    dict
        The manifest.
    """
    write_parquet(scores, folder / "scores.parquet", SCORES_SCHEMA)
    path, ranks = folder / "explanations.parquet", []
    with (
        ParquetStream(path, EXPLANATIONS_SCHEMA) as explanations,
        (folder / "accounts.jsonl").open("w", encoding="utf-8", newline="\n") as accounts,
        TemporaryFile(dir=folder) as waiting,
    ):
        places = [0]
        for part in parts:
            explanations.write(
                pa.Table.from_pandas(part.scored.explanations, schema=EXPLANATIONS_SCHEMA, preserve_index=False)
            )
            for record in part.records():
                accounts.write(json_text(record) + "\n")
                if record["status"] == QUALIFIED:
                    ranks.append(record["rank"])
                    places.append(places[-1] + waiting.write(json_text(lead(record)).encode() + b"\n"))
        explanations.flush()
        _write_in_order(folder / "leads.jsonl", waiting, np.argsort(ranks, kind="stable"), places)
    rows = {
        "scores.parquet": len(scores),
        "explanations.parquet": explanations.rows,
        "leads.jsonl": len(ranks),
        "accounts.jsonl": len(scores),
    }
    counts = {str(k): int(v) for k, v in scores["status"].value_counts().items()}
    return write_manifest(folder, rows, counts, about)


def _write_in_order(path: Path, waiting: Any, order: Iterable[int], places: Sequence[int]) -> None:
    """Lines of a file in another order."""
    with path.open("wb") as file:
        for line in order:
            waiting.seek(places[line])
            file.write(waiting.read(places[line + 1] - places[line]))


class LeadsOnDisk(Sequence[dict[str, Any]]):
    """The leads of a written run, read where they are asked for.

    Parameters
    ----------
    path
        ``leads.jsonl`` of the run.
    count
        How many there are.
    """

    def __init__(self, path: Path, count: int) -> None:
        self._path, self._count = path, count

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[dict[str, Any]]:
        with self._path.open(encoding="utf-8") as file:
            yield from map(json.loads, file)

    @overload
    def __getitem__(self, place: int) -> dict[str, Any]: ...

    @overload
    def __getitem__(self, place: slice) -> list[dict[str, Any]]: ...

    def __getitem__(self, place: int | slice) -> dict[str, Any] | list[dict[str, Any]]:
        wanted = range(self._count)[place]
        if isinstance(wanted, int):
            return next(islice(iter(self), wanted, None))
        last = max(wanted, default=-1) + 1
        read = list(islice(iter(self), last))
        return [read[i] for i in wanted]
