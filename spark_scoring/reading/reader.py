"""How a job's input is opened for its model, with the files that can't be read named or set apart."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import unquote

from pyspark.sql import SparkSession
from pyspark.sql.types import StructType

from spark_scoring.errors import InputError, ScoringError
from spark_scoring.jobs.config import InputConfig
from spark_scoring.reading.files import BadFile
from spark_scoring.reading.listing import SPARK_ERRORS
from spark_scoring.reading.requests import ModelInput
from spark_scoring.reading.source import Source, bad_files, open_input, refuse_empty_files
from spark_scoring.reading.value_types import value_types
from spark_scoring.redaction import redact
from spark_scoring.spark.failures import may_be_bad_file, scoring_failure

_SHOWN = 3
_NAMED = re.compile(r"read: \w+:/")
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class InputReader:
    """How a job's input is opened.

    Attributes:
        config: What it is.
        model_input: What the model takes, as far as reading needs it.
        isolates_files: Whether files that can't be read are left out, and not the end of the run.
    """

    config: InputConfig
    model_input: ModelInput
    isolates_files: bool = False

    def open(self, spark: SparkSession, without: Sequence[BadFile] = ()) -> Source:
        """Opens the input; looks at metadata only.

        Args:
            spark: The session.
            without: Files that are left out.

        Raises:
            InputError: If it can't be opened.
            ContractError: If requests can't hold what the signature wants.
        """
        paths = [file.path for file in without]
        return open_input(spark, self.config, self.model_input, tolerant=self.isolates_files, without=paths)

    def value_types(self, spark: SparkSession, source: Source) -> StructType:
        """Returns the input's schema, of CSV files with the types that the values of the first rows have.

        Raises:
            InputError: If a file that is looked into can't be read.
        """
        with self.naming_bad_files(spark, source):
            try:
                return value_types(source.df, self.config)
            except SPARK_ERRORS as exc:
                raise scoring_failure(exc) from exc

    def isolate_bad_files(self, spark: SparkSession, source: Source) -> tuple[Source, tuple[BadFile, ...]]:
        """Returns the input without the files that can't be read, and these, where the job wants them isolated.

        Reads all of the input where it does; otherwise only looks for files of no bytes.

        Raises:
            InputError: If no file is left; or if one is empty, where the job does not want it isolated.
        """
        if not source.of_files:
            return source, ()
        if not self.isolates_files:
            refuse_empty_files(spark, self.config)
            return source, ()
        bad = bad_files(spark, self.config, self.model_input)
        if not bad:
            return source, ()
        _log.warning("files     %s can't be read, and are left out: %s", f"{len(bad):,}", _few(bad))
        return self.open(spark, bad), tuple(bad)

    @contextmanager
    def naming_bad_files(self, spark: SparkSession, source: Source) -> Iterator[None]:
        """Finds out which file it was where Spark fails on one and does not say which; that reads the input once more.

        Raises:
            InputError: In place of one that names no file.
        """
        try:
            yield
        except ScoringError as exc:
            if not source.of_files or _NAMED.search(exc.message):
                raise
            # Spark 3 has no words of its own for some of what a file's reader raises.
            unsaid = exc.code == "spark_failed" and exc.__cause__ is not None and may_be_bad_file(exc.__cause__)
            bad = bad_files(spark, self.config, self.model_input) if exc.code == "bad_file" or unsaid else []
            if not bad:
                raise
            raise InputError(
                f"the input has {_counted(len(bad))} that can't be read: {_few(bad)}",
                code="bad_file",
                remedy="mend or remove them, or isolate such files with errors.bad_files: quarantine; "
                "nothing was written",
            ) from exc


def _counted(files: int) -> str:
    return "a file" if files == 1 else f"{files:,} files"


def _few(bad: Sequence[BadFile]) -> str:
    more = f" and {len(bad) - _SHOWN:,} more" if len(bad) > _SHOWN else ""
    return "; ".join(f"{redact(unquote(file.path))}: {file.message}" for file in bad[:_SHOWN]) + more
