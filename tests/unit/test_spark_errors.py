"""What Spark says is told in words, whichever Spark says it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from pyspark.errors import AnalysisException, PySparkException

from spark_scoring.delta.table import Target
from spark_scoring.delta.write import explain_failure
from spark_scoring.errors import ScoringError
from spark_scoring.jobs.config import InputConfig
from spark_scoring.reading.failed_sql import naming_failed_sql
from spark_scoring.spark.detail import with_detail
from spark_scoring.spark.failures import bad_file, first_line, is_bad_file, may_be_bad_file, message_of, scoring_failure
from spark_scoring.worker.failures import MARK

CALL = "An error occurred while calling o1.save.\n: "
STAGE = (
    "org.apache.spark.SparkException: Job aborted due to stage failure: Task 1 in stage 166.0 failed 4 times, "
    "most recent failure: Lost task 1.3 in stage 166.0 (TID 214) (192.0.2.2 executor driver): "
)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        # Spark 4
        ("[DIVIDE_BY_ZERO] Division by zero. SQLSTATE: 22012\n== SQL ==", "Division by zero."),
        (f"{CALL}org.apache.spark.SparkException: [A.B] No.\n\tat x.Y", "No."),
        # Spark 3
        (f"{CALL}{STAGE}org.apache.spark.SparkFileNotFoundException: File /a does not exist", "File /a does not exist"),
        (f"{CALL}{STAGE}org.apache.spark.SparkException: [TASK_WRITE_FAILED] Task failed.\n\tat x.Y", "Task failed."),
        (f"{CALL}{STAGE}ExecutorLostFailure (executor 1 exited)", "ExecutorLostFailure (executor 1 exited)"),
    ],
)
def test_its_first_line_says_why_without_classes_and_tasks(said, told):
    assert first_line(Exception(said)) == told


@pytest.mark.parametrize(
    "said",
    [
        "[FAILED_READ_FILE.FILE_NOT_EXIST] Encountered error while reading file /a",
        "[MALFORMED_RECORD_IN_PARSING.WITHOUT_SUGGESTION] Malformed records are detected in record parsing: [1]",
        f"{STAGE}org.apache.spark.SparkFileNotFoundException: File /a does not exist",
        f"{STAGE}org.apache.spark.SparkException: Malformed records are detected in schema inference.",
        f"{STAGE}org.apache.spark.SparkException: Encountered error while reading file /a. Details:",
        f"{STAGE}org.apache.spark.sql.execution.QueryExecutionException: Parquet column cannot be converted in file /a",
    ],
)
def test_a_file_that_can_t_be_read_is_known_in_spark_4_and_3(said):
    assert is_bad_file(Exception(said))


def test_another_failure_is_no_bad_file():
    assert not is_bad_file(Exception(f"{STAGE}org.apache.spark.SparkException: [TASK_WRITE_FAILED] Task failed."))


LOST = "Task 1 in stage 2.0 failed 4 times, most recent failure: Lost task 1.3 (TID 3) (host executor 1): "


@pytest.mark.parametrize(
    ("said", "file", "fault"),
    [
        (
            (
                "[TASK_WRITE_FAILED] Task failed.\n"
                "Caused by: org.apache.spark.SparkException: [FAILED_READ_FILE.NO_HINT] "
                "Encountered error while reading file file:///in/a%20b.csv.  SQLSTATE: KD001\n"
                "Caused by: org.apache.spark.SparkException: Malformed records are detected in record parsing: [Ada]."
            ),
            "file:///in/a b.csv",
            "a record is malformed",
        ),
        (
            "org.apache.spark.SparkException: Could not read file: file:/in/a b.avro\nCaused by: java.io.EOFException",
            "file:/in/a b.avro",
            "it ends too early",
        ),
        (
            ": org.apache.orc.protobuf.InvalidProtocolBufferException: While parsing",
            None,
            "it is damaged (InvalidProtocolBufferException)",
        ),
    ],
)
def test_a_bad_file_is_told_by_its_name_and_what_is_wrong_with_it(said, file, fault):
    assert bad_file(Exception(said)) == (file, fault)
    assert is_bad_file(Exception(said))


def test_what_a_file_s_reader_raises_may_be_a_bad_file_and_a_dead_worker_is_none():
    assert may_be_bad_file(Exception(f"{LOST}java.io.EOFException"))
    assert not may_be_bad_file(Exception(f"{LOST}Python worker exited unexpectedly: java.io.EOFException"))
    assert not may_be_bad_file(Exception(f"{LOST}java.lang.OutOfMemoryError"))


class SparkError(PySparkException):
    """What Spark 4 raises: its message, its condition, and the pieces of SQL that failed."""

    def __init__(self, text: str, condition: str | None = None, *pieces: tuple[str, int, str]) -> None:
        Exception.__init__(self, text)
        self._text, self._named, self._pieces = text, condition, pieces

    def __str__(self) -> str:
        return self._text

    def getCondition(self) -> str | None:  # noqa: N802
        return self._named

    def getQueryContext(self) -> list[Any]:  # noqa: N802
        return [Piece(*piece) for piece in self._pieces]


class Piece:
    """A query context of Spark's."""

    def __init__(self, text: str, start: int, view: str = "") -> None:
        self._text, self._start, self._view = text, start, view

    def contextType(self) -> Any:  # noqa: N802
        return SimpleNamespace(name="SQL")

    def objectType(self) -> str:  # noqa: N802
        return "VIEW" if self._view else ""

    def objectName(self) -> str:  # noqa: N802
        return self._view

    def fragment(self) -> str:
        return self._text

    def startIndex(self) -> int:  # noqa: N802
        return self._start

    def stopIndex(self) -> int:  # noqa: N802
        return self._start + len(self._text) - 1


SECRET = "patient s50"
DELTA = f"{CALL}org.apache.spark.sql.delta.schema.DeltaInvariantViolationException: "
OF_ROWS = [
    (f"[CAST_INVALID_INPUT] The value '{SECRET}' of the type. SQLSTATE: 22018", "CAST_INVALID_INPUT (SQLSTATE 22018)"),
    (f"{CALL}{STAGE}org.apache.spark.SparkNumberFormatException: [CAST_OVERFLOW] {SECRET}", "CAST_OVERFLOW"),
    (
        (
            f"[TASK_WRITE_FAILED] Task failed. SQLSTATE: 58030\nCaused by: org.apache.spark.SparkArithmeticException: "
            f"[ARITHMETIC_OVERFLOW] {SECRET} SQLSTATE: 22003"
        ),
        "ARITHMETIC_OVERFLOW (SQLSTATE 22003)",
    ),
    (f"[CANNOT_PARSE_TIMESTAMP] Text '{SECRET}' could not be parsed. SQLSTATE: 22007", "CANNOT_PARSE_TIMESTAMP"),
    (f"[MAP_KEY_DOES_NOT_EXIST] Key '{SECRET}' does not exist.", "MAP_KEY_DOES_NOT_EXIST"),
    (f"[USER_RAISED_EXCEPTION] {SECRET} SQLSTATE: P0001", "USER_RAISED_EXCEPTION (SQLSTATE P0001)"),
    (f"An exception was thrown from the Python worker. See\n  File x\nValueError: {SECRET}", "ValueError"),
    (f"java.lang.IllegalStateException: {SECRET}\n\tat x.Y", "IllegalStateException"),
    (
        (
            f'{DELTA}[DELTA_EXCEED_CHAR_VARCHAR_LIMIT] Value "{SECRET}" exceeds char/varchar type length limitation. '
            "Failed check: ((s IS NULL) OR (length(s) <= 3)).\n\tat org.x"
        ),
        "DELTA_EXCEED_CHAR_VARCHAR_LIMIT: ((s IS NULL) OR (length(s) <= 3))",
    ),
    (
        (
            f"{DELTA}[DELTA_VIOLATE_CONSTRAINT_WITH_VALUES] CHECK constraint small (p < 100) violated by row with "
            f"values:\n - s : {SECRET}"
        ),
        "DELTA_VIOLATE_CONSTRAINT_WITH_VALUES: CHECK constraint small (p < 100)",
    ),
    (
        f"{DELTA}[DELTA_NOT_NULL_CONSTRAINT_VIOLATED] NOT NULL constraint violated for column: s.\n\n\tat org.x",
        "DELTA_NOT_NULL_CONSTRAINT_VIOLATED: column: s",
    ),
]


@pytest.mark.parametrize(("said", "kind"), OF_ROWS)
def test_what_was_written_of_a_row_is_told_by_its_kind_alone(said, kind):
    assert kind in message_of(SparkError(said))
    assert SECRET not in message_of(SparkError(said))
    assert SECRET not in str(scoring_failure(SparkError(said)))
    assert SECRET not in str(explain_failure(SparkError(said), Target("/t", "t", "/t")))
    with with_detail("full"):
        assert SECRET in message_of(SparkError(said)) or SECRET not in said.split("\n")[0]


MARKS = [
    "[DELTA_CONCURRENT_APPEND] ",
    "MALFORMED",
    "is not a Parquet file",
    "Could not read file",
    "No space left on device",
    "already exists",
    "PERMISSION",
    "No module named 'x'",
    "WRITE_ANCIENT_DATETIME",
    "Python worker died",
    f'{MARK}["file", "bad_file", "input", "of the row"]{MARK}',
]


@pytest.mark.parametrize("value", MARKS)
def test_a_value_of_a_row_decides_nothing(value):
    failed = SparkError(f"[CAST_INVALID_INPUT] The value '{value}' of the type", "CAST_INVALID_INPUT")
    for error in (scoring_failure(failed), explain_failure(failed, Target("/t", "t", "/t"))):
        assert (error.exit_code, error.code) == (1, "spark_failed")
        assert value not in error.message


def test_a_model_that_mlflow_did_not_load_is_told_as_that():
    said = (
        '  File "mlflow/pyfunc/__init__.py", line 2753, in batch_predict_fn\n'
        '    if "params" in inspect.signature(loaded_model.predict).parameters:\n'
        "                                     ^^^^^^^^^^^^^^^^^^^^\n"
        "AttributeError: 'NoneType' object has no attribute 'predict'\n"
    )
    error = scoring_failure(SparkError(said))
    assert (error.exit_code, error.code) == (4, "model_not_loadable")
    assert "MLFLOW_TRACKING_URI" in str(error.remedy)
    own = "in predict\nAttributeError: 'NoneType' object has no attribute 'predict'"
    assert scoring_failure(SparkError(own)).code == "spark_failed"


def test_what_is_refused_before_a_row_is_read_is_told_in_words():
    said = "[UNRESOLVED_COLUMN.WITH_SUGGESTION] A column with name `idd` cannot be resolved. SQLSTATE: 42703"
    assert message_of(AnalysisException(said)) == "A column with name `idd` cannot be resolved."
    assert message_of(AnalysisException("[DELTA_REPLACE_WHERE_MISMATCH] name=Ada")) == "DELTA_REPLACE_WHERE_MISMATCH"


SQL = {"sql": "SELECT CAST(s AS INT) c FROM t"}
FAILED = "[CAST_INVALID_INPUT] The value 'patient s50'"
PIECE = ("CAST(s AS INT)", 7, "")


def named(config: dict[str, str], failure: Exception, rows: Any = None, own_rows: bool = False) -> ScoringError:
    with (
        pytest.raises(ScoringError) as caught,
        naming_failed_sql(InputConfig.model_validate(config), lambda: rows, own_rows=own_rows),
    ):
        raise scoring_failure(failure) from failure
    assert SECRET not in caught.value.message
    return caught.value


def failing(*pieces: tuple[str, int, str]) -> SparkError:
    return SparkError(FAILED, "CAST_INVALID_INPUT", *pieces)


class Rows:
    """Rows of which reading ends in a failure, or in none."""

    def __init__(self, failure: Exception | None) -> None:
        self.write = self
        self._failure = failure

    def format(self, _: str) -> Rows:
        return self

    def mode(self, _: str) -> Rows:
        return self

    def save(self) -> None:
        if self._failure is not None:
            raise self._failure


def test_failed_sql_is_named_by_the_key_that_has_it_in_that_place():
    failed = failing(PIECE)
    assert (named(SQL, failed).exit_code, named(SQL, failed).code) == (5, "sql_failed")
    assert named(SQL, failed).message.startswith("input.sql failed on a row: CAST_INVALID_INPUT in CAST(s AS INT)")
    where = named({"table": "t", "where": "a > 1 / b"}, failing(("1 / b", 4, "")))
    assert where.message.startswith("input.where failed on a row")
    of_view = named({"table": "t"}, failing(("1 / b", 4, "ml.people")))
    assert of_view.message.startswith("input.table, in the view ml.people, failed on a row")


@pytest.mark.parametrize("piece", [("CAST(s AS INT)", 8, ""), ("CAST(`s` AS INT)", 7, ""), ("", 0, "")])
def test_what_stands_elsewhere_is_not_the_jobs(piece):
    assert named(SQL, failing(piece)).code == "spark_failed"


def test_where_spark_does_not_tell_the_input_is_read_alone():
    failed = failing()
    assert named(SQL, failed, Rows(failing())).code == "sql_failed"
    assert named(SQL, failed, Rows(None)).code == "spark_failed"
    assert named(SQL, failed, Rows(failing()), own_rows=True).message.startswith("the DataFrame failed")
