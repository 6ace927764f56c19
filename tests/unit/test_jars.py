"""Delta's jars are resolved once a machine, for each Spark that its environments have."""

import sys
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor

import pytest

from spark_scoring.cli import main
from spark_scoring.errors import ConfigurationError
from spark_scoring.spark import jars, maven
from spark_scoring.spark.settings import spark_settings

NEW, OLD = "io.delta:delta-spark_4.2_2.13:4.4.0", "io.delta:delta-spark_2.12:3.3.3"


@pytest.mark.parametrize(
    ("spark", "delta", "package"),
    [
        ("4.2.0", "4.4.0", NEW),
        ("4.1.1", "4.1.0", "io.delta:delta-spark_4.1_2.13:4.1.0"),
        ("4.0.1", "4.0.1", "io.delta:delta-spark_2.13:4.0.1"),
        ("3.5.7", "3.3.3", OLD),
    ],
)
def test_delta_s_jar_is_named_as_its_makers_named_it(monkeypatch, spark, delta, package):
    monkeypatch.setattr("pyspark.__version__", spark)
    monkeypatch.setattr("spark_scoring.spark.jars.metadata.version", lambda _: delta)
    assert jars.delta_package() == package


@pytest.fixture
def resolve(tmp_path, monkeypatch):
    """Pretends that this environment's Delta is `package`, and that a session has resolved it."""
    monkeypatch.setattr(jars, "JARS_FILE", tmp_path / "cache" / "jars.json")
    monkeypatch.setenv("SPARK_CONF_DIR", str(tmp_path))

    def pretend(package: str) -> str:
        jar = tmp_path / f"{package.rpartition(':')[2]}.jar"
        jar.touch()
        monkeypatch.setattr(jars, "delta_package", lambda: package)
        jars.remember_jars(package, [str(jar)])
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


def test_processes_fetch_one_after_the_other_and_take_what_the_first_fetched(resolve, tmp_path, monkeypatch):
    fetched = []

    def slowly(wanted):
        fetched.append(wanted)
        time.sleep(0.3)
        (tmp_path / "jar").touch()
        return [str(tmp_path / "jar")]

    monkeypatch.setattr(maven, "_resolve", slowly)
    with ThreadPoolExecutor(3) as pool:  # a lock belongs to an open file, so threads stand for processes
        found = list(pool.map(maven.fetch, ["a:b:1"] * 3))
    assert fetched == ["a:b:1"]
    assert found == [[str(tmp_path / "jar")]] * 3


def test_where_no_lock_can_be_had_jars_are_fetched_all_the_same(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setattr(jars, "JARS_FILE", tmp_path / "file" / "jars.json")
    monkeypatch.setattr(maven, "_resolve", lambda wanted: [wanted])
    assert maven.fetch("a:b:1") == ["a:b:1"]


def test_the_environment_names_more_packages_for_a_local_session(resolve, monkeypatch):
    delta_alone = resolve(NEW)
    monkeypatch.setenv(jars.MORE_PACKAGES, "org.apache.spark:spark-avro_2.13:4.2.0")
    assert jars.delta_jars() == {"spark.jars.packages": f"{NEW},org.apache.spark:spark-avro_2.13:4.2.0"}
    monkeypatch.delenv(jars.MORE_PACKAGES)
    assert jars.delta_jars() == {"spark.jars": delta_alone}


def spark_of(version):
    return ".".join(version.split(".")[:2])


@pytest.fixture
def delta(tmp_path):
    """A jar of Delta for the installed pyspark, in a folder of its own beside another jar."""
    import pyspark

    folder = tmp_path / "my jars"
    folder.mkdir()
    jar = folder / f"io.delta_delta-spark_{spark_of(pyspark.__version__)}_2.13-9.9.9.jar"
    for file in (jar, folder / "delta-storage-9.9.9.jar"):
        file.touch()
    return jar


@pytest.mark.parametrize("named", ["{folder}", "{folder}/*.jar", "{jar}, {folder}/delta-storage-9.9.9.jar"])
def test_jars_are_named_for_a_machine_without_a_network(named, delta, resolve, monkeypatch):
    resolve(NEW)
    monkeypatch.setenv(jars.OWN_JARS, named.format(folder=delta.parent, jar=delta))
    monkeypatch.setattr(jars, "delta_package", lambda: pytest.fail("it need not be known which they would be"))
    assert set(jars.delta_jars()["spark.jars"].split(",")) == {str(file) for file in delta.parent.iterdir()}


def test_a_jar_that_holds_delta_under_another_name_is_one(delta, monkeypatch):
    other = delta.with_name("everything.jar")
    with zipfile.ZipFile(other, "w") as file:
        file.writestr("io/delta/sql/DeltaSparkSessionExtension.class", b"")
    monkeypatch.setenv(jars.OWN_JARS, str(other))
    assert jars.delta_jars() == {"spark.jars": str(other)}


@pytest.mark.parametrize(
    ("named", "code"),
    [
        ("{folder}/nothing.jar", "no_jars"),
        ("{folder}/nothing", "no_jars"),
        ("{folder}/delta-storage-9.9.9.jar", "no_jars"),
        ("{folder}/io.delta_delta-spark_1.0_2.13-9.9.9.jar", "jars_differ"),
    ],
)
def test_jars_that_can_not_do_are_refused(named, code, delta, resolve, monkeypatch):
    resolve(NEW)
    delta.with_name("io.delta_delta-spark_1.0_2.13-9.9.9.jar").touch()
    monkeypatch.setenv(jars.OWN_JARS, named.format(folder=delta.parent))
    with pytest.raises(ConfigurationError) as caught:
        jars.delta_jars()
    assert caught.value.code == code
    assert "jars fetch --into DIR" in caught.value.remedy


def test_sparks_own_settings_are_read_where_spark_reads_them(tmp_path, monkeypatch):
    monkeypatch.setenv("SPARK_CONF_DIR", str(tmp_path))
    (tmp_path / "spark-defaults.conf").write_text("# spark.jars /no.jar\nspark.jars   /a.jar,/b.jar \nspark.x=1 2\n")
    assert spark_settings() == {"spark.jars": "/a.jar,/b.jar", "spark.x": "1 2"}
    monkeypatch.setenv("PYSPARK_SUBMIT_ARGS", "--packages g:a:1 --conf 'spark.x=3 4' --jars /c.jar pyspark-shell")
    assert spark_settings() == {"spark.jars": "/c.jar", "spark.x": "3 4", "spark.jars.packages": "g:a:1"}


def test_the_users_own_jars_stay_beside_ours(resolve, tmp_path):
    jar = resolve(NEW)
    (tmp_path / "spark-defaults.conf").write_text("spark.jars /driver/postgres.jar\n")
    assert jars.delta_jars() == {"spark.jars": f"/driver/postgres.jar,{jar}"}


@pytest.mark.parametrize("line", ["spark.jars /opt/delta-spark_4.2_2.13-4.4.0.jar", f"spark.jars.packages {NEW}"])
def test_a_delta_that_sparks_settings_name_is_the_one(line, resolve, tmp_path, monkeypatch):
    resolve(NEW)
    (tmp_path / "spark-defaults.conf").write_text(line)
    assert jars.delta_jars() == {}


UNREACHABLE = """
:: problems summary ::
		module not found: io.delta#delta-spark_4.2_2.13;4.4.0
:::: ERRORS
	{line}
Exception in thread "main" java.lang.RuntimeException: [unresolved dependency: io.delta#delta-spark_4.2_2.13;4.4.0: not found]
	at org.apache.spark.util.MavenUtils$.resolveMavenCoordinates(MavenUtils.scala:539)
"""  # noqa: E501


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (
            "Server access error at url https://r/d.pom (java.net.ConnectException: Connection refused)",
            "r: Connection refused",
        ),
        ("Host repo1.maven.org not found. url=https://repo1.maven.org/maven2/d.pom", "repo1.maven.org: no such host"),
        (
            "SERVER ERROR: Bad Gateway url=https://repo1.maven.org/maven2/d.pom",
            "repo1.maven.org: Bad Gateway",
        ),
        ("CLIENT ERROR: Proxy Authentication Required url=https://r/d.pom", "r: Proxy Authentication Required"),
    ],
)
def test_a_maven_that_can_not_be_reached_is_told_without_javas_trace(line, why):
    error = maven.refusal(NEW, UNREACHABLE.format(line=line))
    assert (error.exit_code, error.code) == (2, "jars_unreachable")
    assert error.message.endswith(why)
    assert "SPARK_SCORING_JARS=DIR" in error.remedy
    assert "Exception" not in str(error)


# With a repository behind it that this network does not let through.
TRIED = "\thttps://repo1.maven.org/maven2/d.pom\n\n\thttps://other.org/d.pom\n\tHost other.org not found. url=x"


@pytest.mark.parametrize("line", ["", TRIED])
def test_a_version_that_maven_does_not_have_is_told(line):
    error = maven.refusal(NEW, UNREACHABLE.format(line=line))
    assert (error.exit_code, error.code) == (2, "jars_not_published")
    assert error.message == "Maven has no io.delta:delta-spark_4.2_2.13:4.4.0"


@pytest.mark.parametrize(
    ("environment", "settings", "options"),
    [
        ({}, {}, []),
        ({"HTTPS_PROXY": "http://p:3128"}, {}, ["-Dhttps.proxyHost=p", "-Dhttps.proxyPort=3128"]),
        ({"https_proxy": "p:3128"}, {}, ["-Dhttps.proxyHost=p", "-Dhttps.proxyPort=3128"]),
        (
            {"all_proxy": "http://p", "NO_PROXY": "localhost,.corp"},
            {},
            [
                *("-Dhttp.proxyHost=p", "-Dhttp.proxyPort=80", "-Dhttps.proxyHost=p", "-Dhttps.proxyPort=80"),
                "-Dhttp.nonProxyHosts=localhost|*.corp",
            ],
        ),
        ({"HTTPS_PROXY": "http://p:x"}, {}, []),
        ({"HTTPS_PROXY": "http://p:1", "JAVA_TOOL_OPTIONS": "-Dhttps.proxyHost=mine"}, {}, []),
        ({"HTTPS_PROXY": "http://p:1"}, {"spark.driver.extraJavaOptions": "-Dhttps.proxyHost=mine"}, []),
    ],
)
def test_java_is_told_the_proxy_that_the_environment_names(environment, settings, options):
    assert maven.proxy_options(environment, settings) == options


@pytest.fixture
def spark(tmp_path, monkeypatch):
    """Puts a Spark in the installed one's place, whose spark-submit is a shell script."""
    monkeypatch.setenv("SPARK_HOME", str(tmp_path / "spark"))
    monkeypatch.setattr(maven, "check_java", lambda: None)

    def write(script):
        submit = tmp_path / "spark" / "bin" / "spark-submit"
        submit.parent.mkdir(parents=True, exist_ok=True)
        submit.write_text(f"#!/bin/bash\n{script}\n")
        submit.chmod(0o755)

    return write


def test_jars_are_fetched_once_and_copied(spark, resolve, tmp_path, monkeypatch, capsys):
    jar = tmp_path / "delta-spark.jar"
    jar.write_bytes(b"jar")
    monkeypatch.setattr(jars, "delta_package", lambda: NEW)
    spark(f'echo once >> {tmp_path}/asked; echo noise; printf file://{jar} > "${{@: -1}}"')
    monkeypatch.setattr(sys, "argv", ["spark-scoring", "jars", "fetch", "--into", str(tmp_path / "into")])
    assert main() == 0
    said = capsys.readouterr()
    assert f"SPARK_SCORING_JARS={tmp_path / 'into'}" in said.out
    assert "noise" not in said.out + said.err
    assert (tmp_path / "into" / jar.name).read_bytes() == b"jar"
    assert maven.session_jars() == {"spark.jars": str(jar)}
    assert (tmp_path / "asked").read_text() == "once\n"


def test_where_no_place_remembers_jars_those_that_were_fetched_do(spark, resolve, tmp_path, monkeypatch):
    monkeypatch.setattr(jars, "JARS_FILE", tmp_path / "spark" / "bin" / "spark-submit" / "jars.json")
    monkeypatch.setattr(jars, "delta_package", lambda: NEW)
    spark('printf file:///j.jar > "${@: -1}"')
    assert maven.session_jars() == {"spark.jars": "/j.jar"}


def test_a_fetch_that_fails_names_its_log_and_remembers_nothing(spark, resolve, own_logs, monkeypatch, capsys):
    monkeypatch.setattr(jars, "delta_package", lambda: NEW)
    spark("echo Host repo1.maven.org not found. url=https://repo1.maven.org/d.pom; exit 1")
    monkeypatch.setattr(sys, "argv", ["spark-scoring", "jars", "fetch"])
    assert main() == 2
    said = capsys.readouterr().err
    assert "Maven can't be reached: repo1.maven.org: no such host" in said
    (log,) = own_logs.iterdir()
    assert said.endswith(f"  log: {log}\n")
    assert "Host repo1.maven.org not found" in log.read_text()
    assert log.stat().st_mode & 0o077 == 0
    assert not jars.JARS_FILE.exists()


def test_beside_the_program_that_spark_submit_runs_lies_no_module_that_it_could_import():
    assert {file.name for file in maven._PROGRAM.parent.glob("*.py")} == {"__init__.py", "resolve_jars.py"}


def test_a_spark_without_spark_submit_is_told(resolve, tmp_path, monkeypatch):
    monkeypatch.setattr(jars, "delta_package", lambda: NEW)
    monkeypatch.setattr(maven, "check_java", lambda: None)
    monkeypatch.setenv("SPARK_HOME", str(tmp_path))
    with pytest.raises(ConfigurationError, match="there is no spark-submit"):
        maven.session_jars()
