"""The folder between Spark and the driver: executors write part files there, the driver reads them one by one."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from csql_ml.errors import OutputError
from csql_ml.source_spark import delete_folder, work_folder

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from csql_ml.config import Config

#: Rows the driver holds at a time.
AT_A_TIME = 4_096
#: Hadoop reads an address as it is written, without percent codes.
_FILE = "file:"


class Staging:
    """A temporary folder of part files, where the warehouse keeps its steps too; a context manager that deletes it."""

    def __init__(self, session: SparkSession, config: Config) -> None:
        self._session = session
        self._rows: dict[str, int] = {}
        self._local = tempfile.TemporaryDirectory(prefix="csql-", ignore_cleanup_errors=True)
        self.address = work_folder(session, config)

    def __enter__(self) -> Staging:
        return self

    def __exit__(self, *_: object) -> None:
        self._local.cleanup()
        delete_folder(self._session, self.address)

    def write(self, rows: DataFrame, name: str) -> DataFrame:
        """Compute rows into part files, through Spark's commit protocol; returns them as read from there."""
        from pyspark.sql import Observation
        from pyspark.sql import functions as F

        seen = Observation()
        observed = rows.observe(seen, F.count(F.lit(1)).alias("rows"))
        observed.write.parquet(f"{self.address}/{name}", compression="zstd")
        self._rows[name] = int(seen.get["rows"])
        return self._session.read.schema(rows.schema).parquet(f"{self.address}/{name}")

    def rows(self, name: str) -> int:
        """How many rows Spark has written."""
        return self._rows[name]

    def batches(self, name: str) -> Iterator[pa.Table]:
        """The rows of part files in their order, `AT_A_TIME` at most.

        Raises
        ------
        OutputError
            The driver does not see all rows that the executors wrote: they have no storage in common.
        """
        found = 0
        for part in self._parts(name):
            with self._fetched(part) as path, pq.ParquetFile(path) as file:
                for batch in file.iter_batches(AT_A_TIME):
                    found += batch.num_rows
                    yield pa.Table.from_batches([batch])
        if found != self._rows[name]:
            raise OutputError(
                f"the driver sees {found} of the {self._rows[name]} rows that Spark's executors wrote to "
                f"{self.address}; set spark.checkpoint.dir under spark.settings to a folder that all of them share"
            )

    def _parts(self, name: str) -> list[str]:
        folder, files = self._on_hadoop(f"{self.address}/{name}")
        found = [str(status.getPath().toString()) for status in files.listStatus(folder)]
        return sorted(address for address in found if address.rsplit("/", 1)[1].startswith("part-"))

    def _on_hadoop(self, address: str) -> tuple[Any, Any]:
        """An address and its file system, as Spark sees them."""
        java: Any = self._session.sparkContext._jvm  # noqa: SLF001 - Spark has no other way to its file systems
        path = java.org.apache.hadoop.fs.Path(address)
        return path, path.getFileSystem(self._session.sparkContext._jsc.hadoopConfiguration())  # noqa: SLF001

    @contextmanager
    def _fetched(self, address: str) -> Iterator[Path]:
        """A part file on the driver's disk, for as long as it is read."""
        if address.startswith(_FILE):
            yield Path("/" + address.removeprefix(_FILE).lstrip("/"))
            return
        place = Path(self._local.name) / "part.parquet"
        source, files = self._on_hadoop(address)
        target, _ = self._on_hadoop(f"{_FILE}//{place}")
        files.copyToLocalFile(False, source, target, True)
        try:
            yield place
        finally:
            place.unlink(missing_ok=True)
