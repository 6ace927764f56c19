"""The text of a Databricks bundle: the one that `init` writes, and that of this repository's ``conf/``.

Both come from ``bundle.yml`` beside this module. ``make docs`` writes ``conf/databricks.yml`` from here.
"""

from __future__ import annotations

import string
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import requires
from pathlib import Path

import yaml
from packaging.utils import canonicalize_name

from spark_scoring.jobs.config import ScoringJob
from spark_scoring.worker.requirements import installed_version, named_packages

# The notebook that a bundle runs once rows are scored.
MONITOR = "notebooks/monitor.py"
_OWN = "spark-scoring"
# Spark's Python works with the versions of these that the runtime has, so a bundle leaves them as they are there.
_OF_RUNTIME = frozenset({"numpy", "pandas", "pyarrow", "pyspark"})
_OF_MLFLOW = frozenset({"mlflow", "mlflow-skinny"})


class _Template(string.Template):
    # A $ is the bundle's own.
    delimiter = "%"


@dataclass(frozen=True)
class Bundle:
    """What one bundle has of its own.

    Attributes:
        name: The bundle's name.
        title: The job's name.
        words: The words of the command behind ``score``: the job file, and what fills its variables.
        packages: What is installed, as pip takes it: requirements with ``==``, and the path of a wheel.
        variables: By name, the bundle's variables beside those of each bundle: description and default.
        parameters: The job's parameters, by name.
        notebooks: By name, the notebooks that run once rows are scored: the path, and the widgets' values.
        sync: The folders to upload, where it is not just the bundle's own.
        builds: The folder from which the wheel is built, or None.
    """

    name: str
    title: str
    words: Sequence[str]
    packages: Sequence[str]
    variables: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    parameters: Mapping[str, str] = field(default_factory=dict)
    notebooks: Mapping[str, tuple[str, Mapping[str, str]]] = field(default_factory=dict)
    sync: Sequence[str] = ()
    builds: str | None = None


def bundle_text(bundle: Bundle) -> str:
    """Returns a bundle's ``databricks.yml``."""
    wheels = ["score", "refused"]
    template = _Template(Path(__file__).with_name("bundle.yml").read_text(encoding="utf-8"))
    return template.substitute(
        name=_scalar(bundle.name),
        title=_scalar(bundle.title),
        sync=_block(["", "sync:", "  paths:", *_items(bundle.sync, 4)] if bundle.sync else []),
        variables=_block(_variables(bundle.variables)),
        artifacts=_block(_artifact(bundle.builds) if bundle.builds is not None else []),
        parameters=_block(_parameters(bundle.parameters)),
        words=_block(_items(bundle.words, 14)),
        monitor=_block(_notebooks(bundle.notebooks)),
        dependencies=_block(_items(bundle.packages, 18)),
        serverless_tasks=_block(_serverless([*wheels, *bundle.notebooks])),
        classic_tasks=_block(_classic([*wheels, *bundle.notebooks], bundle.packages)).rstrip("\n"),
    )


def packages_of(own: str, model: Iterable[str] = ()) -> list[str]:
    """Returns what a bundle installs: this package, what it depends on as it is installed here, and a model's packages.

    Args:
        own: This package, as pip takes it.
        model: The lines of the model's ``requirements.txt``.
    """
    direct = [one.name for one in named_packages(requires(_OWN) or ()) if one.marker is None]
    versions = {name: installed_version(name) for name in direct if canonicalize_name(name) not in _OF_RUNTIME}
    pins = [f"{name}=={version}" for name, version in versions.items() if version is not None]
    known = {canonicalize_name(name) for name in direct} | _OF_RUNTIME | _OF_MLFLOW
    needed = [str(one) for one in named_packages(model) if canonicalize_name(one.name) not in known and not one.url]
    return [own, *sorted(pins), *needed]


def own_requirement() -> str:
    """Returns this package in its version, as pip takes it."""
    return f"{_OWN}=={installed_version(_OWN)}"


def repository_bundle(packages: Sequence[str]) -> Bundle:
    """Returns the bundle of ``conf/``, which builds the wheel from this repository.

    Args:
        packages: What is installed beside it.
    """
    place = "{{job.parameters.catalog}}.{{job.parameters.schema}}"
    given = ("catalog", "schema", "day")
    return Bundle(
        name=_OWN,
        title="spark-scoring nightly",
        words=["{{job.parameters.job_file}}", *(f"--var={name}={{{{job.parameters.{name}}}}}" for name in given)],
        packages=packages,
        variables={
            "catalog": ("The Unity Catalog catalog of the table, the model and the scores", "main"),
            "schema": ("The schema of all three", "ml"),
        },
        # Whoever starts the job by hand, or backfills a day, can give other values.
        parameters={
            "job_file": "${workspace.file_path}/conf/nightly.yml",
            "catalog": "${var.catalog}",
            "schema": "${var.schema}",
            "day": "{{job.trigger.time.iso_date}}",
        },
        notebooks={
            "monitor": (
                f"../{MONITOR}",
                {"runs": f"{place}.scoring_runs", "scored": f"{place}.flight_scores"},
            )
        },
        sync=(".", "../notebooks"),
        builds="..",
    )


def job_bundle(job: ScoringJob, job_file: str, model_requirements: Iterable[str]) -> Bundle:
    """Returns the bundle of a job file, in whose folder it stands.

    Args:
        job: The job.
        job_file: Its file's name.
        model_requirements: The lines of the model's ``requirements.txt``.
    """
    return Bundle(
        name="scoring",
        title=f"scoring by {job_file}",
        words=[f"${{workspace.file_path}}/{job_file}"],
        packages=packages_of(own_requirement(), model_requirements),
        notebooks={"monitor": (f"./{Path(MONITOR).name}", _watched(job))} if is_watched(job) else {},
    )


def is_watched(job: ScoringJob) -> bool:
    """Tells whether a job's bundle has the monitor: whether it writes a table, which has a name on Databricks."""
    return job.output is not None and job.output.table is not None


def _watched(job: ScoringJob) -> dict[str, str]:
    # It needs pyspark, which nothing else of a bundle does.
    from spark_scoring.record.runs_table import place_of

    output = job.output
    assert output is not None
    return {
        "runs": place_of(job.record, output).location,
        "scored": output.location,
        "prediction": output.prediction,
    }


def _variables(variables: Mapping[str, tuple[str, str]]) -> list[str]:
    return [
        line
        for name, (description, default) in variables.items()
        for line in (
            f"  {name}:",
            f"    description: {_scalar(description)}",
            f"    default: {_scalar(default)}",
        )
    ]


def _artifact(folder: str) -> list[str]:
    build = ["    type: whl", f"    path: {folder}", "    build: python -m build --wheel"]
    return ["", "artifacts:", "  spark_scoring:", *build]


def _parameters(parameters: Mapping[str, str]) -> list[str]:
    if not parameters:
        return []
    lines = [f"        - {{name: {name}, default: {_quoted(value)}}}" for name, value in parameters.items()]
    return ["      parameters:              # whoever starts the job by hand can give others", *lines]


def _notebooks(notebooks: Mapping[str, tuple[str, Mapping[str, str]]]) -> list[str]:
    lines = []
    for name, (path, widgets) in notebooks.items():
        lines += [
            "",
            f"        - task_key: {name}",
            '          depends_on: [{task_key: is_scored, outcome: "true"}]',
            "          max_retries: 0",
            "          notebook_task:",
            f"            notebook_path: {path}",
            "            base_parameters:",
            *(f"              {widget}: {_quoted(value)}" for widget, value in widgets.items()),
        ]
    return lines


def _serverless(tasks: Sequence[str]) -> list[str]:
    return [
        f"            - {{task_key: {name}, environment_key: default, disable_auto_optimization: true}}"
        for name in tasks
    ]


def _classic(tasks: Sequence[str], packages: Sequence[str]) -> list[str]:
    libraries = [
        f"                - whl: {one}"
        if one.endswith(".whl")
        else f"                - pypi: {{package: {_quoted(one)}}}"
        for one in packages
    ]
    first, *others = tasks
    lines = [f"            - task_key: {first}", "              job_cluster_key: main"]
    lines += ["              libraries: &libraries", *libraries]
    for name in others:
        lines.append(f"            - {{task_key: {name}, job_cluster_key: main, libraries: *libraries}}")
    return lines


def _items(values: Iterable[str], indent: int) -> list[str]:
    return [f"{' ' * indent}- {_scalar(value)}" for value in values]


def _block(lines: Sequence[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _scalar(text: str) -> str:
    """Returns a text as YAML, with quotes only where it needs them."""
    return yaml.safe_dump(text, width=float("inf"), allow_unicode=True).removesuffix("\n").removesuffix("\n...")


def _quoted(text: str) -> str:
    """Returns a text as YAML that may stand within braces."""
    return yaml.safe_dump(text, width=float("inf"), allow_unicode=True, default_style='"').removesuffix("\n")


if __name__ == "__main__":
    # What conf/nightly.yml's model is made of.
    needed = [f"scikit-learn=={installed_version('scikit-learn')}"]
    sys.stdout.write(bundle_text(repository_bundle(packages_of("../dist/*.whl", needed))))
