"""Without Spark, Delta or the whole of MLflow, a command ends with 2 and the line to type, and never with a trace."""

import json
import subprocess
import sys

import pyspark
import pytest

from spark_scoring.spark.packages import missing_package
from tests import models
from tests.unit.programs import environment

PROGRAM = """
import sys
from importlib.machinery import PathFinder
theirs = PathFinder.find_spec
PathFinder.find_spec = lambda name, *more: None if name.partition(".")[0] in {hidden!r} else theirs(name, *more)
{then}
"""
COMMAND = "sys.argv[0] = 'spark-scoring'; from spark_scoring.cli import main; sys.exit(main())"
INSTALL = 'pip install "spark-scoring[local]"'
SPARK = {"pyspark", "py4j"}


def without(hidden, then, *words, cwd):
    program = PROGRAM.format(hidden=hidden, then=then)
    return subprocess.run(
        [sys.executable, "-c", program, *words], cwd=cwd, env=environment(), capture_output=True, text=True
    )


@pytest.mark.parametrize(
    "words",
    [
        "score --model m --input t --output s",
        "check --model m --input t",
        "publish r1",
        "history --runs ./runs",
        "demo",
        "inspect MODEL --input ./t",
        "jars fetch",
    ],
)
def test_without_spark_a_command_names_the_line_to_type(words, tmp_path):
    given = words.split()
    if "MODEL" in given:  # the table is opened for one that has no signature
        given[given.index("MODEL")] = models.save(tmp_path / "model", signed=False)
    done = without(SPARK, COMMAND, *given, "--json", cwd=tmp_path)
    data = json.loads(done.stdout)
    error = data["problems"][0] if given[0] == "check" else data["error"]
    assert (done.returncode, error["code"]) == (2, "no_pyspark")
    assert error["message"] == "pyspark is not installed here"
    assert error["remedy"].startswith(INSTALL)
    assert "Traceback" not in done.stderr


def test_what_needs_no_spark_goes_on_without_it(adds, tmp_path):
    done = without(SPARK, COMMAND, "inspect", adds, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_public_name_that_needs_spark_tells_so(tmp_path):
    done = without(SPARK, "from spark_scoring import score", cwd=tmp_path)
    assert done.returncode == 1
    assert "ConfigurationError: pyspark is not installed here" in done.stderr
    assert INSTALL in done.stderr


@pytest.mark.parametrize(
    ("exc", "remedy"),
    [
        (ModuleNotFoundError("No module named 'sqlalchemy'", name="sqlalchemy"), INSTALL),
        (ModuleNotFoundError("No module named 'boto3.s3'", name="boto3.s3"), "pip install boto3"),
        (
            ImportError("[UNSUPPORTED_PACKAGE_VERSION] Pandas >= 2.2.0 must be installed; however, yours is 1.5."),
            f"{INSTALL} --upgrade",
        ),
        (
            ImportError("[PACKAGE_NOT_INSTALLED] grpcio >= 1.48.1 must be installed; however, it was not found."),
            f'pip install "pyspark[connect]=={pyspark.__version__}"',
        ),
        (
            ModuleNotFoundError("No module named 'grpc'", name="grpc"),
            f'pip install "pyspark[connect]=={pyspark.__version__}"',
        ),
    ],
)
def test_each_missing_package_has_its_line(exc, remedy):
    wrapped = RuntimeError("on the way")
    wrapped.__cause__ = exc
    for error in (missing_package(exc), missing_package(wrapped)):
        assert error is not None
        assert (error.exit_code, error.remedy) == (2, remedy)


@pytest.mark.parametrize(
    "exc",
    [ValueError("No module named x"), ImportError("cannot import name"), ModuleNotFoundError(name="spark_scoring.x")],
)
def test_what_is_no_missing_package_is_left_alone(exc):
    assert missing_package(exc) is None
