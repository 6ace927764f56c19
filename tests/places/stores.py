"""Stores as they are in the field, each by a server on this machine: S3, Azure and HDFS, and the disk beside them.

The servers are moto for S3, azurite for Azure's blobs, and Hadoop's own HDFS. Spark's clients for them are those that a
user takes: hadoop-aws and hadoop-azure, in the version of Spark's Hadoop.
"""

from __future__ import annotations

import base64
import secrets
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import boto3
import pyspark

from tests.places import hadoop
from tests.servers import free_port, program

AZURITE = Path(__file__).parents[2] / ".venv-places" / "node_modules" / "azurite" / "dist" / "src" / "blob" / "main.js"
_ACCOUNT = "tests"
_BUCKET = "flights"


@dataclass(frozen=True)
class Store:
    """A store that Spark can write to.

    Attributes:
        name: As the page on stores calls it.
        root: The URI below which tests write.
        is_safe: Whether two drivers may write to one table.
        settings: What Spark has to be told.
        package: Of Spark's client, as Maven knows it, if it is not part of Spark.
        keys: What nobody may find anywhere.
        options: What another library than Spark has to be told; None where it can't read there.
        held: Returns all that lies in the store: bytes by name.
    """

    name: str
    root: str
    is_safe: bool
    settings: dict[str, str] = field(repr=False)
    package: str | None
    keys: tuple[str, ...] = field(repr=False)
    options: dict[str, str] | None = field(repr=False)
    held: Callable[[], dict[str, bytes]] = field(repr=False)


@contextmanager
def running_stores(folder: Path) -> Iterator[list[Store]]:
    """Starts all stores, and ends them."""
    with ExitStack() as servers:
        makers = (_disk, _s3, _azure, _hdfs)
        yield [servers.enter_context(make(_made(folder / make.__name__.strip("_")))) for make in makers]


def packages(stores: list[Store]) -> str:
    """Returns what ``SPARK_SCORING_PACKAGES`` names for some stores."""
    return ",".join(filter(None, (store.package for store in stores)))


@contextmanager
def _disk(folder: Path) -> Iterator[Store]:
    yield Store("local disk", str(folder), True, {}, None, (), {}, lambda: _files(folder))


@contextmanager
def _s3(folder: Path) -> Iterator[Store]:
    """An S3 with one bucket, that looks at no key, by moto."""
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    key, secret = f"AKIA{secrets.token_hex(8).upper()}", secrets.token_urlsafe(30)
    with program(folder, command, port) as server:
        server.wait_for("/moto-api/")
        client = boto3.client(
            "s3", endpoint_url=server.uri, aws_access_key_id=key, aws_secret_access_key=secret, region_name="us-east-1"
        )
        client.create_bucket(Bucket=_BUCKET)

        def held() -> dict[str, bytes]:
            pages = client.get_paginator("list_objects_v2").paginate(Bucket=_BUCKET)
            names = [one["Key"] for page in pages for one in page.get("Contents", [])]
            return {name: client.get_object(Bucket=_BUCKET, Key=name)["Body"].read() for name in names}

        settings = {
            "spark.hadoop.fs.s3a.endpoint": server.uri,
            "spark.hadoop.fs.s3a.endpoint.region": "us-east-1",
            "spark.hadoop.fs.s3a.path.style.access": "true",
            "spark.hadoop.fs.s3a.access.key": key,
            "spark.hadoop.fs.s3a.secret.key": secret,
        }
        package = f"org.apache.hadoop:hadoop-aws:{_hadoop()}"
        options = {
            "aws_endpoint": server.uri,
            "aws_allow_http": "true",
            "aws_region": "us-east-1",
            "aws_access_key_id": key,
            "aws_secret_access_key": secret,
        }
        yield Store("S3", f"s3a://{_BUCKET}", False, settings, package, (key, secret), options, held)


@contextmanager
def _azure(folder: Path) -> Iterator[Store]:
    """Azure's blobs, by azurite; Spark asks for them as for a Data Lake, over the address of the blobs."""
    port = free_port()
    key = base64.b64encode(secrets.token_bytes(48)).decode()
    words = ["--blobHost", "127.0.0.1", "--blobPort", str(port), "--location", "data"]
    quiet = ["--skipApiVersionCheck", "--loose", "--disableTelemetry"]
    command = [_node(), str(AZURITE), *words, *quiet]
    (folder / "data").mkdir()
    with program(folder, command, port, AZURITE_ACCOUNTS=f"{_ACCOUNT}:{key}") as server:
        server.wait_for_port()
        host = f"{_ACCOUNT}.dfs.core.windows.net"
        settings = {
            "spark.hadoop.fs.azure.abfs.endpoint": f"127.0.0.1:{port}",
            "spark.hadoop.fs.azure.always.use.https": "false",
            "spark.hadoop.fs.azure.networking.library": "JDK_HTTP_URL_CONNECTION",
            "spark.hadoop.fs.azure.account.hns.enabled": "false",
            "spark.hadoop.fs.azure.fns.account.service.type": "BLOB",
            "spark.hadoop.fs.azure.createRemoteFileSystemDuringInitialization": "true",
            f"spark.hadoop.fs.azure.account.key.{host}": key,
            f"spark.hadoop.fs.azure.account.key.{host.replace('dfs', 'blob')}": key,
        }
        package = f"org.apache.hadoop:hadoop-azure:{_hadoop()}"
        root = f"abfs://{_BUCKET}@{host}"
        yield Store("Azure", root, True, settings, package, (key,), None, lambda: _files(folder / "data"))


@contextmanager
def _hdfs(folder: Path) -> Iterator[Store]:
    with hadoop.hdfs(folder) as uri:
        yield Store("HDFS", uri, True, {}, None, (), {}, dict)


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _files(folder: Path) -> dict[str, bytes]:
    return {str(file): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def _hadoop() -> str:
    """Returns the version of Spark's Hadoop."""
    (client,) = (Path(pyspark.__file__).parent / "jars").glob("hadoop-client-api-*.jar")
    return client.stem.removeprefix("hadoop-client-api-")


def _node() -> str:
    node = shutil.which("node")
    assert node, "azurite needs Node.js"
    assert AZURITE.exists(), "azurite is not installed: make test-places installs it"
    return node
