"""A secret in a URI is never shown: not in a repr, not in an error."""

import pytest

from spark_scoring.errors import ScoringError
from spark_scoring.jobs.config import ScoringJob
from spark_scoring.models.pinned import pin
from spark_scoring.redaction import redact

SECRET = "hunter2"


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("s3://key:hunter2@bucket/x", "s3://***@bucket/x"),
        ("https://hunter2@host/x", "https://***@host/x"),
        ("https://ada:hunter@2@host/x", "https://***@host/x"),
        ("https://host/x?sig=hunter2&v=1", "https://host/x"),
        ("postgresql+psycopg2://ada:hunter2@db/mlflow", "postgresql+psycopg2://***@db/mlflow"),
        ("abfss://container@account.dfs.core.windows.net/x", "abfss://container@account.dfs.core.windows.net/x"),
        ("wasbs://ada:hunter2@account.net/x", "wasbs://***@account.net/x"),
        ("models:/flights@champion", "models:/flights@champion"),
        ("/data/what?", "/data/what?"),
    ],
)
def test_a_uri_is_shown_without_user_and_query(uri, shown):
    assert redact(uri) == shown


def test_a_jobs_text_holds_no_secret():
    job = ScoringJob.from_values(
        {
            "model": {
                "uri": f"s3://k:{SECRET}@b/m",
                "tracking_uri": f"https://ada:{SECRET}@host",
                "params": {"store": {"urls": [f"https://host?token={SECRET}"]}},
            },
            "input": {"sql": f"SELECT * FROM parquet.`s3://k:{SECRET}@b/x`"},
            "output": {"path": f"https://account.net/scores?sig={SECRET}"},
            "vars": {"home": f"s3://k:{SECRET}@b"},
        },
        source="job.yml",
    )
    for part in (job, job.model, job.input, job.output):
        assert SECRET not in repr(part)
        assert SECRET not in str(part)
    assert "s3://***@b/m" in repr(job)


@pytest.mark.parametrize(
    "changes",
    [
        {"model.env_manager": f"https://ada:{SECRET}@host"},
        {"output.mode": f"s3://k:{SECRET}@b"},
        {"model.script": f"s3://k:{SECRET}@b/q", "model.params": {"a": 1}},
        {"output.path": f"s3://k:{SECRET}@b/x"},
        {"output.pth": f"s3://k:{SECRET}@b/x"},
        {"input.version": f"https://host?token={SECRET}"},
        {"vars.home": [f"s3://k:{SECRET}@b"]},
    ],
)
def test_a_refusal_holds_no_secret(changes, refused):
    error = refused(changes)
    assert SECRET not in str(error)
    assert SECRET not in str(error.to_dict())


def test_a_pinned_models_text_holds_no_secret(adds, job):
    model = pin(job({"model.uri": f"file://{adds}?token={SECRET}"}).model)
    assert SECRET not in repr(model)
    assert SECRET not in model.pinned_uri


def test_a_model_that_is_not_there_is_told_without_its_secret(job):
    with pytest.raises(ScoringError) as caught:
        pin(job({"model.uri": f"file:///nowhere?token={SECRET}"}).model)
    assert SECRET not in str(caught.value)
