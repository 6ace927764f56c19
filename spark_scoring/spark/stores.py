"""What the client of a store says where it does not get at it, in words, and what to do.

The texts are those of Hadoop 3.4 and 3.5 and of the clients below them, seen with stores that lack what they speak of.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from spark_scoring.redaction import redact
from spark_scoring.spark.conditions import is_of_rows
from spark_scoring.spark.jars import packages_remedy

_LONGEST = 20_000
_NO_CLIENT = re.compile(
    r"Class org\.apache\.hadoop\.fs\.[\w.$]+ not found|No FileSystem for scheme|UNSUPPORTED_FILE_SYSTEM"
)
_NO_KEYS = re.compile(r"NoAuthWithAWSException|Unable to load credentials|detected for fs\.azure\.account\.key")
_DENIED = re.compile(
    r"InvalidAccessKeyId|SignatureDoesNotMatch|AccessDenied\b|Status Code: 403|\b403\b.{0,40}Forbidden"
    r"|AuthenticationFailed|AuthorizationFailure|ExpiredToken"
)
_NO_BUCKET = re.compile(r"NoSuchBucket|UnknownStoreException|ContainerNotFound|FilesystemNotFound")
_NO_HOST = re.compile(
    r"UnknownHostException: (?!.* on s3a:)([\w.-]+)$|Unable to execute HTTP request: (?!Connect to)([\w.-]+)",
    re.MULTILINE,
)
_REFUSED = re.compile(r"(?:Connect to|to) ([\w.-]+:\d+)[^\n]*(?:failed|refused)|ConnectException: Connection refused")
_NO_NAME = re.compile(r"Incomplete HDFS URI|bucket is null|null uri host|Invalid bucket name")
_S3 = {"s3a", "s3", "s3n"}
_AZURE = {"abfs", "abfss", "wasb", "wasbs"}
# By what a client knows who asks, and which store, by scheme.
_S3_KEYS = (
    "spark.hadoop.fs.s3a.access.key and spark.hadoop.fs.s3a.secret.key in spark-defaults.conf, or AWS_ACCESS_KEY_ID "
    "and AWS_SECRET_ACCESS_KEY"
)
_S3_ADDRESS = (
    "spark.hadoop.fs.s3a.endpoint; a store that is none of Amazon's mostly needs "
    "spark.hadoop.fs.s3a.path.style.access true, too"
)
_AZURE_KEY = "spark.hadoop.fs.azure.account.key.ACCOUNT.dfs.core.windows.net in spark-defaults.conf"
_OF_HDFS = ("the user, and Kerberos' ticket", "HADOOP_CONF_DIR")
_OTHER = ("the settings of its client", "the settings of its client")
_SETTINGS = {
    **dict.fromkeys(_S3, (_S3_KEYS, _S3_ADDRESS)),
    **dict.fromkeys(_AZURE, (_AZURE_KEY, "the account's name")),
    **dict.fromkeys(("hdfs", "viewfs"), _OF_HDFS),
}


@dataclass(frozen=True)
class StoreFailure:
    """Why a store was not got at.

    Attributes:
        reason: What it was.
        remedy: What to do.
        may_begin_later: Whether it may be so in the middle of a run that got at the store before.
    """

    reason: str
    remedy: str
    may_begin_later: bool = False


def store_failure(exc: BaseException, uri: str) -> StoreFailure | None:
    """Returns why a store was not got at, or None where that is not what an exception of Spark's says.

    Args:
        exc: What Spark raised.
        uri: What was read or written; a path without a scheme is in no store.
    """
    scheme = uri.partition(":")[0].lower() if ":/" in uri else "file"
    if scheme == "file" or is_of_rows(exc):
        return None
    text = str(exc)[:_LONGEST]
    keys, address = _SETTINGS.get(scheme, _OTHER)
    if _NO_CLIENT.search(text):
        return _no_client(scheme)
    if _NO_NAME.search(text):
        return StoreFailure("its URI names no host or bucket that there can be", f"write {scheme}://NAME/…; {address}")
    if _NO_KEYS.search(text):
        return StoreFailure("nothing says who asks the store", f"set {keys}: see stores.md")
    if _NO_BUCKET.search(text):
        return StoreFailure("the store has no bucket, or container, of that name", f"check its name, and {address}")
    if (host := _NO_HOST.search(text)) is not None:
        name = redact(host.group(1) or host.group(2))
        return StoreFailure(f"no name server knows its host {name}", f"check the URI, and {address}", True)
    if (refused := _REFUSED.search(text)) is not None:
        where = f" at {redact(refused.group(1))}" if refused.group(1) else ""
        remedy = f"check that this machine reaches it, the URI, and {address}"
        return StoreFailure(f"nobody answers{where}", remedy, True)
    if _DENIED.search(text):
        return StoreFailure("the store refuses this user", f"check the rights on it, and {keys}", True)
    return None


def _no_client(scheme: str) -> StoreFailure:
    reason = f"this Spark has no client for {scheme}://"
    if scheme in {"s3", "s3n"}:
        return StoreFailure(reason, "write s3a:// in its place, which Hadoop's own client is registered for")
    if scheme == "s3a" or scheme in _AZURE:
        name = "aws" if scheme == "s3a" else "azure"
        return StoreFailure(reason, f"{packages_remedy(f'org.apache.hadoop:hadoop-{name}:{_hadoop()}')}; see stores.md")
    return StoreFailure(reason, "check the scheme, and add its client to Spark's packages; see stores.md")


def _hadoop() -> str:
    """Returns the version of Hadoop that the installed pyspark brings along."""
    import pyspark

    found = [path.stem for path in (Path(pyspark.__file__).parent / "jars").glob("hadoop-client-api-*.jar")]
    return found[0].rpartition("-")[2] if found else "VERSION"
