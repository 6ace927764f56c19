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


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("password: hunter2", "password: ***"),
        ("{'token': 'hunter2 and more', 'n': 1}", "{'token': ***, 'n': 1}"),
        ('{"password": "hunter2", "n": 1}', '{"password": ***, "n": 1}'),
        ('{"db.password":"a \\" hunter2"}', '{"db.password":***}'),
        ('"{\\"password\\": \\"hunter2\\"}"', '"{\\"password\\": ***\\"}"'),
        ("password='hunter2", "password=***"),
        ("password => hunter2;", "password => ***;"),
        ("url=password=hunter2", "url=password=***"),
        ("Authorization: Basic aHVudGVyMg==", "Authorization: ***"),
        ("sent Bearer hunter2, refused", "sent Bearer ***, refused"),
        ("cookie: hunter2", "cookie: ***"),
        ("x-api-key: hunter2", "x-api-key: ***"),
        ("pass=hunter2 user=ada", "pass=*** user=ada"),
        ("DB_PASS=hunter2", "DB_PASS=***"),
        ("passphrase=hunter2", "passphrase=***"),
        ("private_key=hunter2", "private_key=***"),
        ("mysql --password hunter2 --host db", "mysql --password *** --host db"),
        ("//ada:hunter2@host/x", "//***@host/x"),
        ('Invalid bucket name "ada:hunter2@bucket.net"', 'Invalid bucket name "***@bucket.net"'),
        ("ada:hun/ter2@store.net refused", "***@store.net refused"),
        ("hdfs:///ada:hunter2@host/x", "hdfs:///***@host/x"),
        ("jdbc:oracle:thin:ada/hunter2@db:1521", "jdbc:oracle:thin:***@db:1521"),
        ("-----BEGIN RSA PRIVATE KEY-----\nhunter2\n-----END RSA PRIVATE KEY----- x", "*** x"),
        ("-----BEGIN PRIVATE KEY-----\nhunter2", "***"),
        ("a dapi" + "0123456789abcdef" * 2 + " of Databricks", "a *** of Databricks"),
    ],
)
def test_a_secret_is_hidden_however_it_is_written(text, shown):
    assert redact(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "compass=north",
        "max_tokens: 5",
        "tokenizer: bpe",
        "see //host:8080/a@b",
        "//host/a@b",
        "mail: ada@host.net",
        "table:name@v1",
        "runs:/1/model@v.1",
        "secret://vault/x",
        "a: b",
    ],
)
def test_what_only_looks_like_one_stays(text):
    assert redact(text) == text


def test_a_jobs_text_holds_no_secret():
    job = ScoringJob.from_values(
        {
            "model": {
                "uri": f"s3://k:{SECRET}@b/m",
                "tracking_uri": f"https://ada:{SECRET}@host",
                "params": {"store": {"urls": [f"https://host?token={SECRET}"]}},
            },
            "input": {"sql": f"SELECT * FROM parquet.`s3://k:{SECRET}@b/x`"},
            "output": {"path": f"/scores/sig={SECRET}"},
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
