"""SQL that makes of a column what a model input takes, as far as Spark has a way: what remedies tell to write.

Which casts there are is Spark's ANSI mode's to say (``Cast.canAnsiCast``); a test tries each of these on Spark itself.
"""

from __future__ import annotations

from spark_scoring.contract.casts import SPARK_TYPES

_TYPES = {**SPARK_TYPES, "datetime": "TIMESTAMP"}
_NUMBERS = {"tinyint", "smallint", "int", "bigint", "float", "double", "decimal"}
_WHOLE = {
    "void": "CAST(NULL AS {type})",
    "variant": "variant_get({column}, '$', '{type}')",
    "string": "CAST({column} AS {type})",
}
# By the kind of what is wanted, for each type of column.
_TO_NUMBER = {
    **dict.fromkeys(_NUMBERS | {"boolean", "timestamp"}, "CAST({column} AS {type})"),
    "date": "CAST(unix_date({column}) AS {type})",
    "timestamp_ntz": "CAST(CAST({column} AS TIMESTAMP) AS {type})",
    "interval": "CAST(CAST({column} AS BIGINT) AS {type})",
}
_TO = {
    "string": {"binary": "decode({column}, 'UTF-8')"},
    "boolean": dict.fromkeys(_NUMBERS, "CAST({column} AS {type})"),
    "datetime": dict.fromkeys(_NUMBERS | {"date", "timestamp", "timestamp_ntz"}, "CAST({column} AS {type})"),
    "binary": {},
    **dict.fromkeys(("integer", "long", "float", "double"), _TO_NUMBER),
}
# What Spark makes of anything, where nothing better is known.
_OTHERWISE = {"string": "CAST({column} AS STRING)", "binary": "encode(CAST({column} AS STRING), 'UTF-8')"}


def conversion(column: str, source: str, wanted: str) -> str | None:
    """Returns SQL that makes a value that an input takes, or None where Spark has no way.

    Args:
        column: SQL for the column.
        source: The column's type as the matrix names it; ``calendar interval`` for one that Spark casts to text alone.
        wanted: The name of an MLflow ``DataType``; of anything else, only a vector becomes an array.
    """
    if wanted not in _TYPES:
        return f"vector_to_array({column})" if source == "vector" else None
    form = _WHOLE.get(source) or _TO[wanted].get(source) or _OTHERWISE.get(wanted)
    return form.format(column=column, type=_TYPES[wanted]) if form is not None else None
