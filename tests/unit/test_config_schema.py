"""The job file's whole schema exists, with the defaults that the documentation shows."""

import pytest
from pydantic import BaseModel

from spark_scoring.jobs.config import ScoringJob
from spark_scoring.jobs.yaml_file import read_yaml

# Every key with its default; the three parts without which there is no job hold an example.
SCHEMA = """
model:
  uri: models:/flights@champion
  tracking_uri: null
  registry_uri: null
  digest: null
  allow: []
  input_signature: null
  result_type: null
  env_manager: local
  requirements: warn
  method: predict
  top_k: null
  script: null
  params: {}
  model_config: {}
  extra_env: {}
  batch_size: null
  timeout: null
input:
  table: flights
  sql: null
  path: null
  format: null
  options: {}
  version: null
  where: null
  columns: {}
  key: []
  time_zone: UTC
  incremental: false
  rescore: null
contract:
  policy: safe
  nulls: as_model
output:
  table: flight_scores
  path: null
  mode: error
  columns: all
  prediction: prediction
  flatten: false
  replace_where: {}
  merge_keys: []
  partition_by: []
  cluster_by: []
  evolve_schema: false
  stamps: all
errors:
  threshold: 0
  quarantine: null
  inline: false
  detail: code
  bad_files: fail
audit: {min_rows: null, null_ratio: null, range: null, allowed: null, class_share: null, rows_vs_last: null, psi_vs_last: null, expect: [], reconcile: false}
staging: {location: null, keep: 7d}
record: {table: null, mlflow: false}
vars: {}
"""  # noqa: E501


def test_every_key_is_there_with_its_default(job):
    assert job().model_dump(mode="json") == read_yaml(SCHEMA, "the schema")


def test_a_job_without_output_is_a_job(job):
    assert job({"output": None}).output is None


def test_a_section_with_all_its_keys_commented_out_is_no_section(job):
    assert job({"errors": None, "audit": None, "vars": None}) == job()


def test_a_job_is_frozen(job):
    with pytest.raises(ValueError, match="frozen"):
        job().model.uri = "models:/other/1"


def keys(part: type[BaseModel]) -> set[str]:
    return set(part.model_fields)


def test_the_fingerprint_is_the_same_for_the_same_job_alone(job):
    assert job().fingerprint() == job({"vars.day": 3}).fingerprint()
    assert job().fingerprint() == job({"model.batch_size": 10, "model.timeout": 1.5}).fingerprint()
    others = [{"model.uri": "models:/f/2"}, {"input.where": "a > 1"}, {"output.mode": "append"}, {"input.version": 1}]
    assert len({job().fingerprint(), *(job(change).fingerprint() for change in others)}) == 1 + len(others)


def test_the_job_has_no_key_that_the_schema_above_lacks():
    assert keys(ScoringJob) == set(read_yaml(SCHEMA, "the schema"))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"output.mode": "merge"}, "mode merge needs merge_keys"),
        ({"output.mode": "replace_where"}, "mode replace_where needs replace_where"),
        ({"output.merge_keys": ["id"]}, "merge_keys go with mode merge, not with error"),
        ({"output.replace_where": {"month": 12}}, "replace_where goes with the mode of that name, not with error"),
        ({"input.incremental": True, "output.mode": "overwrite"}, "goes with output.mode append or merge"),
        ({"input.incremental": True, "input.rescore": "all", "output.mode": "append"}, "needs output.mode merge"),
        ({"input.rescore": "all"}, "rescore goes with incremental: true"),
        ({"model.top_k": 3}, "top_k goes with method predict_proba, not with predict"),
        ({"model.method": "__reduce__"}, "model.method"),
        ({"model.batch_size": 0}, "write a number from 1 on"),
        ({"model.batch_size": 2.5}, "write a whole number"),
        ({"model.batch_size": True}, "write a whole number"),
        ({"model.timeout": 0}, "write a number above 0"),
        ({"model.timeout": -1.5}, "write a number above 0"),
        ({"model.timeout": True}, "write a number"),
        ({"model.timeout": "30s"}, "write a number"),
        ({"model.timeout": float("inf")}, "model.timeout"),
        ({"model.timeout": float("nan")}, "model.timeout"),
        ({"model.timeout": 1e9}, "write a number up to 1e+06"),
        ({"output.partition_by": ["a"], "output.cluster_by": ["b"]}, "partition_by or cluster_by, not both"),
        ({"errors.bad_files": "quarantine"}, "errors.bad_files: quarantine needs errors.quarantine"),
        (
            {"errors.bad_files": "quarantine", "errors.quarantine": "q"},
            "goes with files: input.path and an input.format",
        ),
    ],
)
def test_modes_and_what_goes_with_them(changes, said, refused):
    error = refused(changes)
    assert error.exit_code == 2
    assert said in str(error)
