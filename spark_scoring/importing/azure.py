"""A batch deployment of Azure ML (CLI and SDK v2) as a job: key by key, with what each one becomes."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from spark_scoring.importing.azure_model import model_uri
from spark_scoring.importing.document import Document
from spark_scoring.importing.mapping import Conversion, Mapped
from spark_scoring.jobs.parts import ENV_NAME, READ_AT_START

# Keys of a model deployment: at the top in the older form, below `settings` in the one with `type: model`.
_SETTINGS = (
    "error_threshold",
    "retry_settings",
    "mini_batch_size",
    "logging_level",
    "output_action",
    "output_file_name",
    "max_concurrency_per_instance",
    "environment_variables",
    "instance_count",
)
_TOP = (
    "$schema",
    "name",
    "endpoint_name",
    "description",
    "tags",
    "properties",
    "type",
    "model",
    "code_configuration",
    "environment",
    "compute",
    "resources",
    "settings",
    # What `az ml batch-deployment show` adds.
    "id",
    "creation_context",
    "provisioning_state",
    "resourceGroup",
)
_PIPELINE = ("component", "job_definition")
_RESOURCES = (
    "instance_count",
    "instance_type",
    "properties",
    "locations",
    "shm_size",
    "max_instance_count",
    "docker_args",
)
_LEVELS = ("debug", "info", "warning")
_CLUSTER = "spark-scoring submit job.yml -- --master URL"
_OUTPUT_NOTES = {
    "append_row": "Azure ML appends all rows of a run to one file in a folder of its own; here each run appends its "
    "rows, with their run_id, to one Delta table",
    "summary_only": "the script's own files have no counterpart: let run() return a row's values for each row, which "
    "are written to the Delta table",
}


class _Job:
    """The job as it grows."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.values: dict[str, dict[str, Any]] = {}
        self.mapping: list[Mapped] = []

    def set(self, dotted: str, value: Any) -> None:
        section, _, key = dotted.partition(".")
        self.values.setdefault(section, {})[key] = value

    def note(self, key: str, status: Any, to: str | None = None, note: str = "") -> None:
        self.mapping.append(Mapped(key, self.document.lines.get(key), status, to, note))


def convert(document: Document, folder: Path) -> Conversion:
    """Returns the job that a deployment becomes.

    Input and output are no part of a deployment, and so not of the values that are returned.

    Args:
        document: The deployment.
        folder: Where its relative paths start.

    Raises:
        ConfigurationError: If it is no batch deployment of a model, has a key that those do not have, or a value that
            is not valid.
    """
    _refuse_other_kinds(document)
    top = document.section("", (*_TOP, *_SETTINGS))
    settings = document.section("settings", _SETTINGS)
    twice = next((name for name in settings if name in top), None)
    if twice is not None:
        raise document.refusal(f"settings.{twice}", "stands twice: at the top, too", "keep one of them")
    job = _Job(document)
    uri, of_model = model_uri(document, folder)
    job.set("model.uri", uri)
    for name, value in top.items():
        if name == "model":
            job.mapping.extend(of_model)
        elif name == "settings":
            for inner, inner_value in settings.items():
                _KEYS[inner](job, f"settings.{inner}", inner_value)
        elif name == "code_configuration":
            _code(job, folder)
        else:
            _KEYS[name](job, name, value)
    given = {*top, *settings}
    if "error_threshold" not in given:
        job.note(
            "error_threshold",
            "absent",
            "errors.threshold",
            "Azure ML ignores all failures by default (-1); here the first row that fails ends the run: set "
            "errors.threshold: -1 and errors.quarantine",
        )
    if "mini_batch_size" not in given:
        job.note(
            "mini_batch_size", "absent", "model.batch_size", "10 files on Azure ML; here all rows of Spark's batch"
        )
    if "timeout" not in (document.values.get("retry_settings") or settings.get("retry_settings") or {}):
        job.note("retry_settings.timeout", "absent", "model.timeout", "30 seconds on Azure ML; here there is no limit")
    title = " ".join(str(top[name]) for name in ("endpoint_name", "name") if isinstance(top.get(name), str))
    return Conversion(job.values, job.mapping, title)


def _refuse_other_kinds(document: Document) -> None:
    values = document.values
    schema = str(values.get("$schema", ""))
    named = next((name for name in _PIPELINE if name in values), None)
    kind = values.get("type")
    if kind == "pipeline" or named is not None or "pipelineComponentBatchDeployment" in schema:
        key = named or ("type" if kind is not None else "$schema")
        raise document.refusal(
            key,
            "makes it the deployment of a pipeline, and a job has one model",
            "import the deployment of the model that the pipeline scores with, and have Spark prepare the rows "
            "(input.sql)",
        )
    if "OnlineDeployment" in schema or "Endpoint.schema" in schema:
        raise document.refusal("$schema", "is that of another document", "name the YAML file of a batch deployment")
    if kind is not None:
        document.one_of("type", kind, ("model",))


def _ignored(note: str = "") -> Callable[[_Job, str, Any], None]:
    return lambda job, key, value: job.note(key, "ignored", None, note)


def _elsewhere(to: str, note: str = "") -> Callable[[_Job, str, Any], None]:
    return lambda job, key, value: job.note(key, "elsewhere", to, note)


def _code(job: _Job, folder: Path) -> None:
    document = job.document
    configuration = document.section("code_configuration", ("code", "scoring_script"))
    code, script = configuration.get("code"), configuration.get("scoring_script")
    if script is not None:
        name = document.text("code_configuration.scoring_script", script)
        below = document.text("code_configuration.code", code) if code is not None else "."
        if below.startswith(("azureml:", "http:", "https:")):
            raise document.refusal(
                "code_configuration.code", "is no folder", "download it (az ml code), and name the folder"
            )
        job.set("model.script", os.path.abspath(folder / below / name))
        job.note(
            "code_configuration.scoring_script",
            "differs",
            "model.script",
            "run() gets a DataFrame of rows where Azure ML hands it a list of files: take out what reads them, and say "
            "in model.result_type what it returns",
        )
    if code is not None:
        note = "" if script is not None else "without a scoring_script it has no use"
        extra = "only the script itself is sent to the workers: other files of the folder have to be installed there"
        job.note("code_configuration.code", "differs" if script is not None else "ignored", None, note or extra)


def _threshold(job: _Job, key: str, value: Any) -> None:
    threshold = job.document.whole(key, value, -1)
    if threshold == 0:
        job.note(key, "converted", "errors.threshold", "the default: the first row that fails ends the run")
        return
    job.set("errors.threshold", threshold)
    job.note(
        key,
        "differs",
        "errors.threshold",
        "counts failed rows, where Azure ML counts files, or the rows of a table; failed rows go to errors.quarantine. "
        "Files that can't be read end the run: errors.bad_files: quarantine sets them apart",
    )


def _mini_batch_size(job: _Job, key: str, value: Any) -> None:
    job.set("model.batch_size", job.document.whole(key, value, 1))
    job.note(
        key,
        "differs",
        "model.batch_size",
        "counts rows a call, where Azure ML counts files; the same where each file is one row, such as an image; for "
        "tables of many rows leave it out",
    )


def _retries(job: _Job, key: str, value: Any) -> None:
    document = job.document
    for name, inner in document.below(key, value, remedy="write max_retries and timeout below it").items():
        dotted = f"{key}.{name}"
        if name == "timeout":
            job.set("model.timeout", document.whole(dotted, inner, 1))
            note = "seconds a call of model.batch_size rows; its rows fail and are not tried again"
            job.note(dotted, "differs", "model.timeout", note)
        elif name == "max_retries":
            tries = document.whole(dotted, inner, 0) + 1
            option = f"--conf spark.task.maxFailures={tries}"
            job.note(dotted, "elsewhere", option, f"Spark's tries of a task: {_CLUSTER} {option}")
        else:
            raise document.refusal(
                dotted, "is no key of a batch deployment", "remove it, if nothing depends on it", "max_retries, timeout"
            )


def _output_action(job: _Job, key: str, value: Any) -> None:
    action = job.document.one_of(key, value, tuple(_OUTPUT_NOTES))
    job.set("output.mode", "append")
    job.note(key, "differs", "output.mode", _OUTPUT_NOTES[action])


def _logging_level(job: _Job, key: str, value: Any) -> None:
    level = job.document.one_of(key, value, _LEVELS)
    job.note(key, "elsewhere", f"--log-level {level}", f"spark-scoring score job.yml --log-level {level}")


def _concurrency(job: _Job, key: str, value: Any) -> None:
    cores = job.document.whole(key, value, 1)
    option = f"--executor-cores {cores}"
    job.note(key, "elsewhere", option, f"so many tasks of an executor run at once: {_CLUSTER} {option}")


def _instances(job: _Job, key: str, value: Any) -> None:
    option = f"--num-executors {job.document.whole(key, value, 1)}"
    job.note(key, "elsewhere", option, f"{_CLUSTER} {option}; on a standalone cluster --total-executor-cores")


def _resources(job: _Job, key: str, value: Any) -> None:
    for name, inner in job.document.section(key, _RESOURCES).items():
        if name == "instance_count":
            _instances(job, f"{key}.{name}", inner)
        elif name == "instance_type":
            job.note(f"{key}.{name}", "elsewhere", "the cluster", "choose the machines of the Spark cluster")
        else:
            job.note(f"{key}.{name}", "elsewhere", "the cluster", "it is the Spark cluster's to say")


def _environment_variables(job: _Job, key: str, value: Any) -> None:
    document = job.document
    env = {}
    for name, inner in document.below(key, value, "holds no names", "write NAME: value below it").items():
        dotted = f"{key}.{name}"
        if not isinstance(name, str) or not ENV_NAME.match(name):
            raise document.refusal(dotted[:100], "is no name of an environment variable", "write letters, digits and _")
        if isinstance(inner, (dict, list)):
            raise document.refusal(dotted, "is no text", "write text")
        if READ_AT_START.match(name):
            option = f"--conf spark.executorEnv.{name}=…"
            job.note(dotted, "elsewhere", option, "it is read when a process starts, and the workers run already")
            continue
        env[name] = _as_text(inner)
        note = "it names a variable that nobody fills in here: write its value" if "$" in env[name] else ""
        job.note(dotted, "converted", "model.extra_env", note)
    if env:
        job.set("model.extra_env", env)


def _as_text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)


_KEYS: Mapping[str, Callable[[_Job, str, Any], None]] = {
    "$schema": _ignored(),
    "name": _ignored("it stands at the top of the job file"),
    "endpoint_name": _ignored("it stands at the top of the job file"),
    "description": _ignored("it stands at the top of the job file"),
    "type": _ignored(),
    "id": _ignored(),
    "creation_context": _ignored(),
    "provisioning_state": _ignored(),
    "resourceGroup": _ignored(),
    "tags": _ignored(
        "a run's row in scoring_runs has the model's version and digest, and the job's file can be versioned"
    ),
    "properties": _ignored(),
    "environment": _elsewhere(
        "spark-scoring env pack",
        "the model's own requirements.txt says what it needs: spark-scoring env pack MODEL_URI -o env.tar.gz, and "
        "submit --env env.tar.gz, or model.env_manager: uv; what a script needs beyond it has to be installed",
    ),
    "compute": _elsewhere("--master", f"a Spark cluster: {_CLUSTER}"),
    "resources": _resources,
    "error_threshold": _threshold,
    "retry_settings": _retries,
    "mini_batch_size": _mini_batch_size,
    "logging_level": _logging_level,
    "output_action": _output_action,
    "output_file_name": _elsewhere("output.path", "the result is a Delta table, and no file: name it by --output"),
    "max_concurrency_per_instance": _concurrency,
    "environment_variables": _environment_variables,
    "instance_count": _instances,
}
