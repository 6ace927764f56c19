"""All rows of the input, at one version where it has any."""

from __future__ import annotations

from dataclasses import dataclass

from pyspark.sql import SparkSession

from spark_scoring.delta.metadata import Coverage
from spark_scoring.models.pinned import LocalModel
from spark_scoring.reading.batch import Batch
from spark_scoring.reading.reader import InputReader
from spark_scoring.reading.source import Source


@dataclass(frozen=True)
class Snapshot:
    """Reads all of the input.

    Attributes:
        source: The input, opened when the run was planned.
        reader: How it was opened; None for a DataFrame of the caller's.
        covers: What the target covers of the input afterwards, or None.
    """

    source: Source
    reader: InputReader | None
    covers: Coverage | None = None

    def describe(self) -> str:
        """Returns what is read, for people."""
        version = "" if self.source.version is None else f", version {self.source.version}"
        return f"{self.source.location}{version}"

    def open(self, spark: SparkSession, model: LocalModel) -> Batch:
        """Returns the rows, without the files that can't be read where the job wants these isolated.

        Raises:
            InputError: If a file can't be read, or none can.
        """
        if self.reader is None:
            return Batch(self.source)
        source, bad = self.reader.isolate_bad_files(spark, self.source)
        return Batch(source, source.count_without_scan(), self.reader, bad, self.covers)
