"""A run id: under one id a run happens once, whatever has become of its target since."""

from deltalake import DeltaTable

from spark_scoring import score
from tests.spark.conftest import read, refused, version


def test_without_a_run_id_every_call_is_a_run(spark, job, target):
    runs = [score(job({"output.mode": "append"}), spark=spark) for _ in range(2)]
    assert runs[0].run_id != runs[1].run_id
    assert len(read(target)) == 40


def test_with_a_run_id_the_second_call_returns_the_first_result(spark, job, target):
    first = score(job({"output.mode": "append"}), spark=spark, run_id="nightly")
    again = score(job({"output.mode": "append"}), spark=spark, run_id="nightly")
    assert (first.status, again.status) == ("succeeded", "already_published")
    changed = {"status", "seconds", "reconciled", "notes"}
    told = [{key: value for key, value in run.to_dict().items() if key not in changed} for run in (first, again)]
    assert told[0] == told[1]
    assert again.notes == ()  # it made no table
    assert version(target) == 0


def test_it_is_known_in_mode_error_too_before_the_target_is_in_the_way(spark, job):
    score(job(), spark=spark, run_id="nightly")
    assert score(job(), spark=spark, run_id="nightly").status == "already_published"


def test_it_is_known_after_others_have_written(spark, job):
    append = job({"output.mode": "append"})
    score(append, spark=spark, run_id="monday")
    score(append, spark=spark, run_id="tuesday")
    again = score(append, spark=spark, run_id="monday")
    assert (again.status, again.target_version) == ("already_published", 0)


def test_an_id_of_another_job_is_refused(spark, job, target):
    score(job(), spark=spark, run_id="nightly")
    with refused(2, "run_id_taken") as caught:
        score(job({"output.mode": "append", "input.where": "id < 3"}), spark=spark, run_id="nightly")
    assert "'nightly' belongs to another job" in caught.value.message
    assert version(target) == 0


def test_the_id_stands_in_delta_s_own_log_of_transactions(spark, job, target):
    score(job(), spark=spark, run_id="nightly")
    assert DeltaTable(target).transaction_version("spark-scoring/nightly") == 1


def test_it_works_for_catalog_tables(spark, job, schema):
    to_table = job({"output.table": "shop.scores"})
    first = score(to_table, spark=spark, run_id="nightly")
    again = score(to_table, spark=spark, run_id="nightly")
    assert (again.status, again.target_version) == ("already_published", first.target_version)
