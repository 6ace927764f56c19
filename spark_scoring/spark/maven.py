"""Fetches the jars of a session from Maven, in a program of its own: its noise is a log, and its failure an error."""

from __future__ import annotations

import logging
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlparse, urlsplit

from spark_scoring.errors import ConfigurationError
from spark_scoring.redaction import redact
from spark_scoring.spark.jars import (
    OWN_JARS,
    delta_jars,
    fetching_alone,
    jar_settings,
    packages,
    remember_jars,
    remembered_jars,
)
from spark_scoring.spark.java import check_java, check_process, folder_options
from spark_scoring.spark.jvm import delayed_signals
from spark_scoring.spark.packages import INSTALL
from spark_scoring.spark.scratch import scratch_folder
from spark_scoring.spark.settings import spark_home, spark_settings
from spark_scoring.spark.steps import step

_log = logging.getLogger(__name__)

_PROGRAM = Path(__file__).parent / "resolving" / "resolve_jars.py"
# A repository that does not answer must not hold a command up for the minutes that the system would wait.
_TIMEOUTS = ("-Dsun.net.client.defaultConnectTimeout=15000", "-Dsun.net.client.defaultReadTimeout=60000")
_UNREACHABLE = re.compile(
    r"Server access error at url (?P<url>\S+) \((?:[\w.]+: )?(?P<why>.*?)\)\s*$"
    r"|Host (?P<host>\S+) not found"
    r"|(?:CLIENT|SERVER) ERROR: (?P<status>.+?) url=(?P<asked>\S+)"
    r"|(?P<cut>\[FAILED +\] .+)",
    re.MULTILINE,
)
_TRIED = re.compile(r"^\s+(https?://\S+)$", re.MULTILINE)
_ABSENT = re.compile(r"unresolved dependency: ([^\s;#]+)#([^\s;]+);([^\s:]+): not found")


def session_jars() -> dict[str, str]:
    """Returns the settings that bring a local session's jars, all of them files; fetches them if they are not here.

    Raises:
        ConfigurationError: If they are not here, and can't be fetched.
    """
    settings = delta_jars()
    if "spark.jars.packages" not in settings:
        return settings
    return jar_settings(fetch_jars())


def fetch_jars(into: Path | None = None) -> list[str]:
    """Makes sure that this machine has the jars of a local session, and returns their files.

    Args:
        into: A folder to copy them to.

    Raises:
        ConfigurationError: If they can't be fetched, or the folder can't be written to.
    """
    wanted = packages()
    jars = remembered_jars(wanted) or fetch(wanted)
    if into is None:
        return jars
    try:
        into.mkdir(parents=True, exist_ok=True)
        return [shutil.copy(jar, str(into)) for jar in jars]
    except OSError as exc:
        raise ConfigurationError(
            f"the jars can't be written to {into}: {exc.strerror or exc}",
            code="jars_not_written",
            remedy="name a folder that this user can write to",
        ) from exc


def fetch(wanted: str) -> list[str]:
    """Fetches packages from Maven, has this machine remember their files, and returns them.

    Args:
        wanted: Their coordinates, with commas between.

    Raises:
        ConfigurationError: If they can't be fetched.
    """
    _log.info("jars      fetching %s from Maven, once for this machine", redact(wanted))
    with step("fetching the jars"), fetching_alone():
        jars = remembered_jars(wanted)  # by another process meanwhile
        if not jars:
            jars = _resolve(wanted)
            remember_jars(wanted, jars)
    return jars


def _resolve(wanted: str) -> list[str]:
    check_process()
    check_java()
    home = spark_home()
    submit = home / "bin" / "spark-submit" if home is not None else None
    if submit is None or not submit.is_file():
        raise ConfigurationError(
            f"there is no spark-submit in {home}", code="no_spark_submit", remedy=f"{INSTALL}, or unset SPARK_HOME"
        )
    with tempfile.TemporaryDirectory(dir=scratch_folder()) as folder:
        result = Path(folder) / "jars"
        options = [*_TIMEOUTS, *proxy_options(os.environ, spark_settings()), *folder_options(scratch_folder())]
        command = [str(submit), "--master", "local", "--packages", wanted]
        command += ["--driver-java-options", " ".join(options), str(_PROGRAM), str(result)]
        # Of an application that this process may belong to: this one is another.
        theirs = {name: value for name, value in os.environ.items() if not name.startswith("PYSPARK_")}
        python = {"PYSPARK_PYTHON": sys.executable, "PYSPARK_DRIVER_PYTHON": sys.executable}
        output = _run(command, {**theirs, **python, "SPARK_HOME": str(home)})
        _log.debug("%s", redact(output))
        found = result.read_text(encoding="utf-8") if result.is_file() else ""
    jars = [urlparse(jar).path for jar in found.split(",") if jar]
    if not jars:
        raise refusal(wanted, output)
    return jars


def _run(command: Sequence[str], environment: Mapping[str, str]) -> str:
    """Returns what a program printed; it is ended when this process is interrupted."""
    with delayed_signals():
        process = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        return process.communicate()[0].decode("utf-8", "replace")
    except BaseException:
        with suppress(OSError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise


def refusal(wanted: str, output: str) -> ConfigurationError:
    """Returns why jars could not be fetched, by what Spark's resolver output."""
    absent = _ABSENT.search(output)
    silent = dict(map(_silent_host, _UNREACHABLE.finditer(output)))
    answered = {urlsplit(url).hostname for url in _TRIED.findall(output)} - set(silent)
    # One repository of several may be out of reach for good; what another one that answers lacks is not there.
    if silent and not (absent and answered):
        host, why = next(iter(silent.items()))
        return ConfigurationError(
            f"the jars of {wanted} are not on this machine, and Maven can't be reached: {host}: {why}",
            code="jars_unreachable",
            remedy="on a machine with a network run spark-scoring jars fetch --into DIR, bring DIR here and set "
            f"{OWN_JARS}=DIR; behind a proxy set HTTPS_PROXY=http://HOST:PORT",
        )
    if absent is not None:
        name = ":".join(absent.groups())
        return ConfigurationError(
            f"Maven has no {name}",
            code="jars_not_published",
            remedy=f"{INSTALL} brings a Spark and a Delta whose jars there are; what SPARK_SCORING_PACKAGES names is "
            "group:artifact:version",
        )
    return ConfigurationError(
        f"the jars of {wanted} can't be fetched: Spark's resolver ended without them",
        code="jars_unreachable",
        remedy=f"see the log, or name jars that you have with {OWN_JARS}",
    )


def _silent_host(match: re.Match[str]) -> tuple[str, str]:
    """Returns a repository's host, and why it gave nothing."""
    parts = match.groupdict()
    host = parts["host"] or urlsplit(parts["url"] or parts["asked"] or "").hostname or "the repository"
    return host, parts["why"] or parts["status"] or ("no such host" if parts["host"] else "the transfer broke off")


def proxy_options(environment: Mapping[str, str], settings: Mapping[str, str]) -> list[str]:
    """Returns Java's options for the proxy that the environment names: Java itself reads no such variable.

    Args:
        environment: The environment, with ``HTTPS_PROXY``, ``HTTP_PROXY`` and ``NO_PROXY`` in either case of letters.
        settings: Spark's settings, in which the user may have java_options Java already.
    """
    java_options = " ".join(
        (environment.get("JAVA_TOOL_OPTIONS", ""), settings.get("spark.driver.extraJavaOptions", ""))
    )
    if "proxyHost" in java_options:
        return []
    options = []
    for scheme in ("http", "https"):
        url = _either(environment, f"{scheme}_proxy") or _either(environment, "all_proxy")
        parts = urlsplit(url if "//" in url else f"//{url}")
        with suppress(ValueError):  # the port is no number
            place = (parts.hostname, parts.port or 80)
            if place[0]:
                options += [f"-D{scheme}.proxyHost={place[0]}", f"-D{scheme}.proxyPort={place[1]}"]
    around = [name.strip() for name in _either(environment, "no_proxy").split(",") if name.strip()]
    if options and around:
        hosts = "|".join(f"*{name}" if name.startswith(".") else name for name in around)
        options.append(f"-Dhttp.nonProxyHosts={hosts}")
    return options


def _either(environment: Mapping[str, str], name: str) -> str:
    return environment.get(name) or environment.get(name.upper()) or ""
