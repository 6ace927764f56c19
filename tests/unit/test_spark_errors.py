"""What Spark says is told in words, whichever Spark says it."""

import pytest

from spark_scoring.spark.failures import bad_file, first_line, is_bad_file, may_be_bad_file

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
