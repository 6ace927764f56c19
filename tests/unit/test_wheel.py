"""The wheel: what a cluster installs."""

from __future__ import annotations

import configparser
import re
import subprocess
import sys
import zipfile
from email import message_from_string
from email.message import Message
from pathlib import Path

import pytest
from packaging.requirements import Requirement

# No jar of that Delta is on Maven Central, no Delta is for that Spark, and Spark warns of that pandas.
LACKING = (("delta-spark", "4.4.1"), ("pyspark", "4.3.0"), ("pandas", "3.0.0"))
TESTED = (
    ("delta-spark", "4.4.0"),
    ("delta-spark", "3.3.3"),
    ("pyspark", "4.2.0"),
    ("pyspark", "3.5.9"),
    ("pandas", "2.3.3"),
)
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    built = subprocess.run(command, capture_output=True, text=True)
    assert built.returncode == 0, built.stdout + built.stderr
    (file,) = folder.glob("spark_scoring-*-py3-none-any.whl")
    return zipfile.ZipFile(file)


def read(wheel: zipfile.ZipFile, name: str) -> str:
    (member,) = (member for member in wheel.namelist() if member.endswith(f".dist-info/{name}"))
    return wheel.read(member).decode()


@pytest.fixture(scope="module")
def metadata(wheel: zipfile.ZipFile) -> Message:
    return message_from_string(read(wheel, "METADATA"))


def test_it_brings_neither_spark_nor_delta(metadata: Message) -> None:
    always = [line for line in metadata.get_all("Requires-Dist", []) if "extra ==" not in line]
    assert any(line.startswith("mlflow-skinny>=") for line in always)
    assert not [line for line in always if line.startswith(("pyspark", "delta-spark", "mlflow>"))]
    assert not [line for line in always if any(sign in line for sign in ("<", "==", "~="))], "lower bounds only"


def test_the_local_extra_brings_them(metadata: Message) -> None:
    local = [line for line in metadata.get_all("Requires-Dist", []) if "extra == 'local'" in line]
    assert {re.split(r"[!<>=]", line)[0] for line in local} == {"mlflow", "pyspark", "delta-spark", "pandas", "pyarrow"}


def test_the_local_extra_is_a_set_that_works_together(metadata: Message) -> None:
    wanted = [Requirement(line) for line in metadata.get_all("Requires-Dist", []) if "extra == 'local'" in line]
    bounds = {one.name: one.specifier for one in wanted}
    assert {name: bounds[name].contains(version) for name, version in LACKING} == {name: False for name, _ in LACKING}
    assert all(bounds[name].contains(version) for name, version in TESTED)


def test_it_has_the_examples(wheel: zipfile.ZipFile) -> None:
    names = {name for name in wheel.namelist() if "/examples/" in name}
    files = [file for folder in ("conf", "notebooks") for file in (ROOT / folder).rglob("*") if file.is_file()]
    assert names == {f"spark_scoring/examples/{file.relative_to(ROOT)}" for file in files}


def test_it_has_the_template_of_a_bundle(wheel: zipfile.ZipFile) -> None:
    assert "spark_scoring/starter/bundle.yml" in wheel.namelist()


def test_it_has_the_programs_of_a_packed_environment(wheel: zipfile.ZipFile) -> None:
    needed = {f"spark_scoring/environment/{name}" for name in ("launcher.sh", "start.py")}
    assert needed <= set(wheel.namelist())


def test_it_has_the_command(wheel: zipfile.ZipFile) -> None:
    scripts = configparser.ConfigParser()
    scripts.read_string(read(wheel, "entry_points.txt"))
    assert dict(scripts["console_scripts"]) == {"spark-scoring": "spark_scoring.cli:main"}


def test_it_holds_all_of_the_package_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    names = {name for name in wheel.namelist() if ".dist-info/" not in name and "/examples/" not in name}
    package = ROOT / "spark_scoring"
    files = (file for file in package.rglob("*") if file.is_file() and "__pycache__" not in file.parts)
    assert names == {str(file.relative_to(ROOT)) for file in files}
    assert {"spark_scoring/spark/log4j2.properties", "spark_scoring/submit/running/application.py"} <= names
    assert "spark_scoring/py.typed" in names, "type checkers of those who import it read its annotations"
    assert {"spark_scoring/worker/loader.py", "spark_scoring/worker/models.py"} <= names
