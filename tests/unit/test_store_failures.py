"""What Hadoop's clients of stores say, in extracts of what they said to Spark 4.2, and what is made of it."""

from __future__ import annotations

import pytest

from spark_scoring.spark.stores import store_failure

S3, AZURE, HDFS = "s3a://flights/rows", "abfss://c@acc.dfs.core.windows.net/rows", "hdfs://127.0.0.1:9/rows"
SDK = "software.amazon.awssdk.core.exception.SdkClientException"
SAID = {
    "no client": (
        S3,
        "java.lang.ClassNotFoundException: Class org.apache.hadoop.fs.s3a.S3AFileSystem not found",
        "this Spark has no client for s3a://",
        "SPARK_SCORING_PACKAGES=org.apache.hadoop:hadoop-aws:",
    ),
    "no client for Azure": (
        AZURE,
        "ClassNotFoundException: Class org.apache.hadoop.fs.azurebfs.SecureAzureBlobFileSystem not found",
        "this Spark has no client for abfss://",
        "--packages org.apache.hadoop:hadoop-azure:",
    ),
    "Amazon's own scheme": (
        "s3://flights/rows",
        'org.apache.hadoop.fs.UnsupportedFileSystemException: No FileSystem for scheme "s3"',
        "this Spark has no client for s3://",
        "write s3a:// in its place",
    ),
    "Google's": (
        "gs://flights/rows",
        "ClassNotFoundException: Class org.apache.hadoop.fs.gs.GoogleHadoopFileSystem not found",
        "this Spark has no client for gs://",
        "add its client",
    ),
    "no keys": (
        S3,
        "java.nio.file.AccessDeniedException: s3a://flights/rows: NoAuthWithAWSException: No AWS Credentials provided",
        "nothing says who asks the store",
        "spark.hadoop.fs.s3a.access.key and spark.hadoop.fs.s3a.secret.key",
    ),
    "no key of an account": (
        AZURE,
        'Failure … for acc.dfs.core.windows.net key ="null": Invalid … value detected for fs.azure.account.key',
        "nothing says who asks the store",
        "fs.azure.account.key.ACCOUNT",
    ),
    "no bucket": (
        S3,
        "UnknownStoreException: `s3a://flights/rows': NoSuchBucketException: … (Service: S3, Status Code: 404, …)",
        "the store has no bucket, or container, of that name",
        "spark.hadoop.fs.s3a.endpoint",
    ),
    "no bucket in the URI": (
        "s3a:///rows",
        "bucket is null/empty",
        "its URI names no host or bucket",
        "write s3a://NAME/",
    ),
    "no host in the URI": (
        "hdfs:///rows",
        "java.io.IOException: Incomplete HDFS URI, no host: hdfs:/rows",
        "its URI names no host or bucket",
        "HADOOP_CONF_DIR",
    ),
    "a bucket before the host": (
        S3,
        "UnknownHostException: getFileStatus on s3a://flights: …\nUnable to execute HTTP request: flights.minio (…)",
        "no name server knows its host flights.minio",
        "spark.hadoop.fs.s3a.path.style.access true",
    ),
    "no such account": (
        AZURE,
        "Status code: -1 error code: null\nCaused by: java.net.UnknownHostException: acc.dfs.core.windows.net",
        "no name server knows its host acc.dfs.core.windows.net",
        "the account's name",
    ),
    "nobody there": (
        S3,
        f"{SDK}: Unable to execute HTTP request: Connect to 127.0.0.1:9 [/127.0.0.1] failed: Connection refused",
        "nobody answers at 127.0.0.1:9",
        "spark.hadoop.fs.s3a.endpoint",
    ),
    "no name node": (
        HDFS,
        "ConnectException: Call From vm/127.0.0.1 to localhost:9 failed on connection exception: … Connection refused",
        "nobody answers at localhost:9",
        "HADOOP_CONF_DIR",
    ),
    "wrong keys": (
        S3,
        "AccessDeniedException: s3a://flights/rows: S3Exception: null (Service: S3, Status Code: 403, Request ID: Y)",
        "the store refuses this user",
        "AWS_SECRET_ACCESS_KEY",
    ),
}


@pytest.mark.parametrize("what", SAID)
def test_each_says_what_it_was_and_what_to_set(what: str) -> None:
    uri, said, reason, remedy = SAID[what]
    failure = store_failure(Exception(f"An error occurred while calling o61.load.\n: {said}\n\tat org.apache"), uri)
    assert failure is not None
    assert failure.reason.startswith(reason)
    assert remedy in failure.remedy


@pytest.mark.parametrize("path", ["/data/rows", "file:///data/rows", "", "shop.rows"])
def test_a_disk_is_no_store(path: str) -> None:
    assert all(store_failure(Exception(said), path) is None for _, said, _, _ in SAID.values())


@pytest.mark.parametrize("said", ["", "File too large", "[DIVIDE_BY_ZERO] Division by zero", "Permission denied"])
def test_what_is_something_else_is_left_to_others(said: str) -> None:
    assert store_failure(Exception(said), S3) is None
