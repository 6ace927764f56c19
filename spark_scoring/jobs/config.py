"""What a job is: `ScoringJob` and its parts, frozen, and impossible to construct wrong.

The keys are those of the job file. Reading files, ``--set`` and ``${…}`` is `yaml_file.py`'s work.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date, datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PrivateAttr,
    ValidationError,
    field_validator,
    model_validator,
)

from spark_scoring.jobs import yaml_file
from spark_scoring.jobs.audit_config import AuditConfig
from spark_scoring.jobs.file_options import valid_options
from spark_scoring.jobs.fingerprint import Fingerprint, fingerprint
from spark_scoring.jobs.keys import NAME_KEYS, PATH_KEYS, SQL_KEYS, kind_of
from spark_scoring.jobs.location import absolute, is_path
from spark_scoring.jobs.model_config import ModelConfig
from spark_scoring.jobs.parts import (
    STAMPS,
    Keys,
    Part,
    refuse_keys,
    refuse_no_name,
    refuse_twice,
    refuse_unwritable,
    rows_or_ratio,
    valid_columns,
    valid_duration,
    valid_stamps,
    valid_threshold,
    valid_time_zone,
)
from spark_scoring.jobs.validation_messages import refusal
from spark_scoring.redaction import redact
from spark_scoring.worker.payload import PLACE_COLUMNS

Columns = Literal["all", "keys"] | tuple[str, ...]
Format = Literal["delta", "parquet", "csv", "json", "orc", "avro", "binaryFile", "payload"]
Mode = Literal["error", "append", "overwrite", "replace_where", "merge"]
_NO_NAMES: Mapping[str, str] = {}


class InputConfig(Part):
    """What is scored: exactly one of `table`, `sql` and `path`."""

    table: str | None = Field(default=None, min_length=1)
    sql: str | None = Field(default=None, min_length=1)
    path: str | None = Field(default=None, min_length=1)
    format: Format | None = None
    options: dict[str, Any] = Field(default_factory=dict)
    version: int | None = Field(default=None, ge=0, strict=True)
    where: str | None = None
    columns: dict[str, str] = Field(default_factory=dict)
    key: tuple[str, ...] = ()
    time_zone: Annotated[str, AfterValidator(valid_time_zone)] = "UTC"
    incremental: bool = False
    rescore: Literal["all", "older"] | None = None

    @model_validator(mode="after")
    def _one_source(self) -> InputConfig:
        named = [key for key in ("table", "sql", "path") if getattr(self, key) is not None]
        if not named:
            raise ValueError("name what to read: one of table, sql, path")
        if len(named) > 1:
            raise ValueError(f"name one source, not {' and '.join(named)}")
        refuse_keys(self.path or "")
        if self.table is not None:
            refuse_no_name(self.table)
        if self.format is not None and self.path is None:
            raise ValueError(f"format goes with path, not with {named[0]}")
        if self.version is not None and self.sql is not None:
            raise ValueError("version goes with a Delta table or path; in sql write VERSION AS OF")
        if self.version is not None and self.format not in (None, "delta"):
            raise ValueError(f"version needs a Delta table; {self.format} files have no versions")
        if self.incremental and (self.sql is not None or self.format not in (None, "delta")):
            raise ValueError("incremental needs a Delta table or path: nothing else says what is new in it")
        if self.rescore is not None and not self.incremental:
            raise ValueError("rescore goes with incremental: true")
        valid_options(self.format, self.options)
        return self

    @property
    def file_options(self) -> dict[str, Any]:
        """The options of the files' format, under their one name each, as they are used."""
        return valid_options(self.format, self.options)

    @property
    def row_key(self) -> tuple[str, ...]:
        """The columns that tell one row from another: the key, and the place of a request's row."""
        places = PLACE_COLUMNS if self.format == "payload" else ()
        return tuple(dict.fromkeys((*self.key, *places)))


class ContractConfig(Part):
    """How far a column's type may be from the signature's."""

    policy: Literal["strict", "safe", "lenient"] = "safe"
    nulls: Literal["as_model", "forbid"] = "as_model"


class OutputConfig(Part):
    """Where the predictions go: exactly one of `table` and `path`."""

    table: str | None = Field(default=None, min_length=1)
    path: str | None = Field(default=None, min_length=1)
    mode: Mode = "error"
    columns: Annotated[Columns, BeforeValidator(valid_columns)] = "all"
    prediction: str = Field(default="prediction", min_length=1)
    flatten: bool = False
    replace_where: dict[str, Any] = Field(default_factory=dict)
    merge_keys: tuple[str, ...] = ()
    partition_by: tuple[str, ...] = ()
    cluster_by: tuple[str, ...] = ()
    evolve_schema: bool = False
    stamps: Annotated[Literal["all", "none"] | tuple[str, ...], BeforeValidator(valid_stamps)] = "all"

    @model_validator(mode="after")
    def _one_target(self) -> OutputConfig:
        if (self.table is None) == (self.path is None):
            raise ValueError("name where to write: table or path, one of the two")
        if self.table is not None and is_path(self.table):
            raise ValueError("table names a table, and what has a / in it is a path: write path")
        refuse_unwritable(self.location)
        if self.mode == "merge" and not self.merge_keys:
            raise ValueError("mode merge needs merge_keys")
        if self.mode == "replace_where" and not self.replace_where:
            raise ValueError("mode replace_where needs replace_where, such as {month: 12}")
        if self.merge_keys and self.mode != "merge":
            raise ValueError(f"merge_keys go with mode merge, not with {self.mode}")
        if self.replace_where and self.mode != "replace_where":
            raise ValueError(f"replace_where goes with the mode of that name, not with {self.mode}")
        for option in ("merge_keys", "partition_by", "cluster_by"):
            refuse_twice(option, getattr(self, option))
        if self.partition_by and self.cluster_by:
            raise ValueError("a table has partition_by or cluster_by, not both")
        if self.mode == "merge" and "run_id" not in self.stamped:
            raise ValueError("mode merge needs run_id among output.stamps: by it a run knows its rows again")
        return self

    @classmethod
    def at(cls, location: str) -> OutputConfig:
        """Returns the output that appends to the path or table of that name.

        Raises:
            ConfigurationError: If it is none that can be written.
        """
        try:
            if is_path(location):
                return cls(path=absolute(location), mode="append")
            return cls(table=location, mode="append")
        except ValidationError as exc:
            raise refusal(exc, cls, redact(location)) from None

    @property
    def stamped(self) -> tuple[str, ...]:
        """The stamps that its rows carry, in the order in which they are written."""
        if isinstance(self.stamps, str):
            return STAMPS if self.stamps == "all" else ()
        return tuple(name for name in STAMPS if name in self.stamps)

    @property
    def location(self) -> str:
        """The target's path or table name."""
        return self.path or self.table or ""

    @property
    def shown(self) -> str:
        """The target's absolute path, without secrets, or its table name."""
        return redact(absolute(self.path)) if self.path else self.location


class ErrorsConfig(Part):
    """What becomes of rows that fail."""

    threshold: Annotated[int | float, BeforeValidator(rows_or_ratio), AfterValidator(valid_threshold)] = 0
    quarantine: str | None = None
    inline: bool = False
    detail: Literal["code", "full"] = "code"
    bad_files: Literal["fail", "quarantine"] = "fail"

    @model_validator(mode="after")
    def _failed_rows_have_a_place(self) -> ErrorsConfig:
        if self.quarantine is not None and self.inline:
            raise ValueError("failed rows go to the quarantine or stay inline, not both")
        refuse_unwritable(self.quarantine or "")
        if self.threshold != 0 and self.quarantine is None and not self.inline:
            raise ValueError("a threshold other than 0 needs quarantine (a table or path) or inline: true")
        return self


class StagingConfig(Part):
    """Where a staged run waits, and how long a refused one is kept."""

    location: str | None = None
    keep: Annotated[str, AfterValidator(valid_duration)] = "7d"

    @field_validator("location")
    @classmethod
    def _writable(cls, value: str | None) -> str | None:
        refuse_unwritable(value or "")
        return value


class RecordConfig(Part):
    """Where runs are written down."""

    table: str | None = None
    mlflow: bool = False

    @field_validator("table")
    @classmethod
    def _writable(cls, value: str | None) -> str | None:
        refuse_unwritable(value or "")
        return value


class ScoringJob(Keys):
    """A whole job: the model, the input, the contract, the output and what surrounds them.

    `output` may be missing where nothing is written, as in `check` and `load_scorer`.
    """

    model: ModelConfig
    input: InputConfig
    contract: ContractConfig = ContractConfig()
    output: OutputConfig | None = None
    errors: ErrorsConfig = ErrorsConfig()
    audit: AuditConfig = AuditConfig()
    staging: StagingConfig = StagingConfig()
    record: RecordConfig = RecordConfig()
    vars: dict[str, str | int | float | bool | date | datetime | None] = Field(default_factory=dict)
    _as_written: ScoringJob | None = PrivateAttr(None)

    @model_validator(mode="before")
    @classmethod
    def _empty_sections(cls, values: Any) -> Any:
        # A section whose keys are all commented out is null in YAML.
        if not isinstance(values, dict):
            return values
        return {key: value for key, value in values.items() if value is not None or key in {"model", "input"}}

    @model_validator(mode="after")
    def _increments_have_a_mode(self) -> ScoringJob:
        if self.input.incremental and self.output is not None:
            if self.output.mode not in {"append", "merge"}:
                raise ValueError(f"input.incremental goes with output.mode append or merge, not {self.output.mode}")
            if self.input.rescore is not None and self.output.mode != "merge":
                raise ValueError("input.rescore needs output.mode merge: append would add rows that are there already")
        return self

    @model_validator(mode="after")
    def _last_runs_are_found(self) -> ScoringJob:
        if self.output is not None and "run_id" not in self.output.stamped:
            for check in ("rows_vs_last", "psi_vs_last"):
                if getattr(self.audit, check) is not None:
                    raise ValueError(
                        f"audit.{check} needs run_id among output.stamps: by it a run's rows are known again"
                    )
        return self

    @model_validator(mode="after")
    def _bad_files_have_a_place(self) -> ScoringJob:
        if self.errors.bad_files == "quarantine":
            if self.errors.quarantine is None:
                raise ValueError("errors.bad_files: quarantine needs errors.quarantine, beside which they are listed")
            if self.input.format in (None, "delta"):
                raise ValueError(
                    "errors.bad_files: quarantine goes with files: input.path and an input.format other than delta"
                )
        return self

    @classmethod
    def from_yaml(
        cls, path: str | Path, *, overrides: Mapping[str, Any] | None = None, variables: Mapping[str, Any] | None = None
    ) -> ScoringJob:
        """Reads a job file.

        Args:
            path: The YAML file. Relative paths in it start at its folder.
            overrides: Values by dotted key, such as ``{"output.mode": "append"}``, as ``--set`` gives them;
                relative paths in them start at the working directory.
            variables: Values for ``${…}``; text is what somebody typed, as ``--var`` gives it.

        Raises:
            ConfigurationError: If the file is missing, is no YAML, or describes no valid job.
        """
        values = yaml_file.read_values(
            Path(path),
            overrides=overrides or {},
            variables=variables or {},
            path_keys=PATH_KEYS,
            filling=yaml_file.Filling(SQL_KEYS, NAME_KEYS, partial(kind_of, cls)),
        )
        return cls.from_values(values, source=str(path), names={key: f"--set {key}" for key in overrides or ()})

    @classmethod
    def from_options(cls, overrides: Mapping[str, Any], *, names: Mapping[str, str] = _NO_NAMES) -> ScoringJob:
        """Builds a job from dotted keys alone; relative paths start at the working directory.

        Args:
            overrides: Values by dotted key.
            names: What an error calls a key, where that is not the key.

        Raises:
            ConfigurationError: If they describe no valid job.
        """
        values = yaml_file.apply_overrides({}, overrides, PATH_KEYS, Path.cwd())
        return cls.from_values(values, source="the options", names=names)

    @classmethod
    def from_values(cls, values: Mapping[str, Any], *, source: str, names: Mapping[str, str] = _NO_NAMES) -> ScoringJob:
        """Builds a job from nested plain values, as a job file holds them.

        Args:
            values: The keys of the job file.
            source: What the values are called in an error.
            names: What an error calls a key that did not come from there.

        Raises:
            ConfigurationError: With every problem that the values have.
        """
        try:
            return cls.model_validate(values)
        except ValidationError as exc:
            raise refusal(exc, cls, source, names) from None

    def fingerprint(self, script: str | None = None) -> str:
        """Returns a digest over what decides the run's result: two jobs with one fingerprint are the same job.

        Args:
            script: The digest of its scoring script, if it has one; read now by default.
        """
        return self.identity(script).current

    def identity(self, script: str | None = None) -> Fingerprint:
        """Returns the fingerprint, also as earlier versions of this package would have written it."""
        written = self._as_written
        own = fingerprint(self, self.model.script, script)
        return own if written is None else replace(own, short_names=written.identity(script))

    def renamed(self, parts: Mapping[str, Any]) -> ScoringJob:
        """Returns the job with parts in which tables have their whole names; it remembers how they were written."""
        job = self.model_copy(update=dict(parts))
        job._as_written = self
        return job
