"""One cluster, and one session on it, for the whole tier."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pyspark.sql import SparkSession

from tests.cluster.cluster import Cluster, running_cluster


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with running_cluster(tmp_path_factory.mktemp("cluster")) as running:
        yield running


@pytest.fixture(scope="session")
def spark(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    """A session whose executors, one on each node, have two Python workers each."""
    conf = {**cluster.conf(cores=2), "spark.sql.warehouse.dir": str(tmp_path_factory.mktemp("warehouse"))}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYSPARK_PYTHON", cluster.python)
        builder = SparkSession.builder.appName("spark-scoring tests")
        for key, value in conf.items():
            builder = builder.config(key, value)
        running = builder.getOrCreate()
        yield running
        running.stop()
