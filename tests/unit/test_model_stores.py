"""Models whose files lie in a store that MLflow reads with that store's own client."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from spark_scoring.errors import ModelError
from spark_scoring.jobs.model_config import ModelConfig
from spark_scoring.models import connection
from spark_scoring.models.answers import failure, is_failure
from spark_scoring.models.connection import Budget
from spark_scoring.models.pinned import fetch, pin
from spark_scoring.worker.digest import model_digest
from tests.servers import free_port, program, saying

KEY, SECRET = "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"
ENDPOINT = "MLFLOW_S3_ENDPOINT_URL"


def refusal(uri: str) -> ModelError:
    named = ModelConfig(uri=uri)
    with pytest.raises(ModelError) as caught:
        fetch(pin(named), named)
    assert caught.value.exit_code == 4
    return caught.value


def without_package(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    for name in names:
        monkeypatch.setitem(sys.modules, name, None)


@pytest.mark.parametrize(
    ("uri", "packages", "installed"),
    [
        ("s3://models/flights", ("boto3",), "pip install boto3"),
        ("gs://models/flights", ("google.cloud.storage", "google.cloud"), "pip install google-cloud-storage"),
        (
            "wasbs://c@account.blob.core.windows.net/m",
            ("azure", "azure.storage.blob"),
            "pip install azure-storage-blob",
        ),
        ("abfss://c@account.dfs.core.windows.net/m", ("azure",), "pip install azure-storage-file-datalake"),
    ],
)
def test_a_store_whose_client_is_not_installed_is_told_with_the_line_to_type(uri, packages, installed, monkeypatch):
    without_package(monkeypatch, *packages)
    _forget_clients()
    error = refusal(uri)
    assert error.code == "store_client_missing"
    assert installed in str(error.remedy)


def test_a_client_of_another_version_than_mlflow_can_use_is_told_with_the_one_to_take():
    file = "/usr/lib/python3/site-packages/sqlalchemy/pool/__init__.py"
    said = f"cannot import name 'FallbackAsyncAdaptedQueuePool' from 'sqlalchemy.pool' ({file})"
    raised = ImportError(said, name="sqlalchemy.pool", path=file)
    error = failure("sqlite:///mlflow.db", raised)
    assert error.code == "store_client_missing"
    assert error.message == (
        "the client of sqlite:///mlflow.db can't be imported here: cannot import name 'FallbackAsyncAdaptedQueuePool' "
        "from 'sqlalchemy.pool'"
    )
    assert 'install "sqlalchemy<2.1"' in str(error.remedy)


@pytest.mark.parametrize(
    "said",
    [
        "Unable to locate credentials",
        "Partial credentials found in env, missing: AWS_SECRET_ACCESS_KEY",
        "An error occurred (AccessDenied) when calling the GetObject operation: Access Denied",
        "An error occurred (InvalidAccessKeyId) when calling the ListObjectsV2 operation: no such key",
        "An error occurred (SignatureDoesNotMatch) when calling the GetObject operation: no",
        "An error occurred (ExpiredToken) when calling the ListObjectsV2 operation: expired",
        "An error occurred (403) when calling the HeadObject operation: Forbidden",
        "Your default credentials were not found. To set up Application Default Credentials, see …",
    ],
)
@pytest.mark.parametrize("uri", ["s3://models/flights", "gs://models/flights"])
def test_a_store_that_refuses_a_user_speaks_of_its_own_variables(uri, said):
    outer = RuntimeError("Failed to list artifacts")
    outer.__context__ = RuntimeError(said)
    for cause in (RuntimeError(said), outer):
        error = failure(uri, cause)
        assert error.code == "store_denied"
        assert "MLFLOW_TRACKING" not in str(error.remedy)
        assert ("AWS_ACCESS_KEY_ID" if uri.startswith("s3") else "GOOGLE_APPLICATION_CREDENTIALS") in str(error.remedy)


@pytest.mark.parametrize(
    "said",
    [
        'Could not connect to the endpoint URL: "http://127.0.0.1:9/models"',
        'Connect timeout on endpoint URL: "https://models.example/"',
        "Connection was closed before we received a valid response from endpoint URL",
        "An error occurred (SlowDown) when calling the ListObjectsV2 operation: reduce your request rate",
    ],
)
def test_a_store_that_is_away_is_no_absent_model(said):
    error = failure("s3://models/flights", RuntimeError(said))
    assert is_failure(RuntimeError(said))
    assert error.code == "registry_unreachable"
    assert ENDPOINT in str(error.remedy)


def test_a_file_that_a_store_does_not_have_is_none_of_these():
    for said in (
        "An error occurred (404) when calling the HeadObject operation: Not Found",
        "NoSuchBucket",
        "NoSuchKey",
    ):
        assert not is_failure(RuntimeError(said))


# With a store that answers as S3 does.


def _forget_clients() -> None:
    from mlflow.store.artifact import s3_artifact_repo

    s3_artifact_repo._cached_get_s3_client.cache_clear()
    if sys.modules.get("boto3") is not None:
        sys.modules["boto3"].DEFAULT_SESSION = None  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory, adds: str) -> Iterator[str]:
    pytest.importorskip("moto", reason="moto[server], which answers as S3 does, is not installed")
    boto3 = pytest.importorskip("boto3", reason="boto3, MLflow's client for S3, is not installed")
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with program(tmp_path_factory.mktemp("store"), command, port) as server:
        server.wait_for("/moto-api/")
        keys = {"aws_access_key_id": "of-a-test", "aws_secret_access_key": "a-secret-of-a-test"}
        client = boto3.client("s3", endpoint_url=server.uri, region_name="us-east-1", **keys)
        client.create_bucket(Bucket="models")
        for path in (path for path in Path(adds).rglob("*") if path.is_file()):
            client.upload_file(str(path), "models", f"flights/{path.relative_to(adds)}")
        yield server.uri


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    for name in [name for name in os.environ if name.startswith(("AWS_", "MLFLOW_S3"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv(KEY, "of-a-test")
    monkeypatch.setenv(SECRET, "a-secret-of-a-test")
    monkeypatch.setattr(Budget.__init__, "__defaults__", (60,))
    monkeypatch.setattr(connection, "_QUIET_SECONDS", 60)
    _forget_clients()
    yield
    _forget_clients()


def test_a_model_is_had_from_a_bucket(store, adds, monkeypatch):
    monkeypatch.setenv(ENDPOINT, store)
    named = ModelConfig(uri="s3://models/flights")
    assert fetch(pin(named), named).digest == model_digest(adds)


def test_a_registered_model_whose_files_are_in_a_bucket_is_had(store, adds, registry, monkeypatch):
    monkeypatch.setenv(ENDPOINT, store)
    registry.register("in_a_bucket", "s3://models/flights", alias="champion")
    named = ModelConfig(uri="models:/in_a_bucket@champion", tracking_uri=registry.uri)
    model = fetch(pin(named), named)
    assert (model.model_id, model.digest) == ("in_a_bucket/1", model_digest(adds))


@pytest.mark.parametrize("uri", ["s3://models/sevred", "s3://no-such-bucket/flights"])
def test_what_a_store_does_not_have_is_told_as_absent(uri, store, monkeypatch):
    monkeypatch.setenv(ENDPOINT, store)
    error = refusal(uri)
    assert error.code == "model_not_found"
    assert "The following failures" not in error.message


def test_without_keys_a_store_is_told_as_that(store, monkeypatch):
    monkeypatch.setenv(ENDPOINT, store)
    monkeypatch.delenv(KEY)
    monkeypatch.delenv(SECRET)
    error = refusal("s3://models/flights")
    assert error.code == "store_denied"
    assert "no keys are set here" in error.message
    assert KEY in str(error.remedy)


@pytest.mark.parametrize(
    ("status", "code"),
    [(403, "AccessDenied"), (403, "InvalidAccessKeyId"), (403, "SignatureDoesNotMatch"), (400, "ExpiredToken")],
)
def test_keys_that_a_store_refuses_are_told_and_not_shown(status, code, monkeypatch):
    pytest.importorskip("boto3", reason="boto3, MLflow's client for S3, is not installed")
    body = f'<?xml version="1.0"?><Error><Code>{code}</Code><Message>no</Message></Error>'
    with saying(lambda _: (status, "application/xml", body)) as server:
        monkeypatch.setenv(ENDPOINT, server)
        error = refusal("s3://models/flights")
    assert error.code == "store_denied"
    assert code in error.message
    assert "a-secret-of-a-test" not in str(error)


def test_a_store_that_is_down_is_told_by_its_own_name(monkeypatch):
    pytest.importorskip("boto3", reason="boto3, MLflow's client for S3, is not installed")
    monkeypatch.setenv(ENDPOINT, f"http://127.0.0.1:{free_port()}")
    error = refusal("s3://models/flights")
    assert error.code == "registry_unreachable"
    assert error.message.startswith("s3://models/flights")
