"""The bundles that are shipped: what Databricks' own classes say of them, and when which of their tasks runs."""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib.metadata import requires
from pathlib import Path
from typing import Any

import pytest
from databricks.bundles.jobs import Job
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from spark_scoring import RunResult
from spark_scoring.errors import (
    AuditError,
    ConfigurationError,
    ContractError,
    InputError,
    ModelError,
    RowsFailedError,
    ScoringError,
    TargetError,
    combine,
)
from spark_scoring.jobs.config import ScoringJob
from spark_scoring.starter.bundle import bundle_text, job_bundle, packages_of, repository_bundle
from tests.databricks import REFERENCE, RUN_ID, JobRun, TaskValues, deployed, job_of, read_bundle, run_job, start_wheel

ROOT = Path(__file__).parents[2]
CONF = ROOT / "conf" / "databricks.yml"
TARGETS = ("dev", "prod", "prod_classic")
OWN_JOB = ScoringJob.from_options({"model.uri": "models:/m/1", "input.table": "main.a.t", "output.table": "main.a.s"})
REQUIREMENTS = ("mlflow==3.1", "numpy==2", "scikit-learn==1.9.1", "-r more.txt", "x @ https://host/x.whl")
TEXTS = {
    "conf": CONF.read_text(encoding="utf-8"),
    "init": bundle_text(job_bundle(OWN_JOB, "flights one.yml", REQUIREMENTS)),
}
# What Databricks has for every task, and for none.
OF_DATABRICKS = re.compile(r"(workspace|bundle|job)\..*|tasks\.score\.values\.(exit_code|message)")


def taken(job: Any) -> Any:
    """Returns a job as Databricks' own classes have it, which refuse what is none."""
    return Job.from_dict(job)


def packages(text: str) -> list[str]:
    return job_of(read_bundle(text), "prod")["environments"][0]["spec"]["dependencies"]


def locked() -> dict[str, str]:
    """What the tests run with, as Python 3.12 gets it, which both kinds of Databricks' compute have."""
    pins: dict[str, str] = {}
    for line in (ROOT / ".lock" / "dev.txt").read_text(encoding="utf-8").splitlines():
        if line[:1].isalnum():
            one = Requirement(line.rstrip(" \\"))
            if one.marker is None or one.marker.evaluate({"python_version": "3.12", "python_full_version": "3.12.3"}):
                pins[canonicalize_name(one.name)] = str(one.specifier)
    return pins


def test_the_bundle_of_conf_is_the_one_that_the_code_writes():
    text = TEXTS["conf"]
    assert text == bundle_text(repository_bundle(packages(text))), "make docs writes it"


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_databricks_own_classes_take_every_key(text, target):
    job = taken(job_of(read_bundle(text), target))
    assert job.timeout_seconds
    assert job.tags
    assert job.permissions
    assert job.email_notifications.on_failure
    assert job.webhook_notifications.on_failure
    assert [rule.metric.value for rule in job.health.rules] == ["RUN_DURATION_SECONDS"]
    assert (job.run_as is not None) == target.startswith("prod")


def test_databricks_own_classes_refuse_a_key_that_there_is_not():
    job = job_of(read_bundle(TEXTS["conf"]), "prod")
    job["tasks"][0]["max_tries"] = 2
    with pytest.raises(ValueError, match="max_tries"):
        taken(job)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_each_task_has_one_place_to_run_which_has_the_packages(text, target):
    job = job_of(read_bundle(text), target)
    environments = {one["environment_key"]: one["spec"]["dependencies"] for one in job.get("environments", ())}
    clusters = {one["job_cluster_key"] for one in job.get("job_clusters", ())}
    assert bool(environments) != bool(clusters)
    for task in job["tasks"]:
        places = {"environment_key", "job_cluster_key"} & set(task)
        assert len(places) == ("condition_task" not in task), task["task_key"]
        if "environment_key" in task:
            assert environments[task["environment_key"]] == packages(text)
            assert task["disable_auto_optimization"]
        if "job_cluster_key" in task:
            assert task["job_cluster_key"] in clusters
            installed = [one.get("whl") or one["pypi"]["package"] for one in task["libraries"]]
            assert installed == packages(text)


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_every_variable_is_declared_and_used(text):
    bundle = read_bundle(text)
    used = {found[2:-1] for found in REFERENCE.findall(text) if found[0] == "$"}
    assert {name for name in used if name.startswith("var.")} == {f"var.{name}" for name in bundle["variables"]}
    assert all("default" in variable and variable["description"] for variable in bundle["variables"].values())
    parameters = {f"job.parameters.{one['name']}" for one in bundle["resources"]["jobs"]["score"].get("parameters", ())}
    for found in REFERENCE.findall(text):
        name = found.strip("${}")
        assert name.startswith("var.") or name in parameters or OF_DATABRICKS.fullmatch(name), found
        assert not name.startswith("job.parameters.") or name in parameters, found


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_what_production_needs_is_there(text):
    for name, target in read_bundle(text)["targets"].items():
        if name.startswith("prod"):
            # Without it the Databricks command refuses to deploy in this mode.
            assert target["workspace"]["root_path"].endswith("${bundle.name}/${bundle.target}")
            assert target["mode"] == "production"


@pytest.mark.parametrize("folder", [ROOT / "conf", ROOT / "notebooks"], ids=["conf", "init"])
def test_the_notebooks_are_there_and_have_the_widgets_that_are_filled(folder):
    text = TEXTS["conf" if folder.name == "conf" else "init"]
    notebooks = [
        task["notebook_task"] for task in job_of(read_bundle(text), "prod")["tasks"] if "notebook_task" in task
    ]
    for notebook in notebooks:
        source = (folder / notebook["notebook_path"]).read_text(encoding="utf-8")
        widgets = set(re.findall(r'dbutils\.widgets\.\w+\("(\w+)"', source))
        assert set(notebook["base_parameters"]) < widgets
    assert notebooks


def test_the_files_of_the_repositorys_bundle_are_uploaded():
    bundle = read_bundle(TEXTS["conf"])
    assert Path(CONF.parent, bundle["artifacts"]["spark_scoring"]["path"], "pyproject.toml").is_file()
    # With a folder beside its own, a bundle's files are uploaded by their place below the folder of both.
    assert bundle["sync"] == {"paths": [".", "../notebooks"]}
    files = {one["name"]: one["default"] for one in bundle["resources"]["jobs"]["score"]["parameters"]}
    assert files["job_file"] == "${workspace.file_path}/conf/nightly.yml"
    assert (ROOT / "conf" / "nightly.yml").is_file()


def test_the_pins_are_those_of_the_lock():
    own, *pinned = packages(TEXTS["conf"])
    assert own == "../dist/*.whl"
    needed = [Requirement(line) for line in requires("spark-scoring") or ()]
    direct = {canonicalize_name(one.name) for one in needed if one.marker is None}
    wanted = direct - {"numpy", "pandas", "pyarrow"} | {"scikit-learn"}
    pins = {canonicalize_name(one.name): str(one.specifier) for one in map(Requirement, pinned)}
    assert pins == {name: locked()[name] for name in wanted}


def test_init_pins_what_is_installed_here_and_what_the_model_needs():
    own, *pinned = packages(TEXTS["init"])
    assert own == "spark-scoring==0.1.0"
    assert pinned[-1] == "scikit-learn==1.9.1"
    assert pinned[:-1] == packages_of("")[1:]
    assert all("==" in one for one in pinned)
    assert not [one for one in pinned if one.startswith(("numpy", "mlflow==", "x"))]


def test_a_job_that_writes_files_has_no_monitor():
    job = ScoringJob.from_options({"model.uri": "models:/m/1", "input.table": "t", "output.path": "/s"})
    keys = [task["task_key"] for task in job_of(read_bundle(bundle_text(job_bundle(job, "j.yml", ()))), "dev")["tasks"]]
    assert keys == ["score", "is_scored", "refused"]


@pytest.fixture
def run_conf(monkeypatch: pytest.MonkeyPatch) -> Callable[..., JobRun]:
    """Runs the job of conf/ with an engine whose attempts end as they are told, one after the other."""
    job = deployed(TEXTS["conf"], "prod", ROOT)

    def run(*ends: RunResult | ScoringError) -> JobRun:
        left = list(ends)

        def score(*_: Any, **__: Any) -> RunResult:
            end = left.pop(0)
            if isinstance(end, ScoringError):
                raise end
            return end

        def start(task: dict[str, Any], values: TaskValues) -> None:
            if "python_wheel_task" in task:
                start_wheel(task, values, monkeypatch)

        monkeypatch.setattr("spark_scoring.runs.run.score", score)
        ended = run_job(job, start)
        assert not left, "every attempt was made"
        return ended

    return run


DONE = RunResult(RUN_ID, "succeeded", "m/1", "sha256:0", 20, 20, 0, "main.ml.s", 3, None, 1.5, None)
SCORED = {"score": "success", "is_scored": "true", "refused": "excluded", "monitor": "success"}
REFUSED = {"score": "success", "is_scored": "false", "refused": "failed", "monitor": "excluded"}
FAILED = {"score": "failed", "is_scored": "upstream_failed", "refused": "upstream_failed", "monitor": "upstream_failed"}
MISFIT = ContractError("distance has type string", code="type_mismatch", remedy="cast it")
SILENT = ModelError("the registry did not answer", code="registry_unreachable")
BROKEN = ScoringError("Spark failed", code="spark_failed")
BUSY = TargetError("other writers changed the target", code="target_conflict")


def test_a_run_that_scored_is_followed_by_the_monitor(run_conf):
    run = run_conf(DONE)
    assert (run.results, run.failed) == (SCORED, False)


@pytest.mark.parametrize(
    "refusal",
    [
        ConfigurationError("the key is unknown", code="unknown_key"),
        MISFIT,
        ModelError("there is no such alias", code="alias_not_found"),
        InputError("rows were changed", code="rows_changed"),
        RowsFailedError("too many rows failed", code="threshold_exceeded"),
        AuditError("the audit refused the result", code="audit_refused"),
        TargetError("the target exists already", code="target_exists"),
        ScoringError("another number of rows was written", code="not_reconciled"),
        combine([SILENT, MISFIT]),
    ],
    ids=lambda error: error.code,
)
def test_a_refusal_is_not_repeated_and_fails_the_job_once_with_its_message(run_conf, refusal):
    run = run_conf(refusal)
    assert (run.results, run.failed) == (REFUSED, True)
    (error,) = run.tasks["refused"].errors
    assert isinstance(error, ScoringError)
    assert (error.code, error.message) == ("refused_before", " ".join(str(refusal).split()))


@pytest.mark.parametrize("passing", [BROKEN, BUSY, SILENT], ids=lambda error: error.code)
def test_what_may_pass_is_repeated(run_conf, passing):
    run = run_conf(passing, DONE)
    assert (run.results, run.failed) == (SCORED, False)
    assert run.tasks["score"].errors == [passing]


def test_what_does_not_pass_fails_the_job_after_the_last_retry(run_conf):
    run = run_conf(BROKEN, BROKEN, SILENT)
    assert (run.results, run.failed) == (FAILED, True)
    assert run.tasks["score"].errors == [BROKEN, BROKEN, SILENT]


def test_a_refusal_after_a_retry_is_a_refusal(run_conf):
    assert run_conf(BROKEN, MISFIT).results == REFUSED


def test_a_refusal_that_nobody_would_learn_of_fails_its_task(run_conf, monkeypatch):
    # As where a wheel task has no task values: then it is repeated, as any failure, and the job fails.
    monkeypatch.setattr(TaskValues, "set", lambda *_, **__: 1 / 0)
    assert run_conf(MISFIT, MISFIT, MISFIT).results == FAILED


def test_a_long_message_is_cut_to_what_a_parameter_takes(run_conf):
    run = run_conf(ContractError("ä" * 30_000, code="type_mismatch"))
    assert len(str(run.tasks["refused"].errors[0])) == 1_000
