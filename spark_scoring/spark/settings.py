"""What the user has set for every Spark on this machine, read where Spark itself reads it."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

_LINE = re.compile(r"^\s*([^#\s=:]+)\s*[=:\s]\s*(.*?)\s*$")
_OPTIONS = {"--jars": "spark.jars", "--packages": "spark.jars.packages"}


def spark_home() -> Path | None:
    """Returns the folder of the Spark that a local session starts: ``SPARK_HOME``, or pyspark's own."""
    home = os.environ.get("SPARK_HOME")
    if home:
        return Path(home)
    spec = find_spec("pyspark")
    return Path(spec.origin).parent if spec is not None and spec.origin is not None else None


def spark_settings() -> dict[str, str]:
    """Returns the settings of ``spark-defaults.conf``, and those that ``PYSPARK_SUBMIT_ARGS`` gives."""
    return {**default_settings(spark_home()), **_submit_settings()}


def conf_folder(home: Path | None) -> Path | None:
    """Returns the folder in which the Spark in `home` looks for its settings."""
    folder = os.environ.get("SPARK_CONF_DIR")
    if folder:
        return Path(folder)
    return home / "conf" if home is not None else None


def default_settings(home: Path | None) -> dict[str, str]:
    """Returns the settings of ``spark-defaults.conf`` for the Spark in `home`."""
    folder = conf_folder(home)
    return read_settings(folder / "spark-defaults.conf") if folder is not None else {}


def read_settings(file: Path) -> dict[str, str]:
    """Returns the settings of a file of Spark's properties, none where it can't be read."""
    with contextlib.suppress(OSError, UnicodeDecodeError):
        lines = file.read_text(encoding="utf-8").splitlines()
        return {match.group(1): match.group(2) for line in lines if (match := _LINE.match(line))}
    return {}


def _submit_settings() -> dict[str, str]:
    try:
        words = shlex.split(os.environ.get("PYSPARK_SUBMIT_ARGS", ""))
    except ValueError:
        return {}
    settings = {}
    for word, value in pairwise(words):
        if word in _OPTIONS:
            settings[_OPTIONS[word]] = value
        elif word in ("--conf", "-c"):
            key, _, setting = value.partition("=")
            settings[key] = setting
    return settings
