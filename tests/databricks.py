"""What Databricks does with a bundle and a notebook: targets are merged, references filled, tasks run, widgets read."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import distribution
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

# The id of a job's run, which stays the same for all attempts of its tasks.
RUN_ID = "550315892394120"
REFERENCE = re.compile(r"\{\{[^{}]*\}\}|\$\{[^{}]*\}")
# By what the items of a job's lists are told apart, where a target overrides them.
_KEYS = {"tasks": "task_key", "job_clusters": "job_cluster_key", "environments": "environment_key"}


def read_bundle(text: str) -> dict[str, Any]:
    """Returns a bundle as data."""
    return yaml.safe_load(text)


def job_of(bundle: Mapping[str, Any], target: str) -> dict[str, Any]:
    """Returns the job of a target: what stands at the top, with what the target says of it."""
    own = bundle["targets"][target]
    job = merged(bundle["resources"]["jobs"]["score"], own["resources"]["jobs"]["score"])
    return {**job, "run_as": own["run_as"]} if "run_as" in own else job


def merged(base: Any, own: Any, name: str = "") -> Any:
    """Returns a value with another one over it, as the Databricks command joins a target's with the bundle's."""
    if isinstance(base, dict) and isinstance(own, dict):
        return {key: merged(base.get(key), own.get(key), key) for key in {**base, **own}}
    if name in _KEYS and base and own:
        key = _KEYS[name]
        others = {one[key]: one for one in own}
        unknown = set(others) - {one[key] for one in base}
        assert not unknown, f"{name}: {unknown} would be new ones"
        return [merged(one, others.get(one[key])) for one in base]
    return base if own is None else own


def filled(value: Any, references: Mapping[str, Any]) -> Any:
    """Returns a value with its references filled; one that nothing fills stays, as on Databricks."""
    if isinstance(value, dict):
        return {key: filled(inner, references) for key, inner in value.items()}
    if isinstance(value, list):
        return [filled(inner, references) for inner in value]
    if not isinstance(value, str):
        return value
    if value in references:
        return references[value]
    return REFERENCE.sub(lambda found: str(references.get(found[0], found[0])), value)


def deployed(text: str, target: str, files: Path, **variables: Any) -> dict[str, Any]:
    """Returns the job of a bundle's target, with all references filled but those to the values of tasks.

    Args:
        text: The bundle.
        target: The target.
        files: The folder that is uploaded.
        variables: The variables that get other values than their defaults.
    """
    bundle = read_bundle(text)
    references: dict[str, Any] = {
        "${workspace.file_path}": str(files),
        "{{job.run_id}}": RUN_ID,
        "{{job.trigger.time.iso_date}}": "2026-01-31",
        **{f"${{var.{name}}}": variable["default"] for name, variable in bundle["variables"].items()},
        **{f"${{var.{name}}}": value for name, value in variables.items()},
    }
    job = job_of(bundle, target)
    parameters = {f"{{{{job.parameters.{one['name']}}}}}": one["default"] for one in job.get("parameters", ())}
    return filled(job, {**references, **filled(parameters, references)})


@dataclass
class TaskRun:
    """What became of a task.

    Attributes:
        result: ``success``, ``failed``, ``excluded`` or ``upstream_failed``; of a condition ``true`` or ``false``.
        errors: What each attempt that failed was ended by.
    """

    result: str
    errors: list[Exception] = field(default_factory=list)


@dataclass
class JobRun:
    """What became of a job."""

    tasks: dict[str, TaskRun]
    leaves: Sequence[str]

    @property
    def failed(self) -> bool:
        """Whether a leaf task failed, which fails the job, and sends its notifications."""
        return any(self.tasks[leaf].result in ("failed", "upstream_failed") for leaf in self.leaves)

    @property
    def results(self) -> dict[str, str]:
        """The result of each task."""
        return {key: run.result for key, run in self.tasks.items()}


class TaskValues(dict[str, Any]):
    """`dbutils.jobs.taskValues` of one task."""

    def set(self, key: str, value: Any) -> None:
        self[key] = value


def run_job(job: Mapping[str, Any], start: Callable[[dict[str, Any], TaskValues], None]) -> JobRun:
    """Runs a job's tasks, each after those that it depends on, as often as it may be repeated.

    Args:
        job: The job; its tasks stand in an order in which they can run.
        start: Runs one attempt of a task, whose references are filled, and sets its values; raises to fail it.
    """
    runs: dict[str, TaskRun] = {}
    values: dict[str, str] = {}
    for task in job["tasks"]:
        key = task["task_key"]
        runs[key] = _blocked(task, runs) or _attempts(filled(task, values), values, start)
    waited_for = {one["task_key"] for task in job["tasks"] for one in task.get("depends_on", ())}
    return JobRun(runs, [task["task_key"] for task in job["tasks"] if task["task_key"] not in waited_for])


def _blocked(task: Mapping[str, Any], runs: Mapping[str, TaskRun]) -> TaskRun | None:
    for needed in task.get("depends_on", ()):
        result = runs[needed["task_key"]].result
        if result in ("failed", "upstream_failed"):
            return TaskRun("upstream_failed")
        if result == "excluded" or result != needed.get("outcome", result):
            return TaskRun("excluded")
    return None


def _attempts(
    task: dict[str, Any], values: dict[str, str], start: Callable[[dict[str, Any], TaskValues], None]
) -> TaskRun:
    if "condition_task" in task:
        return _condition(task["condition_task"])
    run = TaskRun("failed")
    for _ in range(1 + task.get("max_retries", 0)):
        own = TaskValues()
        try:
            start(task, own)
            run.result = "success"
        except Exception as exc:
            run.errors.append(exc)
        values.update({f"{{{{tasks.{task['task_key']}.values.{name}}}}}": str(value) for name, value in own.items()})
        if run.result == "success":
            break
    return run


def _condition(condition: Mapping[str, str]) -> TaskRun:
    assert condition["op"] == "EQUAL_TO", "only texts are compared here"
    if REFERENCE.search(condition["left"]):
        return TaskRun("failed", [KeyError(condition["left"])])
    return TaskRun("true" if condition["left"] == condition["right"] else "false")


class Widgets:
    """`dbutils.widgets`, with values that somebody filled in, or that a task passes on."""

    def __init__(self, given: Mapping[str, str]) -> None:
        self._given = given
        self.values: dict[str, str] = {}

    def text(self, name: str, default: str, label: str = "") -> None:
        self.values[name] = self._given.get(name, default)

    def dropdown(self, name: str, default: str, choices: Sequence[str], label: str = "") -> None:
        assert default in choices, f"{name}: {default} is none of {choices}"
        self.text(name, default, label)
        assert self.values[name] in choices, f"{name}: {self.values[name]} is none of {choices}"

    def get(self, name: str) -> str:
        return self.values[name]


def dbutils(given: Mapping[str, str], values: TaskValues | None = None) -> SimpleNamespace:
    """Returns what a notebook and a task find as `dbutils`."""
    return SimpleNamespace(
        widgets=Widgets(given),
        library=SimpleNamespace(restartPython=lambda: None),
        jobs=SimpleNamespace(taskValues=TaskValues() if values is None else values),
    )


def start_wheel(task: Mapping[str, Any], values: TaskValues, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs one attempt of a wheel task in this process: calls the entry point that the task names."""
    wheel = task["python_wheel_task"]
    entries = distribution(wheel["package_name"]).entry_points
    (entry,) = entries.select(group="console_scripts", name=wheel["entry_point"])
    with monkeypatch.context() as patch:
        patch.setenv("DATABRICKS_RUNTIME_VERSION", "17.3")
        patch.setattr("spark_scoring.cli.databricks._dbutils", lambda: dbutils({}, values))
        patch.setattr(sys, "argv", [wheel["entry_point"], *wheel["parameters"]])
        assert entry.load()() == 0
