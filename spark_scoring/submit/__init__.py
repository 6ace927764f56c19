"""Builds and runs the `spark-submit` that scores a job file on a cluster.

The driver runs here, in this Python, and reads the job file and the model registry; the executors need neither this
package nor the registry. What is known of the kinds of cluster stands in `masters.py`.
"""

from __future__ import annotations

import importlib.util
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from spark_scoring.environment.manifest import FOLDER, PYTHON, read_manifest
from spark_scoring.errors import ConfigurationError, ScoringError
from spark_scoring.redaction import is_secret_name
from spark_scoring.spark.jars import OWN_JARS, delta_package, own_jars
from spark_scoring.spark.java import check_process
from spark_scoring.spark.jvm import Termination, delayed_signals
from spark_scoring.spark.scratch import scratch_folder
from spark_scoring.spark.session import DELTA_CONF
from spark_scoring.spark.settings import default_settings, read_settings
from spark_scoring.submit import masters

# Names the file for the driver's stdout: spark-submit would mix that with the driver's stderr.
RESULT_FILE = "SPARK_SCORING_RESULT_FILE"

# How long a driver may take to cancel its job and to say how it ended.
_ENDING = 60.0
_APPLICATION = Path(__file__).parent / "running" / "application.py"
_WITHOUT_VALUE = {"--verbose", "-v", "--supervise", "--help", "-h", "--version", "--usage-error"}
_CONF = ("--conf", "-c")
# The options that matter here, each with the setting that says the same.
_SETTINGS = {
    "--name": "spark.app.name",
    "--master": "spark.master",
    "--deploy-mode": "spark.submit.deployMode",
    "--packages": "spark.jars.packages",
    "--jars": "spark.jars",
    "--archives": "spark.archives",
}
_PROPERTIES = "--properties-file"
_JARS = ("spark.jars.packages", "spark.jars", "spark.driver.extraClassPath")

Option = tuple[str, ...]


def build_command(
    conf: str, score_args: Sequence[str], submit_args: Sequence[str], environment: str | None = None
) -> list[str]:
    """Returns the spark-submit command that scores a job file.

    Args:
        conf: The job file.
        score_args: What follows it on the command line of ``spark-scoring score``.
        submit_args: Options of spark-submit. They win over ours; packages, archives and SQL extensions are joined
            with ours, and so are those of ``spark-defaults.conf``.
        environment: An archive of ``spark-scoring env pack``, whose Python the executors then run.

    Raises:
        ConfigurationError: If there is no spark-submit, or an option is not one that can work.
    """
    options = list(_options(submit_args))
    given = _given(options)
    submit = Path(_find_submit())
    known = {**_defaults(options, submit), **given}
    master = masters.master_of(known)
    masters.refuse_cluster_mode(known)
    ours: list[Option] = []
    if not any("delta-spark" in known.get(key, "") for key in _JARS):
        option, key, delta = _delta()
        ours.append((option, _joined(known.get(key), delta)))
        options = [one for one in options if one[0] != option]
    settings = {key: value for key, value in DELTA_CONF.items() if key not in known}
    if "spark.app.name" not in known:
        settings["spark.app.name"] = "spark-scoring"
    # What is set for every Spark on this machine knows nothing of this Python, which has this package.
    if "spark.pyspark.driver.python" not in given:
        settings["spark.pyspark.driver.python"] = sys.executable
    if environment is not None:
        _refuse_unfit(environment, given, master)
        archive = f"{os.path.abspath(environment)}#{FOLDER}"
        ours.append(("--archives", _joined(known.get("spark.archives"), archive)))
        options = [option for option in options if option[0] != "--archives"]
        settings["spark.pyspark.python"] = PYTHON
    elif master.startswith("local") and "spark.pyspark.python" not in known and "PYSPARK_PYTHON" not in os.environ:
        settings["spark.pyspark.python"] = sys.executable
    extensions = "spark.sql.extensions"
    if extensions in known and DELTA_CONF[extensions] not in known[extensions]:
        options.append(("--conf", f"{extensions}={_joined(known[extensions], DELTA_CONF[extensions])}"))
    ours += [("--conf", f"{key}={value}") for key, value in settings.items()]
    words = [word for option in (*ours, *options) for word in option]
    return [str(submit), *words, str(_APPLICATION), "score", conf, *score_args]


def pasteable(command: Sequence[str]) -> str:
    """Returns a command of `build_command` as a shell takes it, whatever Spark the shell's own environment names.

    It holds what was typed, secrets too: without them it would not be the command.
    """
    home = _own_home(command[0])
    return " ".join((*([f"SPARK_HOME={shlex.quote(home)}"] if home is not None else []), shlex.join(command)))


def refuse_lacking(command: Sequence[str]) -> None:
    """Refuses a command that this machine lacks something for, which spark-submit would tell late or by a trace.

    Raises:
        ConfigurationError: If its cluster needs a setting that is nowhere.
    """
    options = _options_of(command)
    known = {**_defaults(options, Path(command[0])), **_given(options)}
    for error in masters.lacking(known, Path(command[0]).resolve().parent.parent):
        raise error


def explain(command: Sequence[str]) -> list[str]:
    """Returns what there is to know of a command of `build_command`: what runs where, and what it lacks."""
    options = _options_of(command)
    known = {**_defaults(options, Path(command[0])), **_given(options)}
    notes = masters.notes(known)
    secrets = sorted(filter(is_secret_name, _given(options)))
    if secrets:
        notes.append(f"secret    whoever sees the command sees {', '.join(secrets)}; spark-defaults.conf hides it")
    lacking = masters.lacking(known, Path(command[0]).resolve().parent.parent)
    return notes + [f"lacking   {error.message}; {error.remedy}" for error in lacking]


def _options_of(command: Sequence[str]) -> list[Option]:
    return list(_options(command[1 : command.index(str(_APPLICATION))]))


def _defaults(options: Iterable[Option], submit: Path) -> dict[str, str]:
    """Returns the settings that spark-submit reads from a file, one of the options' or its own."""
    named = [value[0] for name, *value in options if name == _PROPERTIES]
    if not named:
        return default_settings(submit.resolve().parent.parent)
    if not (os.path.isfile(named[-1]) and os.access(named[-1], os.R_OK)):
        raise ConfigurationError(
            f"{_PROPERTIES} {named[-1]} is no file that can be read",
            code="bad_submit_option",
            remedy="name a file of Spark's settings, one a line, as conf/spark-defaults.conf has them",
        )
    return read_settings(Path(named[-1]))


def _own_home(submit: str) -> str | None:
    """Returns the Spark that a spark-submit lies in.

    Otherwise pip's spark-submit asks the first python3 on the PATH where Spark is, or takes another Spark's jars.
    """
    home = Path(submit).resolve().parent.parent
    return str(home) if (home / "jars").is_dir() else None


def run(command: Sequence[str]) -> int:
    """Runs a command of `build_command` and returns its exit code, which is that of ``spark-scoring score``.

    What that prints on stdout comes out on stdout, and everything else on stderr. Ctrl-C and SIGTERM reach it.

    Raises:
        ConfigurationError: If this process can't start a JVM.
        ScoringError: If there is no JSON object to print, with ``--json``; the exit code is spark-submit's.
        KeyboardInterrupt: If that came before there was anything to print.
    """
    environment = dict(os.environ)
    home = _own_home(command[0])
    if home is not None:
        environment["SPARK_HOME"] = home
    check_process()
    with tempfile.TemporaryDirectory(dir=scratch_folder()) as folder:
        result = Path(folder) / "result"
        result.touch()
        environment[RESULT_FILE] = str(result)
        process, interrupt = None, None
        try:
            with delayed_signals():
                # A session of its own: a signal comes to this process, which passes it on to the one that can end well.
                process = subprocess.Popen(command, env=environment, stdout=2, start_new_session=True)
            code = process.wait()
        except KeyboardInterrupt as exc:
            if process is None:
                raise
            interrupt = exc
            code = _end(process, driver_file(str(result)), exc)
        text = result.read_bytes().decode(sys.stdout.encoding or "utf-8", "replace") if sys.stdout is not None else ""
    if interrupt is not None and not text:
        raise interrupt
    code = 128 - code if code < 0 else code
    if code and not text and "--json" in command:
        raise _no_result(code)
    if sys.stdout is not None:
        sys.stdout.write(text)
        sys.stdout.flush()
    return code


def driver_file(result: str) -> Path:
    """Returns the file in which the driver writes its process id, beside that of its result."""
    return Path(f"{result}.driver")


def _end(process: subprocess.Popen[bytes], driver: Path, interrupt: KeyboardInterrupt) -> int:
    """Has the driver end as `interrupt` says, kills it if it takes too long, and returns spark-submit's exit code."""
    number = signal.SIGTERM if isinstance(interrupt, Termination) else signal.SIGINT
    try:
        # spark-submit itself would end without waiting for the driver, whose job and result it is.
        os.kill(int(driver.read_text()), number)
        return process.wait(_ENDING)
    except (OSError, ValueError, subprocess.TimeoutExpired, KeyboardInterrupt):  # no driver yet, or stopped twice
        with suppress(OSError):
            os.killpg(process.pid, signal.SIGKILL)
        return process.wait()


def _no_result(code: int) -> ScoringError:
    error = ScoringError(
        f"spark-submit ended with {code} before the driver gave a result",
        code="submit_failed",
        remedy="see what it said above; what was not committed is not in the target",
    )
    error.exit_code = code
    return error


def _refuse_unfit(environment: str, given: Mapping[str, str], master: str) -> None:
    """Refuses an archive that the executors could not use."""
    manifest = read_manifest(environment)
    here = ".".join(map(str, sys.version_info[:2]))
    if manifest.python != here:
        raise ConfigurationError(
            f"{environment} is for Python {manifest.python}, and the driver is Python {here}: Spark wants one for both",
            code="python_differs",
            remedy=f"pack it with --python {here}, or run this command with Python {manifest.python}",
        )
    if master.startswith("local"):
        raise ConfigurationError(
            "--env is for the executors of a cluster, and the master is local",
            code="bad_submit_option",
            remedy="name a cluster with --master; for a local session write model.env_manager: uv",
        )
    if "spark.pyspark.python" in given:
        raise ConfigurationError(
            f"--env and spark.pyspark.python={given['spark.pyspark.python']} both say which Python the executors run",
            code="bad_submit_option",
            remedy="leave one of them out; which interpreter an archive uses is said by "
            "--conf spark.executorEnv.SPARK_SCORING_PYTHON=/path/to/python",
        )


def _options(words: Sequence[str]) -> Iterator[Option]:
    """Yields each option with its value, in whichever of its two forms it is written."""
    rest = iter(words)
    for word in rest:
        name, equals, value = word.partition("=")
        if not word.startswith("-"):
            raise ConfigurationError(
                f"{word} is no option of spark-submit",
                code="bad_submit_option",
                remedy="after -- write only options, such as --master spark://host:7077; the application is ours",
            )
        if name in _WITHOUT_VALUE:
            yield (name,)
            continue
        given = value if equals else next(rest, None)
        if given is None:
            raise ConfigurationError(
                f"spark-submit's option {name} lacks its value", code="bad_submit_option", remedy=f"write {name} VALUE"
            )
        yield name, given


def _given(options: Iterable[Option]) -> dict[str, str]:
    """Returns the settings that `options` make; as for spark-submit, an option wins over the setting of its name."""
    settings, named = {}, {}
    for name, *value in options:
        if name in _CONF:
            key, _, setting = value[0].partition("=")
            settings[key] = setting
        elif name in _SETTINGS:
            named[_SETTINGS[name]] = value[0]
    return {**settings, **named}


def _joined(theirs: str | None, ours: str) -> str:
    return f"{theirs},{ours}" if theirs else ours


def _delta() -> tuple[str, str, str]:
    """Returns the option that brings Delta, the setting that says the same, and its value."""
    named = os.environ.get(OWN_JARS)
    if named:
        return "--jars", "spark.jars", ",".join(own_jars(named))
    return "--packages", "spark.jars.packages", _delta_package()


def _delta_package() -> str:
    if importlib.util.find_spec("pyspark") is None:
        raise ConfigurationError(
            "pyspark is not installed here, so it is not known which Delta goes with your Spark",
            code="no_pyspark",
            remedy="name it: --packages io.delta:delta-spark_SCALA:VERSION",
        )
    return delta_package()


def _find_submit() -> Path:
    program = next((place for place in _places() if place.is_file()), None)
    if program is None:
        raise ConfigurationError(
            "there is no spark-submit here: neither in pyspark, nor in SPARK_HOME, nor on the PATH",
            code="no_spark_submit",
            remedy='pip install "spark-scoring[local]" in the version of your cluster, or point SPARK_HOME to a Spark',
        )
    return program


def _places() -> Iterator[Path]:
    spec = importlib.util.find_spec("pyspark")
    if spec is not None and spec.origin is not None:
        yield Path(spec.origin).parent / "bin" / "spark-submit"
    if os.environ.get("SPARK_HOME"):
        yield Path(os.environ["SPARK_HOME"]) / "bin" / "spark-submit"
    on_path = shutil.which("spark-submit")
    if on_path is not None:
        yield Path(on_path)
