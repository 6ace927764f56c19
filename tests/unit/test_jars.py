"""Delta's jars are resolved once a machine, for each Spark that its environments have."""

from types import SimpleNamespace
from typing import Any

import pytest

from spark_scoring.spark import jars

NEW, OLD = "io.delta:delta-spark_4.2_2.13:4.4.0", "io.delta:delta-spark_2.12:3.3.3"


@pytest.fixture
def resolve(tmp_path, monkeypatch):
    """Pretends that this environment's Delta is `package`, and that a session has resolved it."""
    monkeypatch.setattr(jars, "JARS_FILE", tmp_path / "cache" / "jars.json")

    def pretend(package: str) -> str:
        jar = tmp_path / f"{package.rpartition(':')[2]}.jar"
        jar.touch()
        monkeypatch.setattr(jars, "delta_package", lambda: package)
        session: Any = SimpleNamespace(conf={"spark.jars.packages": package, "spark.jars": jar.as_uri()})
        jars.remember_jars(session)
        return str(jar)

    return pretend


def test_an_environment_with_another_spark_keeps_its_jars(resolve, monkeypatch):
    resolved = {package: resolve(package) for package in (NEW, OLD)}
    for package, jar in resolved.items():
        monkeypatch.setattr(jars, "delta_package", lambda package=package: package)
        assert jars.delta_jars() == {"spark.jars": jar}


@pytest.mark.parametrize("text", ["", "[1]", '{"io.delta'])
def test_a_damaged_note_of_the_jars_is_no_more_than_none(text, resolve):
    resolve(NEW)
    jars.JARS_FILE.write_text(text)
    assert jars.delta_jars() == {"spark.jars.packages": NEW}
    jar = resolve(NEW)
    assert jars.delta_jars() == {"spark.jars": jar}


def test_a_jar_that_is_gone_is_resolved_again(resolve, tmp_path):
    resolve(NEW)
    (tmp_path / "4.4.0.jar").unlink()
    assert jars.delta_jars() == {"spark.jars.packages": NEW}


def test_the_environment_names_more_packages_for_a_local_session(resolve, monkeypatch):
    delta_alone = resolve(NEW)
    monkeypatch.setenv(jars.MORE_PACKAGES, "org.apache.spark:spark-avro_2.13:4.2.0")
    assert jars.delta_jars() == {"spark.jars.packages": f"{NEW},org.apache.spark:spark-avro_2.13:4.2.0"}
    monkeypatch.delenv(jars.MORE_PACKAGES)
    assert jars.delta_jars() == {"spark.jars": delta_alone}
