"""What the commands do: from a job to an outcome. Heavy imports stand inside, so that ``--help`` stays quick."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spark_scoring.cli import summary
from spark_scoring.cli.console import terminal_width
from spark_scoring.cli.given_job import JOB_FILE, job_file_here, pairs, read_job
from spark_scoring.cli.history import history as history
from spark_scoring.cli.outcome import Outcome
from spark_scoring.cli.wording import refuse_file_as_table
from spark_scoring.errors import ConfigurationError, ScoringError, combine
from spark_scoring.redaction import redact

if TYPE_CHECKING:
    from mlflow.models import ModelSignature

    from spark_scoring.contract import Proposal
    from spark_scoring.jobs.config import InputConfig, OutputConfig, ScoringJob

_log = logging.getLogger(__name__)


def score(job: ScoringJob, run_id: str | None, replay: str | None = None) -> Outcome:
    """Runs a job, on its input or on what an earlier run of it quarantined."""
    from spark_scoring.runs.run import score

    result = score(job, run_id=run_id, replay=replay)
    return Outcome(result.to_dict(), partial(summary.of_run, result, terminal_width()))


def fail(message: str) -> Outcome:
    """Raises what a task of the job before this one was refused with."""
    said = message.strip() or "the task before this one was refused, and left no message: see its output"
    raise ScoringError(said, code="refused_before")


def publish(run_id: str, job: ScoringJob | None) -> Outcome:
    """Publishes a staged run that was refused; without a job, the user's own index says which it was."""
    from spark_scoring.record.local_index import published, recall
    from spark_scoring.runs.run import publish

    earlier = published(run_id) if job is None else None
    result = earlier or publish(job or recall(run_id), run_id)
    return Outcome(result.to_dict(), partial(summary.of_run, result, terminal_width()))


def check(job: ScoringJob, sample_rows: int | None = None) -> Outcome:
    """Plans a job, and reports everything that would be in its way.

    Args:
        job: The job.
        sample_rows: How many rows to score in memory, to show what the job would write; none by default.
    """
    from spark_scoring.record.runs_table import place_of
    from spark_scoring.runs.plan import make_plan, sample
    from spark_scoring.runs.planned_effects import planned_effects
    from spark_scoring.spark.session import get_session

    spark = get_session()
    plan = make_plan(job, spark)
    error = combine(plan.problems) if plan.problems else None
    notes = planned_effects(spark, plan, place_of(job.record, job.output)) if job.output is not None else ()
    rows = None
    if sample_rows is not None and plan.schema is not None:
        rows = [row.asDict(recursive=True) for row in sample(spark, plan, job.model, sample_rows)]
    data = {
        "ok": error is None,
        "contract": plan.contract.to_dict() if plan.contract else None,
        "differences": [difference._asdict() for difference in plan.differences],
        **target_of(job.output),
        "sample": None if rows is None else {**_counts(rows), "rows": rows},
        "notes": list(notes),
        "problems": [problem.to_dict() for problem in (error.problems or (error,))] if error else [],
    }
    width = terminal_width()

    def text() -> str:
        parts = [summary.of_plan(plan, job.output.mode if job.output else None, width=width, notes=notes)]
        if rows is not None and plan.contract is not None:
            parts.append(summary.of_sample(rows, plan.contract, job.input.key, width))
        return "\n\n".join(parts)

    told = [f"{verdict.column}: {verdict.message}" for verdict in plan.contract.problems] if plan.contract else []
    return Outcome(data, text, error, told)


def _counts(rows: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    failed = sum(row["error"] is not None for row in rows)
    return {"scored": len(rows) - failed, "failed": failed}


def inspect(uri: str, tracking_uri: str | None, options: Mapping[str, str | None] | None = None) -> Outcome:
    """Pins a model and describes it; no model is downloaded, and no JVM is started unless a table is named.

    Args:
        uri: Any MLflow model URI, or a folder.
        tracking_uri: The MLflow tracking server; MLflow's default otherwise.
        options: ``--input`` and ``--format`` of a table, from which to propose a signature if the model has none.
    """
    from spark_scoring.models.pinned import pin
    from spark_scoring.worker.requirements import differences

    # The job's rules for URIs and paths, with an input that is opened only if it is needed.
    table = {option: value for option, value in (options or {}).items() if value is not None}
    named = {"--input": "./none", **table, "MODEL_URI": uri, "--tracking-uri": tracking_uri}
    job = read_job(None, (), (), named)
    model = pin(job.model)
    different = differences(model.requirements)
    proposal = (
        _proposal(job.input) if "--input" in table and (model.signature is None or not model.signature.inputs) else None
    )
    data = {
        "model": model.uri,
        "pinned": model.pinned_uri,
        "version": model.version,
        "model_id": model.model_id,
        "signature": _signature(model.signature),
        "proposed_signature": proposal.to_dict() if proposal else None,
        "flavors": list(model.flavors),
        "requirements": [redact(line) for line in model.requirements],
        "differences": [difference._asdict() for difference in different],
        "digest": model.digest,
    }
    return Outcome(data, summary.of_model(model, different) + (f"\n\n{proposal.text()}" if proposal else ""))


def _proposal(config: InputConfig) -> Proposal | None:
    from spark_scoring.contract import propose_signature
    from spark_scoring.reading.reader import InputReader
    from spark_scoring.reading.requests import ModelInput
    from spark_scoring.spark.session import get_session

    if config.format == "payload":
        raise ConfigurationError(
            "requests have no types of their own to propose a signature from: they are read by the signature",
            code="usage",
            remedy="name a table, or files of another format",
        )
    spark, reader = get_session(), InputReader(config, ModelInput())
    return propose_signature(reader.value_types(spark, reader.open(spark)))


def init(
    place: str,
    options: Mapping[str, str | None],
    key: Sequence[str],
    *,
    notebook: bool = False,
    bundle: bool = False,
    force: bool = False,
) -> Outcome:
    """Writes a job file to start from.

    Args:
        place: The job file.
        options: ``--model``, ``--input``, ``--output`` and so on.
        key: The columns that tell rows apart.
        notebook: Whether to write a notebook, too.
        bundle: Whether to write a Databricks bundle, too.
        force: Whether to write over files that are there.
    """
    from spark_scoring.jobs.location import is_path
    from spark_scoring.models.pinned import pin
    from spark_scoring.starter.csv_options import csv_options
    from spark_scoring.starter.files import format_of, starter_files, write_files

    location = options["--input"] or ""
    # A file in the working directory is meant by its name, and a table has no such ending.
    here = location if is_path(location) or format_of(location) is None else f"./{location}"
    kind = options["--format"] or (format_of(here) if is_path(here) else None)
    settings = [f"input.key={json.dumps(list(key))}"] if key else []
    # A bundle's job runs every night, and from the second one on there is a target.
    given = {
        **options,
        "--input": here,
        "--format": kind,
        "--mode": options["--mode"] or ("append" if bundle else None),
    }
    job = read_job(None, settings, (), given)
    model = pin(job.model)
    if kind == "csv" and (written_with := csv_options(here, model.signature)):
        job = read_job(None, [*settings, f"input.options={json.dumps(written_with)}"], (), given)
    files = starter_files(job, model, Path(place), notebook=notebook, bundle=bundle)
    write_files(files, force=force)
    written = [str(path) for path in files]
    notes = []
    if bundle and job.model.tracking_uri is not None and not job.model.tracking_uri.startswith(("http", "databricks")):
        notes.append(f"model.tracking_uri: {redact(job.model.tracking_uri)} is on this machine; a workspace needs none")
    if bundle and options["--mode"] is None:
        notes.append("output.mode: append, since the bundle's job runs again and again; --mode says otherwise")
    following = "next, what it would do: " + " ".join(["spark-scoring check", *([] if place == JOB_FILE else [place])])
    return Outcome({"files": written}, "\n".join([*(f"wrote {path}" for path in written), *notes, following]))


def import_azure(deployment: Path, job_file: Path | None, options: Mapping[str, str | None], *, force: bool) -> Outcome:
    """Converts a batch deployment of Azure ML.

    Args:
        deployment: Its YAML file.
        job_file: The job file to write, or None to show it.
        options: ``--input``, ``--output``, ``--format`` and ``--tracking-uri``.
        force: Whether to write over a file that is there.
    """
    from dataclasses import asdict

    from spark_scoring.importing import azure
    from spark_scoring.importing.document import Document
    from spark_scoring.importing.job import job_file as text_of
    from spark_scoring.jobs.schema import SCHEMA_FILE, schema_text
    from spark_scoring.starter.files import write_files

    conversion = azure.convert(Document.of_file(deployment), deployment.absolute().parent)
    place = job_file or Path(JOB_FILE)
    text = text_of(conversion, place, options)
    if job_file is not None:
        write_files({place: text, place.parent / SCHEMA_FILE: schema_text()}, force=force)
    data = {
        "deployment": str(deployment),
        "file": str(job_file) if job_file is not None else None,
        "job": text,
        "mapping": [asdict(one) for one in conversion.mapping],
    }
    return Outcome(data, partial(summary.of_conversion, conversion, job_file, text, terminal_width()))


def schema() -> Outcome:
    """Returns the job file's schema."""
    from spark_scoring.jobs.schema import job_schema, schema_text

    return Outcome(job_schema(), schema_text().rstrip())


def demo(folder: Path) -> Outcome:
    """Runs the demo."""
    from spark_scoring.demo import run_demo

    shown = run_demo(folder)
    return Outcome(shown.result.to_dict(), partial(summary.of_demo, shown, terminal_width()))


def runs_place(
    conf: str | None, runs: str | None, settings: Sequence[str], variables: Sequence[str]
) -> tuple[OutputConfig | None, str | None]:
    """Returns where the runs of a job file are recorded: of the one that is named, and of the one that lies here.

    Args:
        conf: The job file, or None.
        runs: What ``--runs`` names, before which a job file that merely lies here stands back.
        settings: What ``--set`` was given.
        variables: What ``--var`` was given.

    Raises:
        ConfigurationError: If the file can't be read, or names no such place.
    """
    from spark_scoring.jobs.runs_of_job import job_that_says_where, refuse_unset
    from spark_scoring.record.runs_table import place_of

    refuse_file_as_table("--runs", runs)
    file = conf or (job_file_here() if runs is None else None)
    if file is None:
        if settings or variables:
            job = read_job(None, settings, variables, {})
            return place_of(job.record, job.output), None
        return None, None
    job = job_that_says_where(file, pairs("--set", settings), pairs("--var", variables))
    place = place_of(job.record, job.output)
    refuse_unset(place, file)
    return (place, None) if conf is not None or settings or variables else (None, place.location)


def submit_command(
    conf: str,
    settings: Sequence[str],
    variables: Sequence[str],
    score_args: Sequence[str],
    submit_args: Sequence[str],
    environment: str | None = None,
) -> list[str]:
    """Returns the spark-submit command of a job, whose file is read here first: a bad one need not start a cluster.

    Raises:
        ConfigurationError: If the job or the options are not valid.
    """
    from spark_scoring.submit import build_command

    read_job(conf, settings, variables, {})
    words = [word for value in settings for word in ("--set", value)]
    words += [word for value in variables for word in ("--var", value)]
    return build_command(conf, [*words, *score_args], submit_args, environment)


def show_command(command: Sequence[str]) -> Outcome:
    """Returns a spark-submit command as it can be pasted, and says what runs where."""
    from spark_scoring.submit import explain, pasteable

    notes = explain(command)
    for note in notes:
        _log.info("%s", note)
    return Outcome({"command": list(command), "notes": notes}, pasteable(command))


def pack(uri: str, output: str, python: str | None, tracking_uri: str | None) -> Outcome:
    """Packs a model's environment."""
    from spark_scoring.environment.pack import pack_environment

    job = read_job(None, (), (), {"--input": "./none", "MODEL_URI": uri, "--tracking-uri": tracking_uri})
    _log.info("packages  installing what %s requires", redact(uri))
    packed = pack_environment(job.model, output, python)
    manifest = packed.manifest
    data = {
        "archive": packed.path,
        "bytes": packed.size,
        "sha256": packed.sha256,
        "model": manifest.model,
        "python": manifest.python,
        "platform": manifest.platform,
        "requirements": list(manifest.requirements),
        "packages": dict(manifest.packages),
        "notes": list(packed.notes),
    }
    return Outcome(data, partial(summary.of_environment, packed))


def package(job: ScoringJob, output: str) -> Outcome:
    """Packages a job as a model of MLflow's, which answers requests; no JVM is started."""
    from spark_scoring.packaging.package import package_job

    packaged = package_job(job, output)
    data = {"uri": packaged.uri, **packaged.about, "notes": list(packaged.notes)}
    return Outcome(data, partial(summary.of_package, packaged))


def fetch_jars(into: Path | None) -> Outcome:
    """Brings the jars of a local session."""
    from spark_scoring.spark.jars import OWN_JARS, packages
    from spark_scoring.spark.maven import fetch_jars
    from spark_scoring.spark.packages import check_packages

    check_packages()
    files = fetch_jars(into)
    size = sum(os.path.getsize(file) for file in files)
    data = {"packages": packages().split(","), "jars": files, "bytes": size, "into": str(into) if into else None}
    lines = [
        ("packages", packages()),
        ("jars", f"{len(files):,}, {size / 1e6:,.0f} MB, in {os.path.dirname(files[0])}"),
    ]
    if into is not None:
        lines.append(("use", f"{OWN_JARS}={into.absolute()}"))
    return Outcome(data, summary.aligned(lines))


def target_of(output: OutputConfig | None) -> dict[str, Any]:
    """Returns the data's ``target`` and ``mode`` of a job's output."""
    if output is None:
        return {"target": None, "mode": None}
    return {"target": redact(output.location), "mode": output.mode}


def _signature(signature: ModelSignature | None) -> dict[str, Any] | None:
    if signature is None:
        return None
    return {part: json.loads(text) if text else None for part, text in signature.to_dict().items()}
