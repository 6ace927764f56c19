"""What `spark-scoring init` writes: the job file with its schema, a notebook, a bundle."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from spark_scoring.errors import ConfigurationError
from spark_scoring.jobs.config import ScoringJob
from spark_scoring.jobs.schema import SCHEMA_FILE, schema_text
from spark_scoring.models.pinned import PinnedModel
from spark_scoring.starter.bundle import MONITOR, bundle_text, is_watched, job_bundle
from spark_scoring.starter.examples import example
from spark_scoring.starter.job_file import job_text

_FORMATS = {".parquet": "parquet", ".csv": "csv", ".tsv": "csv", ".json": "json", ".jsonl": "json", ".ndjson": "json"}
_FORMATS |= {".orc": "orc", ".avro": "avro"}
_PACKED = (".gz", ".bz2", ".xz", ".zst")

_CELLS = (
    """\
from spark_scoring import ScoringJob, check, get_session, score

spark = get_session()
job = ScoringJob.from_yaml({job!r})""",
    """\
# What the model wants, what the table has, and whether they fit. Nothing has run yet.
check(job, spark=spark)""",
    """\
result = score(job, spark=spark)
result""",
    """\
place = result.target
scored = spark.read.format("delta").load(place) if "/" in place else spark.table(place)
scored.limit(20).toPandas()""",
)


def format_of(location: str) -> str | None:
    """Returns the ``input.format`` of a path by its files' names; None for a Delta table, and where nothing tells."""
    path = Path(location)
    if (path / "_delta_log").is_dir():
        return None
    name = (first_file(path) or path).name.lower()
    for packed in _PACKED:
        name = name.removesuffix(packed)
    return _FORMATS.get(Path(name).suffix)


def first_file(path: Path) -> Path | None:
    """Returns a path's file, or of a folder the first one that holds data; None where there is none."""
    if not path.is_dir():
        return path if path.is_file() else None
    return min((file for file in path.rglob("*") if file.is_file() and file.name[0] not in "._"), default=None)


def starter_files(
    job: ScoringJob, model: PinnedModel, place: Path, *, notebook: bool = False, bundle: bool = False
) -> dict[Path, str]:
    """Returns the files to write, with their texts.

    Args:
        job: The job.
        model: Its model, whose inputs the job file lists.
        place: The job file's path.
        notebook: Whether there is to be a notebook.
        bundle: Whether there is to be a Databricks bundle.
    """
    folder = place.absolute().parent
    values = job.model_dump(mode="json", exclude_defaults=True)
    files = {place: job_text(values, folder, _notes(model, place)), place.parent / SCHEMA_FILE: schema_text()}
    if notebook:
        files[place.with_suffix(".ipynb")] = _notebook(place.name)
    if bundle:
        files[place.parent / "databricks.yml"] = bundle_text(job_bundle(job, place.name, model.requirements))
        if is_watched(job):
            files[place.parent / Path(MONITOR).name] = example(MONITOR)
    return files


def write_files(files: Mapping[Path, str], *, force: bool) -> None:
    """Writes the files; none of them if one is there already.

    Raises:
        ConfigurationError: If one is there and `force` is false, or one can't be written.
    """
    present = [path for path in files if path.exists() and path.name != SCHEMA_FILE]
    if present and not force:
        raise ConfigurationError(
            f"there is {' and '.join(map(str, present))} already",
            code="file_exists",
            remedy="name another job file, or write over it with --force",
        )
    for path, text in files.items():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        except OSError as exc:
            raise ConfigurationError(
                f"{path} can't be written: {exc.strerror or exc}",
                code="file_not_written",
                remedy="name a place that this user can write to",
            ) from exc


def _notes(model: PinnedModel, place: Path) -> list[str]:
    notes = [f"Written by spark-scoring init. What it does: spark-scoring check {place.name}", ""]
    signature = model.signature
    if signature is not None and signature.inputs is not None:
        notes += [f"The inputs of {model.model_id}:", *(f"  {spec!r}" for spec in signature.inputs), ""]
    return [line for note in notes for line in note.splitlines() or [""]]


def _notebook(job: str) -> str:
    document = {
        "cells": [
            {"cell_type": "code", "execution_count": None, "id": f"cell{number}", "metadata": {}, "outputs": []}
            | {"source": text.format(job=job).splitlines(keepends=True)}
            for number, text in enumerate(_CELLS, start=1)
        ],
        "metadata": {"language_info": {"name": "python"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return json.dumps(document, indent=1) + "\n"
