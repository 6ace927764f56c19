"""What the driver writes for the workers is what they read."""

from __future__ import annotations

import json
from dataclasses import fields, replace

import pytest

from spark_scoring.worker.protocol import Call, InputColumn, ModelFiles, OutputColumn, ScriptFile, Settings

FILES = ModelFiles("sha256:1", "/m", "/c", "model", "m.zip", ("pandas", "numpy"), True)
SCRIPT = ScriptFile("script/s.py", "sha256:2")
CALL = Call("predict_proba", {"of": 4}, ("a", "b"), 1, {"k": None}, {"A": "1"}, SCRIPT, 5, 0.5)
SETTINGS = Settings(
    model=FILES,
    columns=(InputColumn(0, {"type": "double"}), InputColumn("x", {"type": "json", "of": {"type": "long"}})),
    form="frame",
    outputs=(OutputColumn("y", {"type": "array", "of": {"type": "float"}}, (-1, 2), None), OutputColumn(None, {})),
    checks=(("null_value", "input", "x is null"),),
    call=CALL,
    params={"p": 1},
    time_zone="Europe/Zurich",
    on_error="collect",
    detail="full",
    end_after=3,
    served=True,
    key=("id",),
)


def plain(settings: Settings) -> object:
    return json.loads(settings.to_json())


@pytest.mark.parametrize("call", [CALL, Call()], ids=["all", "predict"])
def test_settings_are_read_as_they_were_written(call):
    settings = replace(SETTINGS, call=call)
    read = Settings.from_json(settings.to_json())
    assert plain(read) == plain(settings)
    assert (type(read.model), type(read.call.script)) == (ModelFiles, type(call.script))
    assert [type(one) for one in (*read.columns, *read.outputs)] == [InputColumn] * 2 + [OutputColumn] * 2


def test_no_key_is_at_its_default_here_so_each_of_them_travels():
    for value, default in ((SETTINGS, Settings(ModelFiles(""), (), "", ())), (CALL, Call()), (FILES, ModelFiles(""))):
        for one in fields(value):
            assert getattr(value, one.name) != getattr(default, one.name), one.name


def test_a_call_is_read_as_it_was_written():
    assert Call.from_json(CALL.to_json()).to_json() == CALL.to_json()
    assert Call.from_json(Call().to_json()) == Call()


@pytest.mark.parametrize("version", [None, 0, 2])
def test_settings_of_another_version_are_refused(version):
    values = json.loads(SETTINGS.to_json())
    values["format"] = version
    with pytest.raises(ValueError, match="another format"):
        Settings.from_json(json.dumps(values))
