"""A Delta that does not work with the installed Spark is told at the start, with the one to take."""

import pytest

from spark_scoring.errors import ConfigurationError
from spark_scoring.spark.failures import scoring_failure
from spark_scoring.spark.jars import delta_package
from spark_scoring.spark.pairs import package_of, refuse_unfit_pair
from tests.matrix.combinations import COMBINATIONS

UNFIT = [
    ("4.1.4", "4.1.0", "4.4.0"),
    ("4.1.2", "4.1.0", "4.4.0"),
    ("4.2.0", "4.0.1", "4.4.0"),
    ("4.1.1", "4.0.0", "4.4.0"),
    ("4.0.5", "3.3.2", "4.4.0"),
    ("4.2.0", "3.2.0", "4.4.0"),
    ("3.5.8", "4.0.1", "3.3.2"),
    ("3.5.0", "4.4.0", "3.3.2"),
    ("5.0.0", "3.3.2", None),
]


@pytest.fixture
def installed(monkeypatch):
    def pretend(spark, delta):
        monkeypatch.setattr("pyspark.__version__", spark)
        monkeypatch.setattr("spark_scoring.spark.jars.metadata.version", lambda _: delta)

    return pretend


@pytest.mark.parametrize(("spark", "delta", "take"), UNFIT)
def test_a_pair_that_does_not_work_is_refused_and_the_one_to_take_is_taken(installed, spark, delta, take):
    installed(spark, delta)
    with pytest.raises(ConfigurationError, match=f"delta-spark {delta} does not work with pyspark {spark}") as caught:
        delta_package()
    assert caught.value.code == "versions_differ"
    if take is None:
        assert "spark-scoring[local]" in caught.value.remedy
        return
    assert caught.value.remedy == f"pip install delta-spark=={take}"
    installed(spark, take)
    assert take in delta_package()


@pytest.mark.parametrize("one", COMBINATIONS, ids=lambda one: one.name)
def test_no_combination_that_is_tried_is_refused(one):
    refuse_unfit_pair(one.spark, one.delta)


LACKS = (
    "An error occurred while calling o53.sql.\n: java.lang.NoClassDefFoundError: "
    "org/apache/spark/sql/catalyst/plans/logical/IgnoreCachedData\n\tat org.apache.spark.sql.delta.commands.X"
)


def test_a_session_s_own_delta_that_is_for_another_spark_is_told_when_it_fails(installed):
    installed("4.1.4", "4.1.0")
    told = scoring_failure(RuntimeError(LACKS))
    assert (told.code, told.exit_code) == ("versions_differ", 2)
    assert "org.apache.spark.sql.catalyst.plans.logical.IgnoreCachedData" in told.message
    assert package_of("4.1.4", "4.4.0") in told.remedy


@pytest.mark.parametrize(
    "text",
    [
        "java.lang.NoClassDefFoundError: com/example/MyUdf",
        "java.lang.NoClassDefFoundError: Could not initialize class org.xerial.snappy.Snappy",
        "java.lang.OutOfMemoryError: org/apache/spark",
    ],
)
def test_what_else_java_lacks_is_no_matter_of_delta_s(text):
    assert scoring_failure(RuntimeError(text)).code == "spark_failed"
