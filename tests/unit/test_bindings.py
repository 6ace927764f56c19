"""Which column serves which input, and what a refusal advises: each remedy is tried."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Callable
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
import yaml
from mlflow.models import ModelSignature, infer_signature
from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema, TensorSpec
from mlflow.types.schema import AnyType, Array, Map, Object, Property
from pyspark.sql.types import LongType, MapType, StringType, StructField, StructType

from spark_scoring.contract import Terms, check_contract
from spark_scoring.contract.hints import HintedSignature
from spark_scoring.worker.arguments import pack, unpack
from spark_scoring.worker.frames import build_input
from spark_scoring.worker.protocol import InputColumn
from tests.ids import shown

DOUBLE = Schema([ColSpec("double")])
ITEM = Object([Property("i", DataType.long), Property("j", DataType.long)])


def struct(**fields: Any) -> StructType:
    """A schema of Spark's own JSON, which needs no JVM: text for a type, a dict for a struct, a list for an array."""

    def kind(given: Any) -> Any:
        if isinstance(given, dict):
            return {"type": "struct", "fields": [field(name, one) for name, one in given.items()]}
        if isinstance(given, list):
            return {"type": "array", "elementType": kind(given[0]), "containsNull": True}
        return given

    def field(name: str, given: Any) -> dict[str, Any]:
        return {"name": name, "type": kind(given), "nullable": True, "metadata": {}}

    return StructType.fromJson(kind(fields))


def check(schema: StructType, *inputs: Any, outputs: Schema | None = DOUBLE, **terms: Any) -> Any:
    return check_contract(schema, ModelSignature(Schema(list(inputs)), outputs), Terms(**terms))


def codes(contract: Any) -> list[str]:
    return [problem.code for problem in contract.problems]


def hinted(*inputs: Any, defaults: Callable[[], list[str]] = list) -> HintedSignature:
    return HintedSignature(ModelSignature(Schema(list(inputs)), DOUBLE), defaults)


def applied(remedy: str) -> dict[str, Any]:
    """A remedy as a person pastes it: ``section.key: value``, without what stands in brackets behind it."""
    key, _, value = re.sub(r"\s{3}\(.*\)$", "", remedy).partition(": ")
    return {key: yaml.safe_load(value)}


# The input without a name.


@pytest.mark.parametrize(
    ("spec", "column"),
    [
        (ColSpec(ITEM), {"i": "long", "j": "long"}),
        (ColSpec("long"), "long"),
        (ColSpec(Array(DataType.long)), ["long"]),
        (ColSpec(AnyType()), ["string"]),
    ],
    ids=str,
)
def test_an_input_without_a_name_is_the_only_column_beside_the_key(spec, column):
    contract = check(struct(id="long", payload=column), spec, key=["ID"])
    assert (codes(contract), contract.form) == ([], "unnamed")
    assert [(one.name, one.column) for one in contract.columns] == [("0", "payload")]
    assert [one.status for one in contract.verdicts if one.column == "payload"] == ["ok"]


def test_an_input_without_a_name_is_not_guessed_among_several_and_the_remedy_works():
    schema = struct(id="long", payload={"i": "long", "j": "long"})
    (problem,) = check(schema, ColSpec(ITEM)).problems
    assert (problem.code, problem.remedy) == ("unnamed_input", 'input.columns: {"0": payload}')
    columns = applied(problem.remedy)["input.columns"]
    assert check(schema, ColSpec(ITEM), columns=columns).ok


PLAIN = Object([Property("a", DataType.long), Property("b", DataType.string, required=False)])


@pytest.mark.parametrize(
    ("columns", "fields", "mapped"),
    [
        ({"a": "long", "b": "string"}, {"a", "b"}, {}),
        ({"b": "string", "A": "integer", "other": "date"}, {"a", "b"}, {}),
        ({"a": "long"}, {"a"}, {}),
        ({"x": "long", "b": "string"}, {"a", "b"}, {"a": "x"}),
        ({"a": "long", "b": "string", "s": {"other": "long"}}, {"a", "b"}, {}),
    ],
)
def test_an_item_of_type_hints_is_made_of_the_columns_of_its_fields(columns, fields, mapped):
    terms = Terms(key=["id"], columns=mapped)
    contract = check_contract(struct(id="long", **columns), hinted(ColSpec(PLAIN)), terms)
    assert (codes(contract), contract.form) == ([], "unnamed")
    (item,) = contract.columns
    assert (item.name, item.spec["type"], set(item.spec["of"]["of"])) == ("0", "json", fields)
    assert [check.message for check in item.checks if check.code == "null_in_required"] == ["a is null"]
    statuses = {one.column: one.status for one in contract.verdicts}
    assert statuses["a"] in ("ok", "cast")
    made = build_input(
        pd.DataFrame({"x": ['{"a": 9007199254740993, "b": null}']}), [InputColumn("0", item.spec)], "unnamed"
    )
    assert made[0][0]["a"] == 2**53 + 1
    assert type(made[0][0]["a"]) is int


def test_a_key_may_be_a_field_of_an_item():
    contract = check_contract(struct(a="long", b="string"), hinted(ColSpec(PLAIN)), Terms(key=["a"]))
    assert (codes(contract), [one.column for one in contract.columns]) == ([], ["a"])


def test_a_column_of_whole_items_is_not_taken_apart_beside_columns_of_its_fields():
    schema = struct(a="long", b="string", item={"a": "long"})
    (problem,) = check_contract(schema, hinted(ColSpec(PLAIN)), Terms()).problems
    assert (problem.code, problem.remedy) == ("unnamed_input", 'input.columns: {"0": item}')
    assert check_contract(schema, hinted(ColSpec(PLAIN)), Terms(columns={"0": "item"})).ok
    assert check_contract(schema, hinted(ColSpec(PLAIN)), Terms(columns={"a": "a"})).ok


def test_a_field_that_a_column_does_not_fit_is_refused_by_itself_and_the_remedy_works():
    schema, signature = struct(a="double", b="string"), hinted(ColSpec(PLAIN))
    (problem,) = check_contract(schema, signature, Terms()).problems
    assert (problem.column, problem.code) == ("a", "type_mismatch")
    policy = applied(problem.remedy)["contract.policy"]
    assert check_contract(schema, signature, Terms(policy=policy)).ok


def test_a_field_without_a_column_is_missing_unless_the_model_has_a_default():
    schema = struct(id="long", b="string")
    (problem,) = check_contract(schema, hinted(ColSpec(PLAIN)), Terms()).problems
    assert (problem.column, problem.code) == ("a", "missing_column")
    assert check_contract(schema, hinted(ColSpec(PLAIN), defaults=lambda: [".a"]), Terms()).ok


def test_an_item_of_which_no_field_has_a_column_names_columns_that_fit_and_the_remedy_works():
    schema, signature = struct(x="string", amount="long"), hinted(ColSpec(PLAIN))
    (problem,) = check_contract(schema, signature, Terms()).problems
    assert (problem.code, problem.remedy) == ("unnamed_input", "input.columns: {a: amount}")
    assert check_contract(schema, signature, Terms(columns=applied(problem.remedy)["input.columns"])).ok


def test_the_strings_of_a_text_file_are_what_the_fields_say():
    schema = struct(a="string", b="string")
    assert check_contract(schema, hinted(ColSpec(PLAIN)), Terms(textual=True)).ok
    assert not check_contract(schema, hinted(ColSpec(PLAIN)), Terms()).ok


@pytest.mark.parametrize(
    ("wanted", "remedy"),
    [
        (Map(DataType.long), "input.sql: SELECT `id`, map('a', `a`, 'n', CAST(`n` AS BIGINT)) AS item FROM …"),
        (Map(AnyType()), "input.sql: SELECT `id`, named_struct('a', `a`, 'n', `n`, 'b', `b`) AS item FROM …"),
        (Array(DataType.long), "input.sql: SELECT `id`, array(`a`, CAST(`n` AS BIGINT)) AS item FROM …"),
        (PLAIN, "input.sql: SELECT `id`, named_struct('a', `a`, 'b', `b`) AS item FROM …"),
        (DataType.binary, "input.sql: SELECT `id`, encode(CAST(`a` AS STRING), 'UTF-8') AS item FROM …"),
    ],
    ids=str,
)
def test_where_no_column_fits_an_input_without_a_name_the_remedy_makes_one(wanted, remedy):
    (problem,) = check(struct(id="long", a="long", n="integer", b="string"), ColSpec(wanted), key=["id"]).problems
    assert (problem.code, problem.remedy) == ("unnamed_input", remedy)


@pytest.mark.parametrize("hint", [False, True])
def test_a_struct_is_a_map_of_anything(hint):
    signature = hinted(ColSpec(Map(AnyType()))) if hint else ModelSignature(Schema([ColSpec(Map(AnyType()))]), DOUBLE)
    contract = check_contract(struct(x={"a": "long", "b": ["string"]}), signature, Terms())
    assert contract.ok
    made = build_input(
        pd.DataFrame({"x": ['{"a": 1, "b": ["x", null]}']}), [InputColumn("0", contract.columns[0].spec)], "unnamed"
    )
    assert made[0][0] == {"a": 1, "b": ["x", None]}
    assert [check.message for check in contract.columns[0].checks] == ["x is null"]


def test_a_column_of_its_position_s_name_goes_first():
    contract = check(struct(**{"0": "long", "x": "long"}), ColSpec("long"))
    assert [one.column for one in contract.columns] == ["0"]


# Names that are no text.


def test_the_frame_has_the_signature_s_own_labels():
    data = pd.DataFrame(np.array([[1.0, 2.0], [3.0, 4.0]]))
    signature = infer_signature(data, [1.0, 2.0])
    contract = check_contract(struct(**{"1": "double", "0": "double"}), signature, Terms())
    assert contract.ok
    columns = [InputColumn(one.name if one.label is None else one.label, one.spec) for one in contract.columns]
    made = build_input(pd.DataFrame({"x": [1.0, 3.0], "y": [2.0, 4.0]}), columns, contract.form)
    pd.testing.assert_frame_equal(made, data, check_column_type=False)
    assert list(made.columns) == [0, 1]


@pytest.mark.parametrize("labels", [[0, "b"], [0.5, 1.5], [7, 3], [True, False]], ids=str)
def test_other_labels_than_text_stay_what_they_are(labels):
    signature = ModelSignature(Schema([ColSpec("double", label) for label in labels]), DOUBLE)
    contract = check_contract(struct(**{str(label): "double" for label in labels}), signature, Terms())
    assert [one.name if one.label is None else one.label for one in contract.columns] == labels


def test_labels_that_are_the_same_text_are_refused():
    contract = check(struct(**{"0": "double"}), ColSpec("double", "0"), ColSpec("double", 0))
    assert codes(contract) == ["duplicate_input"]


def test_inputs_that_differ_in_the_case_of_letters_do_not_share_a_column_unless_that_is_said():
    table, inputs = struct(a="double", b="double"), [ColSpec("double", name) for name in ("a", "A", "b")]
    contract = check(table, *inputs)
    assert codes(contract) == ["duplicate_input"]
    mended = applied(contract.problems[0].remedy)
    assert mended == {"input.columns": {"A": "OTHER_COLUMN"}}
    for other in ("b", "a"):
        bound = check(table, *inputs, columns={"A": other})
        assert [(one.label or one.name, one.column) for one in bound.columns] == [("a", "a"), ("A", other), ("b", "b")]
    # What a mapping leads to the same column is no more told apart than what its own name does.
    assert codes(check(table, *inputs[::2], columns={"a": "b"})) == ["duplicate_input"]
    assert {"ambiguous_column", "duplicate_input"} <= set(codes(check(struct(a="double", A="double"), *inputs[:2])))


def test_a_mapping_names_a_label_by_its_text():
    contract = check(struct(a="double"), ColSpec("double", 0), columns={"0": "a"})
    assert [(one.label, one.column) for one in contract.columns] == [(0, "a")]


# Fields that type hints have a default for.


def test_a_field_with_a_default_may_be_absent():
    contract = check_contract(struct(x={"i": "long"}), hinted(ColSpec(ITEM), defaults=lambda: [".j"]), Terms())
    assert contract.ok
    assert set(contract.columns[0].spec["of"]["of"]) == {"i"}


def test_a_field_without_one_is_asked_for_once_and_refused():
    asked = []
    signature = hinted(ColSpec(ITEM), defaults=lambda: asked.append(1) or [])
    contract = check_contract(struct(x={"k": "long"}), signature, Terms())
    assert codes(contract) == ["type_mismatch"]
    assert "x.i is missing; x.j is missing" in contract.problems[0].message
    assert len(asked) == 1


def test_the_model_is_not_asked_where_nothing_is_missing():
    def never() -> list[str]:
        raise AssertionError("it would be loaded")

    assert check_contract(struct(x={"i": "long", "j": "long"}), hinted(ColSpec(ITEM), defaults=never), Terms()).ok


def test_a_signature_that_mlflow_enforces_has_no_defaults():
    assert codes(check(struct(x={"i": "long"}), ColSpec(ITEM))) == ["type_mismatch"]


def test_defaults_lie_at_any_depth():
    deep = Object([Property("items", Array(ITEM)), Property("by", Map(ITEM))])
    signature = hinted(ColSpec(deep), defaults=lambda: [".items[].j", ".by"])
    assert check_contract(struct(x={"items": [{"i": "long"}]}), signature, Terms()).ok


# Outputs that say nothing of a row, and the result type that the refusal names.


OUTPUTS = {
    "of any type": Schema([ColSpec(AnyType())]),
    "with a part of any type": Schema([ColSpec("string", "id"), ColSpec(Array(AnyType()), "more")]),
    "an object with a part of any type": Schema(
        [ColSpec(Object([Property("a b", DataType.long), Property("c", AnyType())]), "x")]
    ),
    "a map of any type": Schema([ColSpec(Map(AnyType()))]),
    "of a fixed length": Schema([TensorSpec(np.dtype("float64"), (2,))]),
    "of a fixed length and rank 2": Schema([TensorSpec(np.dtype("int64"), (2, 3), "x")]),
    "of no dimension": Schema([TensorSpec(np.dtype("float64"), ())]),
    "of complex numbers": Schema([TensorSpec(np.dtype("complex128"), (-1,))]),
}


@pytest.mark.parametrize("case", OUTPUTS)
def test_an_output_that_says_nothing_of_a_row_is_refused_with_a_result_type(case):
    contract = check(struct(a="double"), ColSpec("double", "a"), outputs=OUTPUTS[case])
    assert contract.problems
    assert set(codes(contract)) <= {"unsupported_output", "fixed_output_length"}
    for problem in contract.problems:
        assert isinstance(applied(problem.remedy)["model.result_type"], str)


def test_a_known_part_is_in_the_result_type():
    (problem,) = check(struct(a="double"), ColSpec("double", "a"), outputs=OUTPUTS["with a part of any type"]).problems
    assert applied(problem.remedy) == {"model.result_type": "struct<id: string>"}
    (problem,) = check(
        struct(a="double"), ColSpec("double", "a"), outputs=OUTPUTS["an object with a part of any type"]
    ).problems
    assert applied(problem.remedy) == {"model.result_type": "struct<x: struct<`a b`: bigint>>"}


def test_a_fixed_length_is_an_array_as_mlflow_reads_it():
    (problem,) = check(struct(a="double"), ColSpec("double", "a"), outputs=OUTPUTS["of a fixed length"]).problems
    assert applied(problem.remedy) == {"model.result_type": "array<double>"}


# Tensors.


def tensor(dtype: str, *shape: int, name: str | None = "x") -> TensorSpec:
    return TensorSpec(np.dtype(dtype), shape, name)


@pytest.mark.parametrize("dtype", ["str", "object"])
@pytest.mark.parametrize(
    ("column", "shape", "texts"),
    [("string", (-1,), [["a"], ["longer"]]), (["string"], (-1, 2), [["a", "b"], ["", "ü"]])],
)
def test_text_tensors_are_what_pyfunc_makes_of_the_frame(dtype, column, shape, texts, tmp_path):
    spec = tensor(dtype, *shape)
    contract = check(struct(x=column), spec)
    assert contract.ok
    assert contract.columns[0].cast.transport.startswith("to_json(")
    arguments = pd.DataFrame({"x": [json.dumps(text) for text in texts]})
    ours = build_input(arguments, [InputColumn("x", contract.columns[0].spec)], contract.form)["x"]
    frame = pd.DataFrame({"x": [text[0] for text in texts] if shape == (-1,) else texts})
    theirs = mlflow.models.utils._enforce_schema(frame, Schema([spec]))["x"]
    assert (ours.dtype, ours.tolist(), ours.shape) == (theirs.dtype, theirs.tolist(), theirs.shape)
    mlflow.models.utils._enforce_schema({"x": ours}, Schema([spec]))


@pytest.mark.parametrize("column", ["long", ["long"], ["integer"], "short"])
def test_an_unsigned_long_tensor_takes_longs_with_a_check(column):
    shape = (-1, 2) if isinstance(column, list) else (-1,)
    contract = check(struct(x=column), tensor("uint64", *shape))
    (verdict,) = (one for one in contract.verdicts if one.column == "x")
    assert (verdict.status, verdict.code) == ("cast", "checked_cast")
    assert "cast_failed" in verdict.message
    assert any("BETWEEN 0 AND 9223372036854775807L" in one.condition for one in contract.checks())
    assert not any(one.code == "cast_lossy" for one in contract.checks())
    assert check(struct(x=column), tensor("uint64", *shape), policy="lenient").ok


def test_strict_takes_no_long_for_an_unsigned_one_and_the_remedy_works():
    (problem,) = check(struct(x="long"), tensor("uint64", -1), policy="strict").problems
    policy = applied(problem.remedy)["contract.policy"]
    assert check(struct(x="long"), tensor("uint64", -1), policy=policy).ok


def test_unsigned_longs_arrive_as_such():
    spec = {"type": "tensor", "of": "long", "dtype": "<u8", "shape": [2]}
    rows = pd.DataFrame({"x": [np.array([0, 2**63 - 1]), np.array([1, 2])]})
    made = build_input(rows, [InputColumn("x", spec)], "tensors")["x"]
    assert (made.dtype, made.tolist()) == (np.uint64, [[0, 2**63 - 1], [1, 2]])


@pytest.mark.parametrize(
    ("column", "spec"),
    [
        (["string"], ColSpec(Array(DataType.double), "x")),
        ({"i": "string"}, ColSpec(Object([Property("i", DataType.long)]), "x")),
        (["double"], tensor("float32", -1, 2)),
        ("date", ColSpec(Object([Property("i", DataType.long)]), "x")),
        (["boolean"], tensor("uint8", -1, 2)),
    ],
    ids=str,
)
def test_what_does_not_fit_inside_has_a_remedy_that_does(column, spec):
    (problem,) = check(struct(x=column), spec).problems
    if problem.remedy.startswith("contract.policy"):
        assert check(struct(x=column), spec, policy=applied(problem.remedy)["contract.policy"]).ok
        return
    assert problem.remedy == "select it as STRUCT<`i`: BIGINT> in input.sql"
    assert check(struct(x={"i": "long"}), spec).ok


@pytest.mark.parametrize(
    ("column", "wanted", "remedy"),
    [
        ({"x": "long", "y": "long"}, Map(DataType.long), "map('x', `s`.`x`, 'y', `s`.`y`)"),
        ({"x": "string"}, Map(DataType.long), "map('x', CAST(`s`.`x` AS BIGINT))"),
        ([{"x": "long"}], Array(Map(DataType.long)), "transform(`s`, x0 -> map('x', x0.`x`))"),
        ("long", Map(DataType.long), "map('s', `s`)"),
        ("string", ITEM, "from_json(`s`, 'STRUCT<`i`: BIGINT, `j`: BIGINT>')"),
    ],
    ids=str,
)
def test_what_is_no_map_or_object_is_made_one_of_its_parts(column, wanted, remedy):
    (problem,) = check(struct(s=column), ColSpec(wanted, "s")).problems
    assert problem.remedy == f"select {remedy} in input.sql"


def test_a_map_is_made_an_object_of_its_values():
    schema = StructType([StructField("m", MapType(StringType(), LongType()))])
    (problem,) = check(schema, ColSpec(ITEM, "m")).problems
    assert problem.remedy == "select named_struct('i', `m`['i'], 'j', `m`['j']) in input.sql"


# Parameters.

MOMENT = dt.datetime(2024, 1, 2, 3, 4, 5, 6)
DAY = dt.date(2024, 1, 2)
GIVEN = {
    "text": "2024-01-02T03:04:05.000006",
    "a day as text": "2024-01-02",
    "datetime": MOMENT,
    "with a zone": MOMENT.replace(tzinfo=dt.timezone(dt.timedelta(hours=2))),
    "date": DAY,
    "numpy": np.datetime64("2024-01-02T03:04:05"),
    "a day of numpy": np.datetime64("2024-01-02"),
    "pandas": pd.Timestamp("2024-01-02 03:04:05"),
    "none": None,
}
MANY = {
    "texts": ["2024-01-02", "2024-01-02T03:04:05"],
    "moments": [MOMENT, DAY],
    "array": np.array(["2024-01-02T03:04:05"], dtype="datetime64[us]"),
    "array of days": np.array(["2024-01-02", "2024-01-03"], dtype="datetime64[D]"),
    "index": list(pd.date_range("2024-01-02", periods=2)),
}


WHEN = Object([Property("when", DataType.datetime), Property("n", DataType.long)])


class Since(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return [repr(params)] * len(model_input)


@pytest.fixture(scope="module")
def since(tmp_path_factory):
    params = ParamSchema(
        [
            ParamSpec("since", "datetime", MOMENT),
            ParamSpec("days", "datetime", [MOMENT], (-1,)),
            ParamSpec("n", "long", 3),
            ParamSpec("more", WHEN, {"when": "2024-01-02", "n": 1}),
        ]
    )
    path = str(tmp_path_factory.mktemp("models") / "since")
    signature = ModelSignature(Schema([ColSpec("double", "a")]), Schema([ColSpec("string")]), params)
    mlflow.pyfunc.save_model(path, python_model=Since(), signature=signature, pip_requirements=[])
    return mlflow.pyfunc.load_model(path)


@pytest.mark.filterwarnings("ignore:no explicit representation of timezones")
@pytest.mark.parametrize(
    "given",
    [
        *({"since": value} for value in GIVEN.values()),
        *({"days": value} for value in MANY.values()),
        {"n": np.int64(4)},
        {"n": 4},
        {"more": {"when": np.datetime64("2024-01-02"), "n": np.int64(2)}},
        {"more": {"when": "2024-01-02", "n": 2}},
    ],
    ids=str,
)
def test_params_reach_the_model_as_pyfunc_hands_them_over(given, since):
    contract = check_contract(struct(a="double"), since.metadata.signature, Terms(params=given))
    assert contract.ok, contract.problems
    sent = unpack(json.loads(json.dumps(pack(contract.params))))
    rows = pd.DataFrame({"a": [1.0]})
    assert since.predict(rows, params=sent) == since.predict(rows, params=given)
    json.dumps(contract.to_dict())


@pytest.mark.parametrize(
    "given",
    [
        {"since": 3},
        {"since": "yesterday"},
        {"since": np.datetime64("2024-01-02", "ns")},
        {"since": [MOMENT]},
        {"days": MOMENT},
        {"days": [3]},
        {"n": "x"},
        {"more": 3},
    ],
    ids=str,
)
def test_what_is_no_such_param_is_refused_and_the_remedy_works(given, since):
    signature = since.metadata.signature
    (problem,) = check_contract(struct(a="double"), signature, Terms(params=given)).problems
    assert problem.code == "param_type"
    better = applied(problem.remedy)["model.params"]
    assert check_contract(struct(a="double"), signature, Terms(params=better)).ok


PACKED = [MOMENT, DAY, b"\x00\xff", {"$": "numpy", "a": [DAY, None]}, {}, [], 1.5, "x"]


@pytest.mark.parametrize("value", [*PACKED, np.float32(0.1), np.array([[1, 2]]), np.str_("u")], ids=str)
def test_what_is_packed_comes_back(value):
    back = unpack(json.loads(json.dumps(pack(value))))
    assert type(back) is type(value)
    assert np.all(back == value)


@pytest.mark.parametrize("value", [object(), {1: 2}, {"a": {1, 2}}], ids=shown)
def test_what_can_t_be_sent_is_no_json(value):
    with pytest.raises(TypeError):
        pack(value)


@pytest.mark.parametrize("width", [80, 120])
def test_on_a_narrow_terminal_no_name_and_no_remedy_of_the_contract_is_cut(width):
    name = "Monthly_Spend_of_the_customer"
    contract = check_contract(
        struct(**{name: "string", "x": "double", "y": "integer"}),
        ModelSignature(Schema([ColSpec("double", name), ColSpec("double", "x"), ColSpec("long", "region")])),
        Terms(),
    )
    lines = contract.explain(width=width).split("\n")
    assert max(map(len, lines)) <= width
    assert lines[0].split()[:2] == ["column", "table"]
    text = " ".join(" ".join(lines).split())
    for whole in (f"(or CAST(`{name}` AS DOUBLE) in input.sql)", "input.columns: {region: TABLE_COLUMN}"):
        assert whole in text
    assert any(line.startswith(f" ERROR   {name} ") for line in lines)
    assert any(line.split() == ["ok", "x", "double", "double", "as", "it", "is"] for line in lines)
