"""How much the JVM of a local session logs: errors, or, where a file takes it, all it warns of."""

from __future__ import annotations

from pathlib import Path

_LOG4J = Path(__file__).parent / "log4j2.properties"
_more: list[str] = []


def log_warnings(wanted: bool) -> None:
    """Has the sessions that start from now on log warnings and stack traces too, or not any more."""
    _more[:] = ["-Dspark_scoring.log=warn", "-Dspark_scoring.spark_log=warn"] if wanted else []


def log_options() -> list[str]:
    """Returns the JVM's options."""
    return [f"-Dlog4j2.configurationFile={_LOG4J.as_uri()}", *_more]
