"""The kinds of cluster that spark-submit knows: what each needs, told before it fails there, and what runs where.

What is said of YARN and of standalone clusters was run by our tests; of Kubernetes it was only read up.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from spark_scoring.environment.manifest import PYTHON
from spark_scoring.errors import ConfigurationError
from spark_scoring.redaction import redact
from spark_scoring.spark.settings import conf_folder

HADOOP_FOLDERS = ("HADOOP_CONF_DIR", "YARN_CONF_DIR")
_IMAGES = ("spark.kubernetes.executor.container.image", "spark.kubernetes.container.image")
_RESOURCE_MANAGER = "spark.hadoop.yarn.resourcemanager."


def master_of(settings: Mapping[str, str]) -> str:
    """Returns the master's URL, as spark-submit finds it."""
    return settings.get("spark.master") or os.environ.get("MASTER") or "local[*]"


def refuse_cluster_mode(settings: Mapping[str, str]) -> None:
    """Refuses a driver inside the cluster, whoever asks for it: an option, a file of settings or the environment."""
    if (settings.get("spark.submit.deployMode") or os.environ.get("DEPLOY_MODE")) != "cluster":
        return
    raise ConfigurationError(
        "the driver can't run inside the cluster: the job file and this package are here",
        code="deploy_mode",
        available="client",
        remedy="leave --deploy-mode cluster out (or write --deploy-mode client, where spark-defaults.conf or "
        "DEPLOY_MODE asks for it); to have the driver there, run this command on one of its machines or in a pod",
    )


def lacking(settings: Mapping[str, str], home: Path) -> list[ConfigurationError]:
    """Returns what a cluster needs and nobody has set.

    Args:
        settings: What spark-submit knows: its options and its files of settings.
        home: The folder of Spark.
    """
    master = master_of(settings)
    if master == "yarn":
        error = _without_hadoop(settings, home)
        return [error] if error is not None else []
    if master.startswith("k8s://") and not any(settings.get(key) for key in _IMAGES):
        return [
            ConfigurationError(
                "on Kubernetes executors are pods of an image, and no image is named",
                code="no_container_image",
                remedy="name one with the cluster's Spark, and Python with what the model requires: "
                f"--conf {_IMAGES[1]}=REGISTRY/NAME:TAG",
            )
        ]
    return []


def _without_hadoop(settings: Mapping[str, str], home: Path) -> ConfigurationError | None:
    folder = conf_folder(home)
    if folder is not None and (folder / "spark-env.sh").is_file():  # which may set them, as distributions do
        return None
    named = {name: os.environ[name] for name in HADOOP_FOLDERS if os.environ.get(name)}
    remedy = "export HADOOP_CONF_DIR=FOLDER, with the cluster's core-site.xml, hdfs-site.xml and yarn-site.xml"
    if not named:
        return ConfigurationError(
            "YARN is found by Hadoop's own files, and neither HADOOP_CONF_DIR nor YARN_CONF_DIR says where they are",
            code="no_hadoop_conf",
            remedy=remedy,
        )
    known = any(key.startswith(_RESOURCE_MANAGER) for key in settings)
    if known or any((Path(place) / "yarn-site.xml").is_file() for place in named.values()):
        return None
    # Hadoop would ask this machine for minutes whether it is the cluster.
    return ConfigurationError(
        f"there is no yarn-site.xml in {' or '.join(f'{name}={place}' for name, place in named.items())}, so it is not "
        "known where YARN is",
        code="no_hadoop_conf",
        remedy=remedy,
    )


def notes(settings: Mapping[str, str]) -> list[str]:
    """Returns what there is to know of a command, a line for each matter."""
    master = master_of(settings)
    if master.startswith("local"):
        return ["driver    all runs here, in one process and its Python workers: the master is local"]
    is_yarn, on_kubernetes = master == "yarn", master.startswith("k8s://")
    lines = []
    if on_kubernetes:
        lines.append("tested    no: what is said of Kubernetes was read up, and no test has run it")
    lines += [_driver(settings, on_kubernetes), _python(settings, on_kubernetes), _jars(settings, is_yarn)]
    lines.append(
        "files     job file and model are read here, and the model is sent to the executors; input and output lie "
        "where driver and executors both see them: hdfs://, s3a://, abfss://, or a folder that all mount"
    )
    lines.append(
        "Spark ML  a pipeline is read by the executors, from a folder that they see: export MLFLOW_DFS_TMP=URI"
        + (" (by default /tmp/mlflow in the cluster's file system)" if is_yarn else "")
    )
    if is_yarn:
        lines.append(
            "upload    Spark's own jars go to the staging folder in the cluster's file system each time, unless "
            "spark.yarn.archive or spark.yarn.jars says where they are"
        )
    if on_kubernetes:
        namespace = redact(settings.get("spark.kubernetes.namespace", "default"))
        lines.append(
            "pods      are made with this user's kubeconfig, which must be allowed to, in spark.kubernetes.namespace, "
            f"which is {namespace}; spark.kubernetes.file.upload.path is for cluster mode, and not needed"
        )
    return lines


def _driver(settings: Mapping[str, str], on_kubernetes: bool) -> str:
    host = settings.get("spark.driver.host")
    text = f"driver    runs here, in {sys.executable}, until the job is done; "
    if host:
        return f"{text}executors reach it at {redact(host)}"
    text += "executors must reach this machine: --conf spark.driver.host=HOST"
    if on_kubernetes:
        return f"{text}, of a headless service where this is a pod, and spark.driver.port=PORT"
    return f"{text} where its own name is not theirs for it, and spark.driver.port=PORT behind a firewall"


def _python(settings: Mapping[str, str], on_kubernetes: bool) -> str:
    version = ".".join(map(str, sys.version_info[:2]))
    python = settings.get("spark.pyspark.python") or os.environ.get("PYSPARK_PYTHON") or "python3"
    where = "in the image" if on_kubernetes else "on each node"
    if python == PYTHON:
        return f"python    executors unpack the archive, and run its packages with a Python {version} {where}"
    return (
        f"python    executors run {redact(python)} {where}; it must be Python {version}, with what the model requires "
        "(--conf spark.pyspark.python=PATH, or --env ARCHIVE)"
    )


def _jars(settings: Mapping[str, str], is_yarn: bool) -> str:
    found = "by Maven here" if settings.get("spark.jars.packages") else "in files here"
    way = "by the cluster's file system" if is_yarn else "from the driver"
    return f"jars      Delta's are found {found}, and executors get them {way}: no node needs Maven"
