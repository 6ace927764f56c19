"""What is said of a model's parameters, whose types are called what a person calls them."""

from __future__ import annotations

from typing import Any

import pytest
from mlflow.types import ParamSchema, ParamSpec
from mlflow.types.schema import AnyType, Array, DataType, Map, Object, Property

from spark_scoring.contract.params import check_params

PART = Property("part", Object([Property("a", Map(DataType.datetime)), Property("b", AnyType(), required=False)]))


@pytest.mark.parametrize(
    ("spec", "wrong", "expected"),
    [
        (ParamSpec("p", "string", "x"), 3, "string"),
        (ParamSpec("p", "long", [1], (-1,)), "x", "list of long"),
        (ParamSpec("p", Object([Property("by", DataType.double)]), {"by": 1.0}), 3, "object of by: double"),
        (ParamSpec("p", Object([Property("n", Array(DataType.long))]), {"n": [1]}), 3, "object of n: list of long"),
        (
            ParamSpec("p", Object([PART]), {"part": {"a": {}, "b": 1}}),
            3,
            "object of part: object of a: map of datetime, b: any type",
        ),
    ],
)
def test_a_parameter_s_type_is_spelled_as_a_person_says_it(spec: ParamSpec, wrong: Any, expected: str):
    schema = ParamSchema([spec])
    (default,) = check_params(schema, {})[1]
    params, (refused,) = check_params(schema, {"p": wrong})
    assert (default.wanted, refused.wanted) == (expected, expected)
    assert refused.message == f"the value is no {expected}"
    assert params == {}
