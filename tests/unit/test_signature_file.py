"""Signature files: a tensor's type is a name of numbers, texts or times, and what is read is written the same."""

from __future__ import annotations

import pytest

from spark_scoring.errors import ConfigurationError
from spark_scoring.models.signature_file import read_signature, signature_text

TENSOR = "inputs: [{{name: t, type: tensor, tensor-spec: {{dtype: {}, shape: [-1, 3]}}}}]"


@pytest.mark.parametrize("dtype", ["null", "[]", "{}", "[[a, int32]]", "1", "void", "V8", '"i4,f8"'])
def test_a_tensor_of_no_named_type_is_refused(dtype, tmp_path):
    file = tmp_path / "signature.yml"
    file.write_text(TENSOR.format(dtype))
    with pytest.raises(ConfigurationError, match="a tensor's") as caught:
        read_signature(str(file))
    assert caught.value.code == "bad_signature"


@pytest.mark.parametrize("dtype", ["float64", "int8", "bool", "object", "str", "datetime64", "'<f4'"])
def test_a_tensor_of_a_named_type_is_written_as_it_is_read(dtype, tmp_path):
    file = tmp_path / "signature.yml"
    file.write_text(TENSOR.format(dtype))
    signature = read_signature(str(file))
    file.write_text(signature_text(signature))
    assert read_signature(str(file)) == signature
