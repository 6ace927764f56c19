"""What a Parquet file's footer says of its columns, where it holds a type that Spark has none for."""

import io
from collections.abc import Iterator
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

Batches = Iterator[Any]
COLUMNS = pa.schema([(name, pa.string()) for name in ("path", "name", "type", "lacking", "nanos", "problem")])


class _Unknown(Exception):  # noqa: N818  (a type that Spark lacks)
    pass


class Column(NamedTuple):
    """A column as Spark would read it.

    Attributes:
        name: Its name.
        type: The Spark type, or None.
        lacking: The file's type, where Spark has none for it.
        nanos: ``utc`` or ``local`` where it holds nanoseconds, which Spark reads as numbers.
    """

    name: str
    type: str | None = None
    lacking: str | None = None
    nanos: str | None = None


def columns_of(files: Batches) -> Batches:
    """Maps batches of Parquet files to a row for each of their columns; or to one that says what is wrong."""
    entries = []
    for batch in files:
        held = dict(zip(batch.schema.names, batch.columns, strict=True))
        for row in range(batch.num_rows):
            path, content = held["path"][row].as_py(), held["content"][row].as_py()
            try:
                entries += [{"path": path, **column._asdict()} for column in read_footer(content)]
            except Exception:
                entries.append({"path": path, "problem": "it is no Parquet file, or not all of it"})
    yield pa.RecordBatch.from_pylist(entries, schema=COLUMNS)


def read_footer(content: bytes) -> list[Column]:
    """Returns the columns of a Parquet file."""
    file = pq.ParquetFile(io.BytesIO(content))
    legacy = {
        leaf.path for leaf in (file.schema.column(n) for n in range(len(file.schema))) if leaf.physical_type == "INT96"
    }
    return [_column(field, legacy) for field in file.schema_arrow]


def _column(field: Any, legacy: set[str]) -> Column:
    if field.name in legacy:
        return Column(field.name, "TIMESTAMP")
    if pa.types.is_timestamp(field.type) and field.type.unit == "ns":
        return Column(field.name, "BIGINT", nanos="utc" if field.type.tz else "local")
    try:
        return Column(field.name, _spark_type(field.type))
    except _Unknown as exc:
        return Column(field.name, lacking=str(exc))


_NAMES = {
    pa.bool_(): "BOOLEAN",
    pa.int8(): "TINYINT",
    pa.int16(): "SMALLINT",
    pa.int32(): "INT",
    pa.int64(): "BIGINT",
    pa.uint8(): "SMALLINT",
    pa.uint16(): "INT",
    pa.uint32(): "BIGINT",
    pa.uint64(): "DECIMAL(20,0)",
    pa.float32(): "FLOAT",
    pa.float64(): "DOUBLE",
    pa.string(): "STRING",
    pa.large_string(): "STRING",
    pa.binary(): "BINARY",
    pa.large_binary(): "BINARY",
    pa.date32(): "DATE",
    pa.date64(): "DATE",
    pa.null(): "INT",
}
_MOST_DIGITS = 38


def _spark_type(dtype: Any) -> str:
    if dtype in _NAMES:
        return _NAMES[dtype]
    if pa.types.is_timestamp(dtype) and dtype.unit != "ns":
        return "TIMESTAMP" if dtype.tz else "TIMESTAMP_NTZ"
    if pa.types.is_fixed_size_binary(dtype):
        return "BINARY"
    if pa.types.is_duration(dtype):
        return "BIGINT"
    if pa.types.is_decimal(dtype) and dtype.precision <= _MOST_DIGITS:
        return f"DECIMAL({dtype.precision},{dtype.scale})"
    if pa.types.is_dictionary(dtype):
        return _spark_type(dtype.value_type)
    if pa.types.is_map(dtype):
        return f"MAP<{_spark_type(dtype.key_type)}, {_spark_type(dtype.item_type)}>"
    if pa.types.is_list(dtype) or pa.types.is_large_list(dtype) or pa.types.is_fixed_size_list(dtype):
        return f"ARRAY<{_spark_type(dtype.value_type)}>"
    if pa.types.is_struct(dtype):
        fields = [dtype.field(number) for number in range(dtype.num_fields)]
        inner = (f"`{field.name.replace('`', '``')}`: {_spark_type(field.type)}" for field in fields)
        return f"STRUCT<{', '.join(inner)}>"
    raise _Unknown({"halffloat": "FLOAT16"}.get(str(dtype), str(dtype).upper()))
