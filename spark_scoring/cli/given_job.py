"""The job that a command line describes: a job file and what changes it, or options that stand in for one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spark_scoring.cli.wording import KEYS, named_by_option, option_names, refuse_file_as_table, refuse_format_of_table
from spark_scoring.errors import ConfigurationError

if TYPE_CHECKING:
    from spark_scoring.jobs.config import ScoringJob

# The job file where none is named.
JOB_FILE = "job.yml"
# The options that stand in for a job file.
_OPTIONS = [option for option in KEYS if option.startswith("--")]


def read_job(
    conf: str | None, settings: Sequence[str], variables: Sequence[str], options: Mapping[str, str | None]
) -> ScoringJob:
    """Returns the job that a command line describes.

    Args:
        conf: The job file, or None.
        settings: What ``--set`` was given: ``key=value``, the value being YAML.
        variables: What ``--var`` was given: ``name=value``, the value being text as it was typed.
        options: ``--model``, ``--input``, ``--output`` and so on; None where they were not given.

    Raises:
        ConfigurationError: If they describe no valid job.
    """
    from spark_scoring.jobs.config import ScoringJob

    given = {option: value for option, value in options.items() if value is not None}
    overrides = pairs("--set", settings)
    if conf is None and not given:
        conf = job_file_here()
    if conf is not None:
        if given:
            raise ConfigurationError(
                f"{', '.join(given)} and a job file can't stand together",
                code="usage",
                remedy="change a key of the file with --set, such as --set output.mode=append",
            )
        return ScoringJob.from_yaml(conf, overrides=overrides, variables=pairs("--var", variables))
    if variables:
        raise ConfigurationError(
            "--var fills a job file's ${…}, and there is no job file",
            code="usage",
            remedy="name the job file, or give the values themselves with --set",
        )
    if not given and not overrides:
        raise ConfigurationError(
            "there is no job to run",
            code="usage",
            remedy=f"name a job file, call it {JOB_FILE}, or give --model, --input and --output; spark-scoring init "
            "writes one",
        )
    return _job_of_options(given, overrides)


def _job_of_options(given: Mapping[str, str], overrides: Mapping[str, Any]) -> ScoringJob:
    from spark_scoring.jobs.config import ScoringJob
    from spark_scoring.jobs.location import is_path

    keys = {option: key for option, (key, *_) in KEYS.items()}
    for option, part in (("--input", "input"), ("--output", "output")):
        refuse_file_as_table(option, given.get(option))
        if option in given:
            keys[option] = f"{part}.{'path' if is_path(given[option]) else 'table'}"
    refuse_format_of_table(given)
    values = {keys[option]: value for option, value in given.items()}
    names = {**{keys[option]: option for option in given}, **{key: f"--set {key}" for key in overrides}}
    try:
        return ScoringJob.from_options({**values, **overrides}, names=names)
    except ConfigurationError as exc:
        raise named_by_option(exc, option_names({**dict.fromkeys(_OPTIONS, ""), **given}, overrides)) from None


def names_of_keys(options: Mapping[str, str | None], settings: Sequence[str]) -> dict[str, str]:
    """Returns what the keys of the job that `read_job` makes of options are called; nothing where it reads a file."""
    return option_names(options, pairs("--set", settings))


def named_job_file(conf: str | None) -> str:
    """Returns the job file: the one that is named, or the one in the working directory.

    Raises:
        ConfigurationError: If there is none.
    """
    job_file = conf if conf is not None else job_file_here()
    if job_file is None:
        raise ConfigurationError(
            f"there is no job file: none is named, and the working directory has no {JOB_FILE}",
            code="usage",
            remedy="name a job file; spark-scoring init writes one",
        )
    return job_file


def job_file_here() -> str | None:
    """Returns the job file of the working directory, or None where it has none."""
    return JOB_FILE if Path(JOB_FILE).is_file() else None


def pairs(option: str, texts: Sequence[str]) -> dict[str, Any]:
    """Returns the values of an option such as ``--set``, by key.

    Args:
        option: The option.
        texts: What it was given each time: ``key=value``.

    Raises:
        ConfigurationError: If one of them is none.
    """
    from spark_scoring.jobs.yaml_file import read_yaml

    values = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not key or not equals:
            raise ConfigurationError(
                f"{option} {text[:100]}: that is no key=value",
                code="usage",
                remedy="write --set output.mode=append" if option == "--set" else "write --var day=31",
            )
        # A variable's type is decided where it is used, since 007 may be a number or a name.
        values[key.strip()] = value if option == "--var" else read_yaml(value, f"{option} {key.strip()}")
    return values
