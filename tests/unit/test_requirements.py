"""A model's requirements against the packages that are there."""

import pytest

from spark_scoring.worker.digest import model_digest
from spark_scoring.worker.failures import ScoringFailedError
from spark_scoring.worker.models import load_once
from spark_scoring.worker.protocol import ModelFiles
from spark_scoring.worker.requirements import differences, installed_version, note
from tests import models

HERE = {"scikit-learn": "1.9.1", "numpy": "2.4.6", "torch": "2.3.0+cpu", "mlflow-skinny": "3.17.2", "dev": "1.0rc1"}


@pytest.mark.parametrize(
    "line",
    [
        "scikit-learn==1.9.1",
        "scikit-learn",
        "scikit-learn>=1.0,<2  # as trained",
        "torch==2.3.0",
        "mlflow==3.17.2",
        "dev>=0.9",
        "numpy==2.4.*",
        "absent==1.0 ; python_version < '3'",
        "-r more.txt",
        "-c constraints.txt",
        "--find-links wheels",
        "wheels/own-1.0-py3-none-any.whl",
        "# a comment",
        "",
    ],
)
def test_what_is_met_or_names_no_package(line):
    assert differences([line], HERE.get) == []


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("scikit-learn==1.7.2", "scikit-learn==1.7.2 wanted, 1.9.1 here"),
        ("scikit-learn<1.9 # why", "scikit-learn<1.9 wanted, 1.9.1 here"),
        ("xgboost==3.0 ; python_version > '3'", "xgboost==3.0 wanted, none here"),
        ("pandas[performance]", "pandas[performance] wanted, none here"),
        ("mlflow==2.16.0", "mlflow==2.16.0 wanted, 3.17.2 here"),
        ("own @ https://user:secret@host/own.whl", "own wanted, none here"),
    ],
)
def test_what_is_not(line, told):
    (found,) = differences([line], HERE.get)
    assert str(found) == told
    assert told in note([found])


@pytest.mark.parametrize("version", ["9" * 5000, "1." + "9" * 5000, "1.0+" + "9" * 5000, "9" * 5000 + "!1", "", "1..2"])
def test_a_version_that_is_none_meets_no_condition(version):
    assert differences(["numpy"], lambda _: version) == []
    assert differences(["numpy>=1"], lambda _: version) == [("numpy>=1", version)]


def test_the_packages_are_those_of_this_process():
    assert installed_version("no-such-package") is None
    assert differences([f"pandas=={installed_version('pandas')}", "pandas==0.1"])[0].wanted == "pandas==0.1"


@pytest.mark.parametrize("match", [False, True])
def test_a_worker_looks_at_its_own_packages(match, tmp_path, capsys):
    model = models.save(tmp_path / "model", "adds", config={"match": match})
    locator = ModelFiles(model_digest(model), model, requirements=["pandas==0.1", "numpy"], match=match)
    told = f"pandas==0.1 wanted, {installed_version('pandas')} here"
    if match:
        with pytest.raises(ScoringFailedError) as caught:
            load_once(locator, str(tmp_path))
        assert (caught.value.kind, caught.value.failure.code) == ("model", "requirements_differ")
        assert caught.value.failure.message == told
    else:
        assert load_once(locator, str(tmp_path)).model is not None
    assert told in capsys.readouterr().err
