"""What is packaged, what is not, and what a package answers without a server."""

from __future__ import annotations

import base64
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import flask
import mlflow.pyfunc
import numpy as np
import pandas as pd
import pytest
from mlflow.exceptions import MlflowException
from mlflow.models import Model, ModelSignature
from mlflow.pyfunc import scoring_server
from mlflow.types import ColSpec, ParamSchema, ParamSpec, Schema, TensorSpec
from mlflow.types.schema import AnyType, Array, DataType, Map, Object, Property

from spark_scoring.errors import ConfigurationError, ContractError, ModelError, ScoringError
from spark_scoring.jobs.config import ScoringJob
from spark_scoring.packaging.destination import Folder, Registered, destination
from spark_scoring.packaging.package import METADATA, package_job
from tests import models
from tests.servers import post, serving
from tests.unit.programs import environment

PAGE = (Path(__file__).parents[2] / "docs" / "online.md").read_text(encoding="utf-8")
TEXT = Schema([ColSpec("string")])
NAN, INF = float("nan"), float("inf")


def job(model: str, **changes: Any) -> ScoringJob:
    keys = {"model.uri": model, "input.path": "./none", "input.format": "payload", "output.path": "./none"}
    return ScoringJob.from_options({**keys, **{name.replace("__", "."): value for name, value in changes.items()}})


@pytest.fixture
def packaged(tmp_path) -> Callable[..., Any]:
    """Packages a job of a model, and loads the package."""

    def load(model: str, **changes: Any) -> Any:
        number = len(list(tmp_path.glob("package*")))
        return mlflow.pyfunc.load_model(package_job(job(model, **changes), str(tmp_path / f"package{number}")).uri)

    return load


def asked(package: Any, document: Any, *, is_csv: bool = False) -> list[dict[str, Any]]:
    """What MLflow's server gets of a package that reads its requests itself."""
    content = document if is_csv else json.dumps(document)
    return package._model_impl.answer_request(content.encode(), is_csv=is_csv)


def parsed(package: Any, document: Any) -> list[dict[str, Any]]:
    """What any other server gets, which parses a request by the signature."""
    data, params = scoring_server._split_data_and_params(json.dumps(document))
    rows = scoring_server.infer_and_parse_data(data, package.metadata.get_input_schema())
    return package.predict(rows, params=params).to_dict("records")


def predictions(answer: list[dict[str, Any]]) -> list[Any]:
    return [row["prediction"] for row in answer]


def codes(answer: list[dict[str, Any]]) -> list[str | None]:
    return [row["error"] and row["error"]["code"] for row in answer]


# --- The page's own commands and requests.


def test_the_page_s_commands_and_its_request_do_what_the_page_says(tmp_path, registry, monkeypatch, capsys):
    commands = re.findall(r"^(?:spark-scoring package|mlflow models serve) .*$", PAGE, re.MULTILINE)
    job_file, (sent, answered, refused) = (
        re.findall(rf"```{kind}\n(.*?)```", PAGE, re.DOTALL) for kind in ("yaml", "json")
    )
    version = registry.register("sums", models.save(tmp_path / "m", "adds"), alias="champion")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", registry.uri)
    Path("job.yml").write_text(job_file[0])
    # As printed, in a process of its own.
    done = subprocess.run(
        [sys.executable, "-m", "spark_scoring", *shlex.split(commands[0])[1:]],
        env=environment(MLFLOW_TRACKING_URI=registry.uri),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    serve = shlex.split(commands[1])
    assert (serve[:4], serve[5:7]) == (["mlflow", "models", "serve", "-m"], ["--env-manager", "local"])
    (tmp_path / "served").mkdir()
    with serving(str(tmp_path / serve[4]), tmp_path / "served") as url:
        assert version == "1", "the page says sums/1"
        assert post(url, sent.encode()) == (200, json.loads(answered))
        status, answer = post(url, b'{"dataframe_split": {"columns": ["a"], "data": [[1]]}}')
    shown = json.loads(refused)
    assert (status, answer["code"], answer["error_code"]) == (400, shown["code"], shown["error_code"])
    assert answer["message"].startswith(shown["message"].removesuffix("…"))
    capsys.readouterr()


def test_json_is_one_object_and_says_what_was_packaged(cli, adds, tmp_path):
    Path("job.yml").write_text(
        f"model: {{uri: {adds}, env_manager: uv}}\ninput: {{sql: SELECT 1, where: a > 0}}\noutput: {{path: ./out}}\n"
    )
    code, out, _ = cli("package", "-o", "./packaged", "--json")
    told = json.loads(out)
    assert (code, told["uri"], told["predictions"], told["policy"]) == (
        0,
        str(tmp_path / "packaged"),
        ["prediction"],
        "safe",
    )
    assert [one["name"] for one in told["inputs"]] == ["a", "b"]
    assert [note.split()[0] for note in told["notes"]] == ["input.sql", "input.where", "model.env_manager"]
    about = Model.load(str(tmp_path / "packaged")).metadata[METADATA]
    assert {name: told[name] for name in about} == about
    assert about["digest"] == about["model_id"] == told["digest"]
    code, out, _ = cli("package", "-o", "./packaged", "--json")  # what is there is not written over
    failed = json.loads(out)
    assert (code, failed["error"]["code"], set(failed) - {"error"}) == (2, "file_exists", set(told))


def test_no_jvm_and_no_session_is_started(adds, tmp_path):
    program = (
        "import sys\nfrom spark_scoring.packaging.package import package_job\n"
        "from spark_scoring.jobs.config import ScoringJob\n"
        "keys = {'model.uri': sys.argv[1], 'model.result_type': 'struct<p: double>', 'input.table': 't'}\n"
        "package_job(ScoringJob.from_options(keys), sys.argv[2])\n"
        "from pyspark import SparkContext\nassert SparkContext._gateway is None\n"
    )
    words = [sys.executable, "-W", "ignore", "-c", program, adds, str(tmp_path / "packaged")]
    done = subprocess.run(words, env=environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


# --- Where it goes.


@pytest.mark.parametrize(
    ("output", "place"),
    [("./a", Folder(str(Path("a").absolute()))), ("models:/sums", Registered("sums")), ("file:///x/y", Folder("/x/y"))],
)
def test_a_package_goes_to_a_folder_or_a_registry(output, place):
    assert destination(output) == place


@pytest.mark.parametrize(
    "output", ["", "  ", "models:/", "models:/a/3", "models:/a@b", "s3://bucket/x", "runs:/1/model", "http://x"]
)
def test_any_other_place_is_refused_with_what_is_valid(output):
    with pytest.raises(ConfigurationError) as caught:
        destination(output)
    assert caught.value.code == "usage"
    assert "-o FOLDER" in caught.value.remedy
    assert "models:/NAME" in caught.value.remedy


def test_a_missing_place_is_told(cli, adds):
    Path("job.yml").write_text(f"model: {{uri: {adds}}}\ninput: {{table: t}}\n")
    code, _, err = cli("package", "job.yml")
    assert code == 2
    assert "-o is missing" in err
    code, out, _ = cli("package", "job.yml", "-o", "s3://bucket/x", "--json")
    assert (code, json.loads(out)["error"]["code"]) == (2, "usage")


def test_a_folder_that_can_t_be_written_is_told(adds, tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(ConfigurationError) as caught:
        package_job(job(adds), str(tmp_path / "file" / "packaged"))
    assert caught.value.code == "file_not_written"


def test_a_registered_package_is_the_next_version_and_answers(adds, registry, monkeypatch):
    changes = {"model.uri": adds, "model.tracking_uri": registry.uri, "input.table": "t"}
    made = [package_job(ScoringJob.from_options(changes), "models:/packaged_sums").uri for _ in range(2)]
    assert made == ["models:/packaged_sums/1", "models:/packaged_sums/2"]
    version = registry.client.get_model_version("packaged_sums", "2")
    assert version.tags["spark_scoring.digest"].startswith("sha256:")
    assert registry.client.get_run(version.run_id).info.status == "FINISHED"
    location = registry.client.get_model_version_download_uri("packaged_sums", "2")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", registry.uri)  # of a run's files, MLflow 2 asks no other server
    folder = mlflow.artifacts.download_artifacts(location)
    answer = mlflow.pyfunc.load_model(folder).predict(pd.DataFrame({"a": [1.0], "b": [2.0]}))
    assert answer.to_dict("records")[0]["prediction"] == 3.0


def test_a_registry_that_is_not_there_is_not_made(adds, tmp_path):
    changes = {"model.uri": adds, "model.tracking_uri": f"sqlite:///{tmp_path}/no.db", "input.table": "t"}
    with pytest.raises(ModelError) as caught:
        package_job(ScoringJob.from_options(changes), "models:/sums")
    assert caught.value.code == "registry_unreachable"
    assert not (tmp_path / "no.db").exists()


# --- What can't be packaged.


def refusal(kind: type[ScoringError], model: str, tmp_path: Path, **changes: Any) -> ScoringError:
    with pytest.raises(kind) as caught:
        package_job(job(model, **changes), str(tmp_path / "packaged"))
    assert not (tmp_path / "packaged").exists()
    assert caught.value.remedy
    return caught.value


def test_a_spark_ml_pipeline_is_refused(tmp_path):
    model = models.save(tmp_path / "m")
    text = (tmp_path / "m" / "MLmodel").read_text()
    (tmp_path / "m" / "MLmodel").write_text(re.sub("loader_module: .*", "loader_module: mlflow.spark", text))
    assert refusal(ConfigurationError, model, tmp_path).code == "not_packageable"


@pytest.mark.parametrize(
    ("signature", "kind", "code"),
    [
        (None, ContractError, "no_signature"),
        (ModelSignature(Schema([ColSpec(AnyType(), "a")]), TEXT), ContractError, "any_from_payload"),
        (ModelSignature(Schema([ColSpec("double", "a")])), ContractError, "no_output_schema"),
    ],
)
def test_a_signature_that_says_too_little_is_refused_as_by_a_job(signature, kind, code, tmp_path):
    model = models.save(tmp_path / "m", signed=signature is not None, signature=signature)
    assert refusal(kind, model, tmp_path).code == code


def test_names_that_an_answer_would_have_twice_are_refused(adds, tmp_path):
    assert refusal(ContractError, adds, tmp_path, output__prediction="error").code == "column_clash"


def test_another_digest_is_refused(adds, tmp_path):
    assert refusal(ModelError, adds, tmp_path, model__digest="sha256:" + "0" * 64).code == "digest_mismatch"


# --- What it answers.

TABLE = Schema(
    [
        ColSpec("double", "a"),
        ColSpec("long", "b"),
        ColSpec("string", "s"),
        ColSpec("boolean", "c"),
        ColSpec("datetime", "t", required=False),
        ColSpec("binary", "x", required=False),
    ]
)
ROWS = [
    [1.5, 2**53 + 1, "x", True, "2024-02-29T12:00:00.000001", base64.b64encode(b"\x00\xff").decode()],
    [-0.0, -(2**63), "007", False, "1970-01-01T00:00:00.000000", ""],
]
NAMES = list("absctx")
RECORDS = [dict(zip(NAMES, row, strict=True)) for row in ROWS]
DOCUMENTS = {
    "dataframe_split": {"columns": NAMES, "data": ROWS},
    "dataframe_records": RECORDS,
    "inputs": {name: [row[position] for row in ROWS] for position, name in enumerate("absct")},
    "instances": [{name: one[name] for name in "absct"} for one in RECORDS],
}


@pytest.mark.parametrize("form", DOCUMENTS)
def test_what_a_server_has_parsed_means_what_was_sent(form, packaged, tmp_path):
    package = packaged(models.save(tmp_path / "m", "describes", signature=ModelSignature(TABLE, TEXT)))
    document = {form: DOCUMENTS[form]}
    sent = asked(package, document)
    assert codes(sent) == [None, None]
    assert "b = int 9007199254740993" in sent[0]["prediction"]
    assert parsed(package, document) == sent


def test_rows_that_a_server_has_parsed_fail_by_themselves(packaged, tmp_path):
    package = packaged(models.save(tmp_path / "m", "describes", inputs={"a": "double", "b": "long"}, output="string"))
    document = {"dataframe_split": {"columns": ["a", "b"], "data": [[1, 2**53 + 1], [2, None], ["x", 5], [3, 7]]}}
    assert codes(asked(package, document)) == [None, "null_in_required", "cast_failed", None]
    # A null beside it made a double of it, which is another number.
    assert codes(parsed(package, document)) == ["cast_lossy", "null_in_required", "cast_failed", None]
    frame = pd.DataFrame({"b": pd.array([2**53 + 1, None], dtype="Int64"), "a": [1.5, 2.5], "more": ["x", "y"]})
    answer = package.predict(frame).to_dict("records")
    assert codes(answer) == [None, "null_in_required"]
    assert answer[0]["prediction"] == "a = float 1.5; b = int 9007199254740993"


def test_texts_alone_are_no_row_of_lists(packaged, tmp_path):
    package = packaged(models.save(tmp_path / "m", "describes", inputs={"p": "string", "q": "string"}, output="string"))
    document = {"inputs": {"p": ["1", "2"], "q": ["3", "None"]}}
    assert predictions(parsed(package, document)) == ["p = str '1'; q = str '3'", "p = str '2'; q = str 'None'"]


def test_what_a_frame_lacks_is_refused_without_its_data(packaged, adds):
    package = packaged(adds)
    with pytest.raises(MlflowException) as caught:
        package.predict(pd.DataFrame({"a": ["the patient"]}))
    told = json.loads(caught.value.serialize_as_json())
    assert (told["code"], caught.value.get_http_status_code()) == ("malformed_payload", 400)
    assert "b is not there" in told["message"]
    caught.value.message = "Failed to predict data 'the patient'"  # as MLflow's server does
    assert "patient" not in caught.value.serialize_as_json()


def test_an_empty_request_has_an_empty_answer(packaged, adds):
    package = packaged(adds)
    assert asked(package, {"dataframe_split": {"columns": ["a", "b"], "data": []}}) == []
    assert asked(package, "a,b\n", is_csv=True) == []
    assert list(package.predict(pd.DataFrame({"a": [], "b": []})).columns) == ["prediction", "model_id", "error"]


def test_the_signature_names_inputs_and_the_answer(packaged, adds):
    package = packaged(adds, input__columns={"a": "first"})
    inputs, outputs = package.metadata.signature.inputs, package.metadata.signature.outputs
    assert [(one.name, one.type, one.required) for one in inputs] == [
        ("first", AnyType(), False),
        ("b", AnyType(), False),
    ]
    assert outputs.input_names() == ["prediction", "model_id", "error"]
    for name in ("first", "a"):
        assert predictions(asked(package, {"dataframe_records": [{name: 1, "b": 2}]})) == [3.0]
    assert package.predict(pd.DataFrame({"first": [1], "b": [2]}))["prediction"].tolist() == [3.0]


OUTPUTS: dict[str, tuple[Any, list[Any], list[Any]]] = {
    "double": (DataType.double, [1.5, NAN, INF, -INF, None], [1.5, "NaN", "Infinity", "-Infinity", None]),
    "float": (DataType.float, [np.float32(0.1), None], [float(np.float32(0.1)), None]),
    "long": (DataType.long, [2**63 - 1, None], [2**63 - 1, None]),
    "integer": (DataType.integer, [7, None], [7, None]),
    "boolean": (DataType.boolean, [True, False, None], [True, False, None]),
    "string": (DataType.string, ["", "\x1a", "\x1ax", "None", None], ["", "\x1a", "\x1ax", "None", None]),
    "binary": (DataType.binary, [b"\x00\xff", b"", None], ["AP8=", "", None]),
    "datetime": (
        DataType.datetime,
        [pd.Timestamp("2024-02-29T12:00:00.000001"), pd.Timestamp("1969-12-31"), None],
        ["2024-02-29T12:00:00.000001", "1969-12-31T00:00:00", None],
    ),
    "array": (Array(DataType.double), [[1.5, NAN, None], [], None], [[1.5, "NaN", None], [], None]),
    "object": (
        Object([Property("p", DataType.datetime), Property("q", DataType.binary, required=False)]),
        [{"p": pd.Timestamp("2024-01-01"), "q": b"a"}, {"p": None}],
        [{"p": "2024-01-01T00:00:00", "q": "YQ=="}, {"p": None, "q": None}],
    ),
    "map": (Map(DataType.long), [{"k": 2**53 + 1}, {}], [{"k": 2**53 + 1}, {}]),
}


@pytest.mark.parametrize("kind", OUTPUTS)
def test_what_a_model_returns_is_json_and_exact(kind, packaged, tmp_path, monkeypatch):
    wanted, returned, expected = OUTPUTS[kind]
    signature = ModelSignature(Schema([ColSpec("long", "row")]), Schema([ColSpec(wanted)]))
    package = packaged(models.save(tmp_path / "m", "echoes", signature=signature))
    package._model_impl.load()
    from_model = [(value,) for value in returned]
    monkeypatch.setattr(
        sys.modules[type(package._model_impl).__module__.replace("online.loader", "here")],
        "call_of",
        lambda *_: lambda piece, _: [from_model[row][0] for row in piece["row"]],
    )
    answer = asked(package, {"inputs": {"row": list(range(len(returned)))}})
    assert codes(answer) == [None] * len(returned)
    assert json.loads(json.dumps(predictions(answer), allow_nan=False)) == expected


def test_several_outputs_are_an_object_or_flattened(packaged, tmp_path):
    outputs = {"p": "double", "q": "double"}
    model = models.save(tmp_path / "m", "echoes", inputs=outputs, output=outputs)
    document = {"dataframe_records": [{"p": 1, "q": 2}, {"p": "x", "q": 2}]}
    assert predictions(asked(packaged(model), document)) == [{"p": 1.0, "q": 2.0}, None]
    flat = asked(packaged(model, output__flatten=True, output__prediction="score"), document)
    assert [(row["score_p"], row["score_q"]) for row in flat] == [(1.0, 2.0), (None, None)]
    struct = packaged(model, model__result_type="struct<q: double not null, `p`: double>")
    assert predictions(asked(struct, document)) == [{"q": 2.0, "p": 1.0}, None]


def test_a_row_for_which_the_model_raises_costs_itself_and_tells_no_value(packaged, tmp_path):
    model = models.save(tmp_path / "m", "tattles")
    rows = [{"a": "x", "b": 2}, {"a": 1, "b": 2}, {"a": -7.25, "b": 1}, {"a": 3, "b": 4}]
    answer = asked(packaged(model), {"dataframe_records": rows})
    assert predictions(answer) == [None, 3.0, None, 7.0]
    assert codes(answer) == ["cast_failed", None, "model_raised", None]
    assert answer[2]["error"]["message"] == "ValueError at tattles.py:10"
    full = asked(packaged(model, errors__detail="full"), {"dataframe_records": rows})
    assert "12 May 1971" in full[2]["error"]["message"]


def test_nulls_are_the_model_s_or_forbidden(packaged, tmp_path):
    schema = Schema([ColSpec("double", "a"), ColSpec("string", "s"), ColSpec("double", "o", required=False)])
    model = models.save(tmp_path / "m", "describes", signature=ModelSignature(schema, TEXT))
    body = {"dataframe_records": [{"a": None, "s": "x", "o": None}, {"a": 1, "s": None, "o": 1}, {"a": 1, "s": "x"}]}
    assert predictions(asked(packaged(model), body)) == [
        "a = float nan; s = str 'x'; o = float nan",
        "a = float 1.0; s = NoneType None; o = float 1.0",
        "a = float 1.0; s = str 'x'; o = float nan",
    ]
    forbidding = packaged(model, contract__nulls="forbid")
    for answer in (asked(forbidding, body), parsed(forbidding, body)):
        assert codes(answer) == ["null_in_required", "null_in_required", None]
        assert answer[0]["error"]["message"] == "a is null, and contract.nulls is forbid"
    # A NaN that was sent is no null.
    content = b'{"dataframe_records": [{"a": NaN, "s": "x"}]}'
    assert codes(forbidding._model_impl.answer_request(content, is_csv=False)) == [None]


def test_what_mlflow_lets_pass_and_no_column_takes_costs_its_row(packaged, tmp_path):
    flags = packaged(models.save(tmp_path / "m", "describes", inputs={"c": "boolean"}, output="string"))
    answer = asked(flags, {"instances": [{"c": True}, {"c": [1]}, {"c": False}]})
    assert (codes(answer), answer[1]["prediction"]) == ([None, "cast_failed", None], None)
    words = Schema([ColSpec(Object([Property("q", DataType.string)]), "o")])
    nested = packaged(models.save(tmp_path / "n", "describes", signature=ModelSignature(words, TEXT)))
    answer = asked(nested, {"dataframe_records": [{"o": {"q": "x"}}, {"o": {"q": "\ud800"}}]})
    assert codes(answer) == [None, "cast_failed"]


def test_an_optional_input_that_a_request_lacks_is_absent_for_the_model(packaged, tmp_path):
    schema = Schema([ColSpec("double", "o", required=False), ColSpec("double", "a")])
    package = packaged(models.save(tmp_path / "m", "describes", signature=ModelSignature(schema, TEXT)))
    assert predictions(asked(package, {"inputs": {"a": [1]}})) == ["a = float 1.0"]
    assert predictions(asked(package, {"inputs": {"a": [1], "o": [2]}})) == ["o = float 2.0; a = float 1.0"]


CUBES = Schema([TensorSpec(np.dtype("float32"), (-1, 2, 2), "x"), TensorSpec(np.dtype("int64"), (-1,), "y")])
MATRIX = Schema([TensorSpec(np.dtype("float64"), (-1, 3))])
CUBE = [[1, 2.5], [3, 4]]
SHAPES: dict[str, tuple[Schema, dict[str, Any], str | None]] = {
    "tensors": (CUBES, {"instances": [{"x": CUBE, "y": 2**53 + 1}, {"x": [[1]], "y": 1}]}, "shape"),
    "matrix": (MATRIX, {"inputs": [[1, 2.5, 3], [4, 5, "x"]]}, "cast_failed"),
    "arrays": (
        Schema([ColSpec(Array(DataType.long), "n")]),
        {"dataframe_records": [{"n": [1]}, {"n": None}]},
        "null_in_required",
    ),
    "objects": (
        Schema([ColSpec(Object([Property("p", DataType.double), Property("t", DataType.string)]), "o")]),
        {"dataframe_records": [{"o": {"p": 1, "t": "x"}}, {"o": {"p": "x", "t": "x"}}]},
        "cast_failed",
    ),
    "texts": (Schema([ColSpec("string")]), {"inputs": ["x", "y"]}, None),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_tensors_and_nested_values_reach_the_model_as_mlflow_hands_them_over(shape, packaged, tmp_path):
    schema, document, code = SHAPES[shape]
    model = models.save(tmp_path / "m", "describes", signature=ModelSignature(schema, TEXT))
    package = packaged(model)
    answer = asked(package, document)
    assert codes(answer) == [None, code]
    ((form, rows),) = document.items()
    bare = mlflow.pyfunc.load_model(model)
    good = {form: rows if code is None else rows[:1]}
    theirs = bare.predict(scoring_server.infer_and_parse_data(good, bare.metadata.get_input_schema()))
    if shape != "arrays":  # an array of a column is MLflow's list, and as from a table NumPy's
        assert predictions(answer)[: len(theirs)] == list(theirs)
    assert parsed(package, good) == answer[: len(theirs)]


def test_parameters_are_the_job_s(packaged, tmp_path):
    params = ParamSchema([ParamSpec("scale", "double", 1.0)])
    signature = ModelSignature(Schema([ColSpec("double", "a")]), Schema([ColSpec("double", "a")]), params)
    package = packaged(models.save(tmp_path / "m", "echoes", signature=signature), model__params={"scale": 2.0})
    for answer in (asked, parsed):
        assert predictions(answer(package, {"inputs": {"a": [1]}, "params": {"scale": 2}})) == [1.0]
        assert predictions(answer(package, {"inputs": {"a": [1]}})) == [1.0]
        with pytest.raises(MlflowException, match=r"params.scale: expected the job's value .*params_differ"):
            answer(package, {"inputs": {"a": [1]}, "params": {"scale": 3}})


def test_a_script_is_called_in_place_of_the_model(packaged, adds, tmp_path):
    (tmp_path / "score.py").write_text(
        "import os, mlflow\n"
        "def init():\n    global model\n    model = mlflow.pyfunc.load_model(os.environ['AZUREML_MODEL_DIR'])\n"
        "def run(batch):\n    return [f'{value:.1f}' for value in model.predict(batch)]\n"
    )
    package = packaged(adds, model__script=str(tmp_path / "score.py"), model__result_type="string")
    answer = asked(package, {"dataframe_records": [{"a": 1, "b": 2}, {"a": "x", "b": 2}]})
    assert (predictions(answer), codes(answer)) == (["3.0", None], [None, "cast_failed"])
    assert Model.load(package.metadata.signature and str(tmp_path / "package0")).metadata[METADATA]["script"]


CLASSES = "struct<no: double, yes: double>"


@pytest.mark.full
@pytest.mark.parametrize("declared", [CLASSES, None])
def test_a_method_is_called_with_its_classes(declared, packaged, tmp_path):
    linear_model = pytest.importorskip("sklearn.linear_model")
    frame = pd.DataFrame({"a": [0.0, 1.0, 2.0, 3.0]})
    fitted = linear_model.LogisticRegression().fit(frame, ["no", "no", "yes", "yes"])
    signature = ModelSignature(Schema([ColSpec("double", "a")]), TEXT)
    mlflow.sklearn.save_model(fitted, str(tmp_path / "m"), signature=signature, serialization_format="cloudpickle")
    asks = {"model__method": "predict_proba", **({"model__result_type": declared} if declared else {})}
    (likely,) = predictions(asked(packaged(str(tmp_path / "m"), **asks), {"inputs": {"a": [3]}}))
    assert likely == dict(zip(["no", "yes"], fitted.predict_proba(frame[3:])[0].tolist(), strict=True))
    best = packaged(str(tmp_path / "m"), **asks, model__top_k=1)
    assert predictions(asked(best, {"inputs": {"a": [3]}})) == [[{"class": "yes", "probability": likely["yes"]}]]


@pytest.mark.full
def test_a_call_that_hangs_costs_its_rows(packaged, tmp_path):
    package = packaged(models.save(tmp_path / "m", "hangs"), model__timeout=1.0, model__batch_size=1)
    answer = asked(package, {"inputs": {"a": [1, 2, 3], "b": [0, 2, 0]}})
    assert codes(answer) == [None, "model_timeout", None]
    assert predictions(answer) == [1.0, None, 3.0]


def test_a_model_whose_process_dies_is_the_server_s_fault(packaged, tmp_path):
    package = packaged(models.save(tmp_path / "m", "hangs"), model__timeout=20.0)
    with pytest.raises(MlflowException, match="worker_died") as caught:
        asked(package, {"inputs": {"a": [1], "b": [4]}})
    assert caught.value.get_http_status_code() == 500
    assert predictions(asked(package, {"inputs": {"a": [1], "b": [0]}})) == [1.0]


def test_files_that_changed_are_not_served(adds, tmp_path):
    package_job(job(adds), str(tmp_path / "packaged"))
    with (tmp_path / "packaged" / "data" / "model" / "adds.py").open("a") as changed:
        changed.write("\n# one more line\n")
    with pytest.raises(MlflowException, match="digest_mismatch"):
        mlflow.pyfunc.load_model(str(tmp_path / "packaged"))


def test_a_model_that_can_t_be_loaded_ends_the_server_as_it_starts(packaged, tmp_path):
    model = models.save(tmp_path / "m", "unloadable")
    with pytest.raises(MlflowException, match="a_library_that_nobody_has"):
        packaged(model)


def test_with_a_time_limit_the_model_is_loaded_by_its_own_process_alone(packaged, tmp_path):
    package = packaged(models.save(tmp_path / "m", "unloadable"), model__timeout=20.0)
    with pytest.raises(MlflowException, match="a_library_that_nobody_has") as caught:
        asked(package, {"inputs": {"a": [1], "b": [2]}})
    assert caught.value.get_http_status_code() == 500


def test_it_has_the_model_s_own_environment(packaged, tmp_path):
    model = models.save(tmp_path / "m", requirements=["mlflow", "a-package==1.2.3"])
    with pytest.raises(MlflowException, match="requirements_differ"):
        packaged(model, model__requirements="match")
    for name in ("requirements.txt", "conda.yaml", "python_env.yaml"):
        assert (tmp_path / "package0" / name).read_bytes() == (tmp_path / "m" / name).read_bytes()
    packaged(model, model__requirements="ignore")


def test_other_models_of_a_process_are_answered_as_ever(packaged, adds):
    packaged(adds)
    bare = mlflow.pyfunc.load_model(adds)
    body = json.dumps({"inputs": {"a": [1], "b": [2]}})
    answer = scoring_server.invocations(body.encode(), "application/json", bare, bare.metadata.get_input_schema())
    assert json.loads(answer.response) == {"predictions": [{"0": 3.0}]}


@pytest.mark.skipif(not hasattr(scoring_server, "CONTENT_TYPE_PARQUET"), reason="MLflow 2 takes no Parquet")
def test_parquet_is_read_as_the_server_does(packaged, adds, tmp_path):
    package = packaged(adds)
    pd.DataFrame({"a": [1.0, None], "b": [2.0, 2.0]}).to_parquet(tmp_path / "rows.parquet")
    content, schema = (tmp_path / "rows.parquet").read_bytes(), package.metadata.get_input_schema()
    answer = scoring_server.invocations(content, "application/vnd.apache.parquet", package, schema)
    assert [row["prediction"] for row in json.loads(answer.response)["predictions"]] == [3.0, "NaN"]


def test_kinds_of_content_that_the_server_refuses_are_refused(packaged, adds):
    package = packaged(adds)
    schema = package.metadata.get_input_schema()
    for kind in ("text/plain", "application/json; charset=latin-1"):
        with flask.Flask("server").test_request_context():  # MLflow 2 asks it what came
            assert scoring_server.invocations(b"{}", kind, package, schema).status == 415
