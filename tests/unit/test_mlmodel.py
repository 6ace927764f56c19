"""An ``MLmodel`` file that is damaged, hostile, or changes while it is read is told as that."""

from __future__ import annotations

import itertools
import json
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from spark_scoring.errors import ModelError
from spark_scoring.jobs.model_config import ModelConfig
from spark_scoring.models import mlmodel, pinned
from spark_scoring.models.pinned import fetch, pin
from spark_scoring.models.registry import resolve_uri

FLAVORS = {"python_function": {"loader_module": "any", "env": {}}}
ODD = [
    "text",
    "",
    3,
    -1.5,
    True,
    None,
    [],
    ["a"],
    {},
    {"a": 1},
    [["a"]],
    {1: 2},
    float("nan"),
    10**400,
    "{",
    "[{",
    "null",
]
KEYS = [
    "signature",
    "flavors",
    "metadata",
    "run_id",
    "model_id",
    "model_uuid",
    "artifact_path",
    "utc_time_created",
    "saved_input_example_info",
    "mlflow_version",
    "model_size_bytes",
    "resources",
    "auth_policy",
    "prompts",
    "env_vars",
    "type_hint_from_example",
    "databricks_runtime",
    "is_signature_from_type_hint",
    "an_unknown_key",
]


def outcome(folder: Path, text: str | bytes) -> str:
    """The code with which a model of this ``MLmodel`` file is refused, or ``pinned``."""
    folder.mkdir(exist_ok=True)
    (folder / "MLmodel").write_bytes(text if isinstance(text, bytes) else text.encode())
    try:
        model = pin(ModelConfig(uri=str(folder)))
    except ModelError as exc:
        return exc.code if exc.remedy else "no remedy"
    # What the steps after it ask.
    assert isinstance(model.is_spark_ml, bool)
    assert model.flavors
    assert model.signature is None or model.signature.inputs is None or model.signature.inputs.inputs is not None
    return "pinned"


@pytest.mark.parametrize("key", KEYS)
def test_whatever_a_key_holds_is_taken_or_told(key, tmp_path):
    for value in ODD:
        text = yaml.safe_dump({"flavors": FLAVORS, key: value})
        assert outcome(tmp_path / "model", text) in {"pinned", "model_not_loadable", "no_pyfunc_flavor"}, value


def test_a_signature_that_is_a_text_is_told(tmp_path):
    assert (
        outcome(tmp_path / "model", yaml.safe_dump({"flavors": FLAVORS, "signature": "text"})) == "model_not_loadable"
    )


@pytest.mark.parametrize("part", ["inputs", "outputs", "params"])
def test_whatever_a_part_of_a_signature_holds_is_taken_or_told(part, tmp_path):
    schemas: list[Any] = [
        *ODD,
        *map(json.dumps, ["text", 3, [], [3], [{}], [{"type": "double"}], [{"type": "none", "name": "a"}], {"a": "b"}]),
        '[{"type": "double", "name": "a"}',
        json.dumps([{"type": "tensor", "tensor-spec": {"dtype": "nothing", "shape": [-1]}}]),
        json.dumps([{"type": "tensor", "tensor-spec": 3}]),
        json.dumps([{"type": "array", "name": "a"}]),
        json.dumps([{"type": "double", "name": "a"}, {"type": "double", "name": "a"}]),
        json.dumps([{"type": "double", "name": ["a"]}]),
        "[" * 100_000,
    ]
    for schema in schemas:
        text = yaml.safe_dump({"flavors": FLAVORS, "signature": {part: schema}})
        assert outcome(tmp_path / "model", text) in {"pinned", "model_not_loadable"}, schema


@pytest.mark.parametrize("value", ODD)
def test_whatever_the_flavor_holds_is_taken_or_told(value, tmp_path):
    cases: tuple[dict[Any, Any], ...] = (
        {"python_function": value},
        {"python_function": {"loader_module": value}},
        {value if isinstance(value, (str, int, float)) else 1: {}},
    )
    for flavors in cases:
        text = yaml.safe_dump({"flavors": flavors})
        assert outcome(tmp_path / "model", text) in {"pinned", "model_not_loadable", "no_pyfunc_flavor"}


MERGES = "a0: &a0 {k: 1}\n" + "".join(
    f"a{after}: &a{after} {{<<: [{', '.join([f'*a{before}'] * 9)}]}}\n"
    for before, after in itertools.pairwise(range(9))
)
ALIASES = "a0: &a0 [x, x]\n" + "".join(
    f"a{after}: &a{after} [{', '.join([f'*a{before}'] * 9)}]\n" for before, after in itertools.pairwise(range(30))
)


@pytest.mark.parametrize(
    "text",
    [
        MERGES,
        f"{ALIASES}flavors: *a29",
        f"{ALIASES}flavors: {{python_function: *a29}}",
        f"{ALIASES}flavors: {{python_function: {{}}}}\nsignature: {{inputs: *a29}}",
        "[" * 100_000,
        "{a: " * 100_000,
        "- " * 100_000,
        "a: &a [*a]",
        "a: !!python/object/apply:os.system ['touch hacked']",
        "flavors: !!python/object/new:os.system ['touch hacked']",
        "\0",
        "a: 2026-99-99",
        "? [x]\n: 1",
        b"\xff\xfe\x00",
        b"flavors: \xff",
        "#" * (9 << 20),
    ],
    ids=range(16),
)
def test_a_hostile_file_costs_no_time_and_no_trace(text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    started = time.monotonic()
    assert outcome(tmp_path / "model", text) == "model_not_loadable"
    assert time.monotonic() - started < 5
    assert not (tmp_path / "hacked").exists()


def test_a_metadata_file_that_another_one_replaces_after_it_was_read_is_refused(adds, tmp_path, monkeypatch):
    """What was checked is the signature of the files that were hashed, and of no others."""
    folder = Path(shutil.copytree(adds, tmp_path / "model"))
    read = mlmodel.read_metadata

    def then_replaced(*args: Any) -> Any:
        result = read(*args)
        (folder / "MLmodel").write_text((folder / "MLmodel").read_text() + "\n")
        return result

    monkeypatch.setattr(pinned, "read_metadata", then_replaced)
    with pytest.raises(ModelError) as caught:
        pin(ModelConfig(uri=str(folder)))
    assert caught.value.code == "digest_mismatch"
    assert "MLmodel" in caught.value.message


@pytest.mark.parametrize("name", ["MLmodel", "requirements.txt"])
def test_a_download_that_differs_from_what_was_checked_is_refused(name, registry, adds, tmp_path):
    folder = Path(shutil.copytree(adds, tmp_path / "model"))
    uri = registry.log_in_run(str(folder))
    config = ModelConfig(uri=uri, tracking_uri=registry.uri)
    model = pin(config)
    (folder / name).write_text((folder / name).read_text() + "\n# later")
    run = uri.split("/")[1]
    registry.client.log_artifacts(run, str(folder), "model")
    with pytest.raises(ModelError) as caught:
        fetch(model, config)
    assert caught.value.code == "digest_mismatch"
    assert name in caught.value.message


@pytest.mark.parametrize("uri", ["file://elsewhere.example{}", "file:///%00", "file:///a%00b/model"])
def test_a_file_uri_that_names_no_folder_here_is_told(uri, adds):
    with pytest.raises(ModelError) as caught:
        pin(ModelConfig(uri=uri.format(adds)))
    assert caught.value.code == "model_not_found"


def test_a_folder_s_location_is_asked_of_nobody(adds):
    assert resolve_uri(ModelConfig(uri=adds), None) == (adds, None, None, adds)
