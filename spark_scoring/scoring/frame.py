"""A satisfied contract and a model's files become a lazy DataFrame of predictions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812
from pyspark.sql.types import StringType, StructField, StructType, TimestampType

from spark_scoring.contract import Contract
from spark_scoring.contract.row_faults import UNTYPED
from spark_scoring.jobs.parts import STAMPS
from spark_scoring.models.pinned import LocalModel
from spark_scoring.scoring import python_udf, spark_ml
from spark_scoring.scoring.row_key import RowKey
from spark_scoring.scoring.stamp import QueryStamp, Stamp
from spark_scoring.scoring.transformed import OnError
from spark_scoring.spark import sql

ERROR_TYPE = StructType([StructField(name, StringType()) for name in ("code", "stage", "message")])
_STAMP_TYPES = (StringType(), StringType(), TimestampType())
_TYPES = {**dict(zip(STAMPS, _STAMP_TYPES, strict=True)), "error": ERROR_TYPE}


def added_columns(prediction: str, on_error: OnError, stamps: Sequence[str] = STAMPS) -> tuple[str, ...]:
    """Returns the names of the columns that scoring adds: the prediction, the stamps, and maybe the error."""
    added = (prediction, *stamps)
    return added if on_error == "raise" else (*added, "error")


def result_schema(schema: StructType, contract: Contract) -> StructType:
    """Returns the schema of what `score_frame` gives, without running anything.

    Args:
        schema: The input's schema.
        contract: A contract without problems.
    """
    by_name = {column.name: column for column in schema.fields}
    stamps = [StructField(name, _TYPES[name]) for name in contract.stamps]
    return StructType([*(_as_written(by_name[name]) for name in contract.kept), *contract.prediction_fields(), *stamps])


def kept_schema(schema: StructType, contract: Contract) -> StructType:
    """Returns the schema of the input columns that the result keeps."""
    return StructType([schema[name] for name in contract.kept])


def score_frame(
    spark: SparkSession,
    df: DataFrame,
    model: LocalModel,
    contract: Contract,
    stamp: Stamp | QueryStamp | None,
    *,
    on_error: OnError,
    schema: StructType | None = None,
    detail: Literal["code", "full"] = "code",
    rest: str | None = None,
    end_after: int = -1,
    key: Sequence[str] = (),
) -> DataFrame:
    """Returns the kept columns of `df` and the added ones, lazily.

    Args:
        spark: The session.
        df: The rows, whose schema the contract accepted.
        model: The fetched model.
        contract: A contract without problems.
        stamp: What the rows are marked with, or None where they are not.
        on_error: Whether a row that fails ends the job or is reported in ``error``.
        schema: The schema of `df`, where Spark is not to be asked for it.
        detail: Whether a failure's message holds the exception's text, too.
        rest: The name of a column that holds, for a row that failed, all of its input columns as a struct.
        end_after: How many rows may fail in one task before it ends the job; any number with -1.
        key: The columns by which the row that ends the job is named, as far as there are such.
    """
    schema = df.schema if schema is None else schema
    named = RowKey.of(schema, key) if on_error == "raise" else None
    if model.is_spark_ml:
        scored = spark_ml.transform(spark, df, model, contract, on_error, key=named)
    else:
        scored = python_udf.transform(
            spark, df, model, contract, on_error, detail=detail, end_after=end_after, key=named
        )
    kept = [_kept(schema[name]) for name in contract.kept]
    marks = stamp.columns() if stamp is not None else {}
    stamps = [marks[name] for name in contract.stamps if name in marks]
    if on_error == "collect":
        stamps.append(scored.error)
    predictions = _predictions(contract, scored.values, scored.failed if on_error == "collect" else None)
    columns = zip((*contract.predictions, *contract.stamps), (*predictions, *stamps), strict=True)
    added = [value.alias(name) for name, value in columns]
    if rest is not None:
        whole = ", ".join(sql.quote(name) for name in schema.names)
        added.append(F.expr(f"CASE WHEN {scored.failed or 'false'} THEN struct({whole}) END").alias(rest))
    return scored.df.select(*kept, *added)


def _kept(own: StructField) -> Column:
    column = F.col(sql.quote(own.name))
    if UNTYPED not in own.metadata:
        return column
    # A column alone would keep its metadata in Spark 4.0, where none is named in its place.
    return F.coalesce(column).alias(own.name, metadata=_as_written(own).metadata)


def _as_written(field: StructField) -> StructField:
    """Returns a column of the input as the target gets it, without the metadata that reading adds."""
    metadata = {key: value for key, value in field.metadata.items() if key != UNTYPED}
    return StructField(field.name, field.dataType, field.nullable, metadata)


def _predictions(contract: Contract, values: Sequence[str], failed: str | None) -> list[Column]:
    """Returns the prediction columns: one for each output, or a struct of them, null where a row failed."""
    if len(values) == len(contract.predictions):
        return [F.expr(value) for value in values]
    names = [sql.literal(name) for name, _ in contract.named_outputs()]
    struct = f"named_struct({', '.join(f'{name}, {value}' for name, value in zip(names, values, strict=True))})"
    return [F.expr(f"CASE WHEN {failed} THEN NULL ELSE {struct} END" if failed else struct)]
