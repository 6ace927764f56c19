"""The code that reads requests runs where this package can't be imported."""

import json
import subprocess
import sys

import pyarrow as pa
from mlflow.types import ColSpec, Schema
from pyspark import cloudpickle

from spark_scoring.reading.requests import travelling
from spark_scoring.worker.payload.requests import Reading
from spark_scoring.worker.payload.rows import Layout, rows_of

PROGRAM = """
import pickle, sys
sys.modules["spark_scoring"] = None
import pyarrow as pa
function = pickle.load(open(sys.argv[1], "rb"))
content = sys.argv[2].encode()
for batch in function([pa.RecordBatch.from_pydict({"path": ["one.json"], "content": [content]})]):
    print(batch.to_pylist())
"""


def test_it_travels_as_code(tmp_path):
    schema = pa.schema([("a", pa.float64()), ("_file", pa.string()), ("_request", pa.int64()), ("_row", pa.int64())])
    function = rows_of(Reading(Schema([ColSpec("double", "a")]).to_json()), Layout(schema, {"a": "a"}, ()))
    (tmp_path / "function").write_bytes(cloudpickle.dumps(travelling(function)))
    words = [sys.executable, "-W", "ignore", "-c", PROGRAM, str(tmp_path / "function")]
    good = subprocess.run([*words, json.dumps({"inputs": [1, 2]})], capture_output=True, text=True, cwd=tmp_path)
    assert good.stdout.strip() == str(
        [{"a": float(row + 1), "_file": "one.json", "_request": 0, "_row": row} for row in range(2)]
    ), good.stderr
    bad = subprocess.run([*words, json.dumps({"inputs": [1, "q"]})], capture_output=True, text=True, cwd=tmp_path)
    assert "one.json: inputs.a[1]: expected double" in bad.stderr
