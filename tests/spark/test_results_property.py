"""Generated results through Spark: what the worker sends becomes exactly the model's value, many cases in one frame."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from pyspark.sql import Row, SparkSession
from pyspark.sql import functions as F  # noqa: N812

from spark_scoring.contract.outputs import Output
from spark_scoring.worker.protocol import OutputColumn
from spark_scoring.worker.results import encode
from tests.sweeps import swept
from tests.unit.results import BAD, Returned, columns
from tests.unit.test_results_property import one_output, same

# So many outputs are decoded in one frame, a column each.
WIDTH = 100
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc)
Case = tuple[dict[str, Any], list[Returned], str]


def cases(count: int) -> list[Case]:
    """Returns the same `count` cases each time."""
    drawn: list[Case] = []

    @given(case=one_output())
    @settings(
        max_examples=count,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def draw(case: Case) -> None:
        drawn.append(case)

    draw()
    return drawn[:count]


def decoded(spark: SparkSession, part: list[Case]) -> Iterator[tuple[Case, Mapping[int, str], list[Any]]]:
    """Yields each case with the rows that failed, and what Spark has for the others."""
    outputs = [Output(None, spec) for spec, _, _ in part]
    encoded = []
    for spec, rows, form in part:
        result = columns([row.spelling for row in rows])[form]
        encoded.append(encode(result, [OutputColumn(None, spec)], len(rows))[0])
    longest = max(len(rows) for _, rows, _ in part)
    # Through Arrow, as what a pandas UDF returns: a NaN of pandas is a null of Spark's there, and there alone.
    table = pd.DataFrame({"row": pd.Series(range(longest), dtype="int32")})
    sent = {f"c{n}": pd.Series(np.resize(values.values, longest)) for n, values in enumerate(encoded)}
    schema = ", ".join(f"c{number} {one.transport_type.simpleString()}" for number, one in enumerate(outputs))
    frame = spark.createDataFrame(pd.concat([table, pd.DataFrame(sent)], axis=1), f"row int, {schema}")
    exprs = [F.expr(one.decode(f"c{number}", "UTC")).alias(f"c{number}") for number, one in enumerate(outputs)]
    found = frame.select("row", *exprs).orderBy("row").collect()
    for number, (case, values) in enumerate(zip(part, encoded, strict=True)):
        yield case, values.failures, [row[f"c{number}"] for row in found]


def plain(value: Any) -> Any:
    """What Spark gives, as the generator spells what it expects."""
    if isinstance(value, Row):
        return {name: plain(one) for name, one in value.asDict().items()}
    if isinstance(value, dict):
        return {name: plain(one) for name, one in value.items()}
    if isinstance(value, list):
        return [plain(one) for one in value]
    if isinstance(value, dt.datetime):
        return (value.astimezone(dt.timezone.utc) - EPOCH) // dt.timedelta(microseconds=1)
    return bytes(value) if isinstance(value, bytearray) else value


@pytest.mark.timeout(7200)
@pytest.mark.parametrize("count", swept([60, 2000]))
def test_what_spark_decodes_is_what_the_model_returned(count, spark):
    drawn = cases(count)
    assert len(drawn) == count
    compared = 0
    for start in range(0, count, WIDTH):
        for (spec, rows, form), failures, found in decoded(spark, drawn[start : start + WIDTH]):
            for number, row in enumerate(rows):
                assert (number in failures) == (row.expected is BAD), (spec, form, number)
                if row.expected is not BAD:
                    compared += 1
                    assert same(plain(found[number]), row.expected), (spec, form, found[number], row.expected)
    assert compared > count


def test_a_field_of_the_name_that_spark_has_for_malformed_text_is_kept(spark):
    spec = {"type": "object", "of": {"_corrupt_record": {"type": "string"}, "p": {"type": "double"}}}
    value = {"_corrupt_record": "x", "p": 1.5}
    ((_, failures, found),) = decoded(spark, [(spec, [Returned(value, value)], "list")])
    assert (failures, [plain(one) for one in found]) == ({}, [value])
