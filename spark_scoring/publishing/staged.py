"""Publishing through a staging table: the scored rows wait until counts, threshold and audit allow them to go on."""

from __future__ import annotations

import re
import shlex
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from functools import partial

from pyspark.sql import DataFrame, SparkSession

from spark_scoring.delta.history import Commit, find_run
from spark_scoring.delta.metadata import RunMetadata
from spark_scoring.delta.partition_values import partition_columns
from spark_scoring.delta.table import Target, describe_target, table_name
from spark_scoring.delta.table_write import TableWrite
from spark_scoring.errors import AuditError, RowsFailedError, ScoringError, TargetError
from spark_scoring.jobs.audit_config import AuditConfig
from spark_scoring.jobs.config import ErrorsConfig, OutputConfig, StagingConfig
from spark_scoring.publishing import gates
from spark_scoring.publishing.audit import Finding
from spark_scoring.publishing.effects import Note, each_once, removed, table_effects, withheld
from spark_scoring.publishing.exactly_once import write_once, write_rows
from spark_scoring.publishing.published import AlreadyPublished, OpenedRun, Outcome, Published
from spark_scoring.publishing.quarantine import SetAside
from spark_scoring.publishing.staged_rows import REST, StagedRows, read_staged, staged_contract
from spark_scoring.publishing.staging_table import (
    StagingMetadata,
    drop_expired,
    drop_staging,
    link_problems,
    mark_refused,
    staging_place,
    staging_place_of_version_1,
)
from spark_scoring.reading.batch import Batch
from spark_scoring.reading.source import QUARANTINE
from spark_scoring.redaction import redact
from spark_scoring.scoring.frame import score_frame
from spark_scoring.spark.batches import full_batches
from spark_scoring.spark.progress import spark_step

# Nobody looks for single rows in a staging table.
_WITHOUT_STATISTICS = {"delta.dataSkippingNumIndexedCols": "0"}
_OVERTAKEN = frozenset({"written_by_another_attempt", "target_exists", "target_conflict"})


@dataclass(frozen=True)
class Staged:
    """Publishes through a staging table.

    Attributes:
        output: Where the rows go in the end, and how.
        staging: Where they wait, and how long.
        errors: What becomes of rows that fail.
        aside: Where they are set aside.
        audit: The checks.
        key: The columns by which ``audit.reconcile`` compares rows.
        row_key: The columns by which a failed row is named.
    """

    output: OutputConfig
    staging: StagingConfig
    errors: ErrorsConfig
    aside: SetAside
    audit: AuditConfig
    key: tuple[str, ...] = ()
    row_key: tuple[str, ...] = ()

    def describe(self) -> str:
        """Returns how rows are published, for people."""
        failed = ", failed rows stay inline" if self.errors.inline else ""
        if self.aside.rows is not None:
            failed = f", failed rows to {redact(self.aside.rows.location)}"
        return f"staged, published within a threshold of {self.errors.threshold}{failed}"

    def problems(self) -> list[ScoringError]:
        """Returns what is wrong with the place where rows would wait; looks at no table."""
        return [*link_problems(staging_place(self.output, self.staging, "run"))]

    def find(self, spark: SparkSession, run_id: str) -> StagedRows | None:
        """Returns the rows that a run staged and did not publish, or None."""
        for place_of in (staging_place, staging_place_of_version_1):
            place = place_of(self.output, self.staging, run_id)
            commit = find_run(spark, table_name(place), run_id)
            if commit is not None:
                return read_staged(
                    spark, place, describe_target(spark, place, "the staging table"), commit, self.row_key
                )
        return None

    def publish(self, spark: SparkSession, run: OpenedRun, on_staged: Callable[[StagedRows], None]) -> Outcome:
        """Scores the rows into the staging table, and publishes them if they are allowed to be.

        Args:
            spark: The session.
            run: The run.
            on_staged: Is told of the staged rows, before anything decides on them.

        Raises:
            TargetError: If the target would not take a row; none is scored then.
            ScoringError: `RowsFailedError` or `AuditError` if the rows are refused: then they wait.
        """
        gates.refuse_rows(run, self.output)
        rows, count = run.batch.counted(spark)
        staged = self._stage(spark, run, rows)
        on_staged(staged)
        return self.publish_if_allowed(spark, staged, run.target, lambda: run.batch, count())

    def _stage(self, spark: SparkSession, run: OpenedRun, rows: DataFrame) -> StagedRows:
        """Scores rows into the run's staging table.

        Another attempt of the same run may have been quicker: then its rows are the run's, and these are dropped.
        """
        threshold, metadata = self.errors.threshold, run.metadata
        scored = score_frame(
            spark,
            rows,
            run.model,
            staged_contract(run.contract, rows),
            None,
            on_error="collect",
            detail=self.errors.detail,
            end_after=threshold if isinstance(threshold, int) else -1,
            # Also where all columns are kept: a column that is nearly always null is found and read in no time.
            rest=REST if self.aside.rows is not None else None,
        )
        place = staging_place(self.output, self.staging, metadata.run_id)
        drop_expired(spark, place, self.staging.keep)
        table = describe_target(spark, place, "the staging table")
        plan = _plan(run)
        write = TableWrite(scored, table, place, plan, plan.transaction_id, _WITHOUT_STATISTICS)
        scoring = spark_step(spark, "scoring", run.batch.rows_in)
        try:
            with scoring, full_batches(spark), run.batch.explaining_failures(spark):
                commit = write_rows(spark, write)
        except ScoringError as exc:
            if exc.code not in _OVERTAKEN:
                raise
            quicker = find_run(spark, table.name, metadata.run_id)
            if quicker is None:
                raise ScoringError(
                    f"the staging table {redact(place.location)} is gone",
                    code="staging_gone",
                    remedy="run it again with the same run id; nothing was published twice",
                ) from exc
            commit = quicker
        return read_staged(spark, place, table, commit, self.row_key)

    def publish_if_allowed(
        self,
        spark: SparkSession,
        staged: StagedRows,
        target: Target,
        batch: Callable[[], Batch],
        rows_in: int | None,
    ) -> Outcome:
        """Publishes staged rows that the count of rows in, the threshold and the audit allow.

        Args:
            spark: The session.
            staged: The rows.
            target: The target as it is.
            batch: Opens what the run scored, where that is needed.
            rows_in: How many rows were read, or None where nothing could tell.

        Raises:
            TargetError: If the target would not take a row; none is scored then.
            ScoringError: `RowsFailedError` or `AuditError` if the rows are refused: then they wait.
        """
        gates.check_row_count(rows_in, staged.rows, redact(staged.place.location))
        try:
            gates.enforce_threshold(staged, self.errors.threshold)
            read_again = lambda: (batch().source.df, self.key)  # noqa: E731
            with spark_step(spark, "auditing"):
                findings = gates.run_audit(spark, staged, self.audit, target, read_again)
            gates.enforce_audit(staged, findings)
        except (RowsFailedError, AuditError):
            mark_refused(spark, staged.place)
            raise
        return self.publish_staged(spark, staged, target, batch, (rows_in, findings))

    def publish_staged(
        self,
        spark: SparkSession,
        staged: StagedRows,
        target: Target,
        batch: Callable[[], Batch],
        checked: tuple[int | None, tuple[Finding, ...]] = (None, ()),
    ) -> Outcome:
        """Publishes staged rows: the failed ones to the quarantine first, then the good ones to the target.

        Each table gets one commit under an id of the run's, so a repetition writes nothing twice.

        Args:
            spark: The session.
            staged: The rows.
            target: The target as it is.
            batch: Opens what the run scored, where that is needed.
            checked: How many rows were read, as far as that was counted, and what the audit found.

        Raises:
            TargetError: If the target does not take the rows.
        """
        stamps = self.output.stamped
        rows = staged.all(stamps) if self.errors.inline else staged.good(stamps)
        if self.output.mode == "merge":
            existing = spark.table(target.name) if target.exists else None
            show = self.errors.detail == "full"
            gates.enforce_merge_keys(rows, self.output.merge_keys, existing, show_values=show)
        gates.refuse_lost_values(rows, partition_columns(target, self.output, rows.schema))
        increment = staged.metadata.increment
        deleted = batch().deleted_keys if increment is not None else None
        metadata = staged.metadata.of_publication(str(uuid.uuid4()), staged.failed)
        with spark_step(spark, "setting failed rows aside"):
            notes = self._set_aside(spark, staged, replace(metadata, target=self.output.shown))
        if increment is not None:
            # The quarantine stays the run's own: a run that died after writing it must not be in another's way.
            metadata = replace(metadata, transaction=increment.claim)
            deleted = self._without_prediction(staged, rows, deleted)
        write = TableWrite(rows, target, self.output, metadata, metadata.transaction_id, deleted_keys=deleted)
        # A merge reads the target as well.
        with spark_step(spark, "publishing", staged.rows if self.output.mode != "merge" else None):
            commit = self._written(spark, write, set_aside=bool(staged.failed or staged.metadata.bad_files))
        self.tidy_up(spark, staged)
        if commit.metadata.attempt != metadata.attempt:
            return AlreadyPublished(commit)
        rows_in, findings = checked
        effects = table_effects(target, self.output, rows.schema, "the target")
        notes = each_once([*effects, *notes, *self._withheld(staged, commit)])
        return Published(commit, metadata.rows_in if rows_in is None else rows_in, findings, notes)

    def _written(self, spark: SparkSession, write: TableWrite, *, set_aside: bool) -> Commit:
        """Writes the target; where it does not take the rows, says what was written before, and how to go on."""
        try:
            return write_once(spark, write)
        except TargetError as exc:
            if not set_aside or self.aside.rows is None:
                raise
            run_id = shlex.quote(write.metadata.run_id)
            mend = re.sub("^nothing was (?:written|published); | with the same run id$", "", exc.remedy or "")
            raise TargetError(
                exc.message,
                code=exc.code,
                available=exc.available,
                label=exc.label,
                remedy=f"the target is as it was, and what failed is in {self.aside.rows.shown} already; {mend}, with "
                f"--run-id {run_id}: it goes on from there, and nothing is set aside twice",
            ) from exc

    def _withheld(self, staged: StagedRows, commit: Commit) -> Iterator[str]:
        """Yields which rows are not in the target, or not any more."""
        failed = 0 if self.errors.inline else staged.failed
        yield from withheld(failed, self.aside.rows, len(staged.metadata.bad_files), self.aside.files)
        yield from removed(commit.rows_deleted, self.output)

    def _set_aside(self, spark: SparkSession, staged: StagedRows, metadata: RunMetadata) -> tuple[Note, ...]:
        """Lists the files that were left out, and puts the rows that failed into the quarantine.

        Returns:
            What that did beside, a line each.
        """
        files, quarantine = self.aside.files, self.aside.rows
        notes: tuple[Note, ...] = ()
        once = partial(_write_shared, spark, metadata)
        if staged.metadata.bad_files and files is not None:
            listed = [
                {field.name: getattr(file, field.name) for field in fields(file)} for file in staged.metadata.bad_files
            ]
            rows = spark.createDataFrame(listed, "path string, code string, message string")
            notes += once(rows.select("*", *staged.stamps()), files, "the list of files left out")
        if quarantine is not None and staged.failed:
            notes += once(staged.bad(), quarantine, "the quarantine", properties={QUARANTINE: "true"})
        return notes

    def _without_prediction(self, staged: StagedRows, rows: DataFrame, deleted: DataFrame | None) -> DataFrame | None:
        """Adds the keys of rows that failed, whose earlier prediction is of a row that is no more."""
        if self.output.mode != "merge":
            return None
        keys = self.output.merge_keys
        if staged.failed and not self.errors.inline:
            failed = staged.keys_without_prediction(keys)
            deleted = failed if deleted is None else deleted.union(failed)
        return deleted.join(rows, list(keys), "left_anti").distinct() if deleted is not None else None

    def tidy_up(self, spark: SparkSession, published: StagedRows) -> None:
        """Notes which quarantined rows a replay scored, and removes the staging table."""
        resolved = published.resolved()
        if resolved is not None and self.aside.resolved is not None:
            metadata = published.metadata.of_publication(published.metadata.attempt, published.failed)
            _write_shared(spark, metadata, resolved, self.aside.resolved, "the list of rows scored again")
        drop_staging(spark, published.place)


def _plan(run: OpenedRun) -> StagingMetadata:
    """Returns what the commit of the staging table says."""
    known = {field.name: getattr(run.metadata, field.name) for field in fields(run.metadata)}
    files = tuple(replace(file, path=redact(file.path)) for file in run.batch.bad_files)
    return StagingMetadata(**{**known, "predictions": tuple(run.contract.predictions)}, bad_files=files)


def _write_shared(
    spark: SparkSession,
    metadata: RunMetadata,
    rows: DataFrame,
    place: OutputConfig,
    kind: str,
    *,
    properties: dict[str, str] | None = None,
) -> tuple[Note, ...]:
    """Appends a run's rows once to a table that jobs may share, also jobs whose runs have one id.

    Returns:
        What that did beside, a line each.
    """
    table = describe_target(spark, place, kind)
    transaction = f"{metadata.transaction_id}/{metadata.job[-16:]}"
    earlier = find_run(spark, table.name, metadata.run_id, metadata.is_of_same_job)
    if earlier is not None and earlier.metadata.scored_at == metadata.scored_at:
        return ()  # by an attempt that died afterwards
    if earlier is not None:  # the run's target was dropped since, and its rows are scored anew
        transaction = f"{transaction}/{metadata.scored_at}"
    write_once(spark, TableWrite(rows, table, place, metadata, transaction, properties or {}))
    return table_effects(table, place, rows.schema, kind)
