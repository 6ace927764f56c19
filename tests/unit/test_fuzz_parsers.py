"""Damaged documents: whatever reads one gives its value or its own error with a plain message, and nothing else."""

from __future__ import annotations

import bz2
import dataclasses
import gzip
import io
import itertools
import json
import logging
import lzma
import os
import re
import tarfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from spark_scoring.cli.given_job import pairs
from spark_scoring.delta.metadata import RunMetadata
from spark_scoring.environment.manifest import MANIFEST, Manifest, read_manifest
from spark_scoring.errors import ConfigurationError, ModelError, ScoringError
from spark_scoring.jobs.config import ScoringJob
from spark_scoring.jobs.model_config import ModelConfig
from spark_scoring.jobs.sql_pieces import pieces, without_ending
from spark_scoring.jobs.sql_variables import fill_sql
from spark_scoring.jobs.variables import Variable, fill_name, fill_text
from spark_scoring.models.allow import is_allowed
from spark_scoring.models.model_uri import local_folder, registered_name
from spark_scoring.models.pinned import pin
from spark_scoring.models.script import read_script
from spark_scoring.models.signature_file import read_signature, signature_text
from spark_scoring.record import local_index
from spark_scoring.redaction import printable, redact
from spark_scoring.spark.failures import first_line, message_of, scoring_failure
from spark_scoring.worker.failures import RowFailure, ScoringFailedError, read_failure
from spark_scoring.worker.files.content import MalformedFile, unpack
from spark_scoring.worker.files.footers import columns_of
from spark_scoring.worker.files.records import Dialect
from spark_scoring.worker.files.rows import Layout, faults_of, header_of, many_documents, rows_of
from spark_scoring.worker.requirements import differences
from tests import fuzz
from tests.damage import damaged

CONF = Path(__file__).parents[2] / "conf"
# One parser's time in `make test-full`.
SECONDS = int(os.environ.get("SPARK_SCORING_FUZZ_SECONDS", "600"))
# What a single document may take of the processor; a quarter of it is what none was seen to take.
PATIENCE = 20

PASSWORD = re.compile(r"\w://\w*:hunter2@\w")

Reader = Callable[[bytes], bool]


def refused(error: ScoringError, *kinds: type[ScoringError]) -> bool:
    """Checks an error that a person reads."""
    assert isinstance(error, kinds), type(error)
    problems = getattr(error, "problems", ()) or (error,)
    for problem in problems:
        assert problem.code
        assert problem.message
        assert problem.remedy or error.remedy
        assert len(problem.message) < 25_000
        json.dumps(problem.message).encode()
        assert not PASSWORD.search(problem.message)
    return False


def job_files(folder: Path) -> tuple[list[str | bytes], Reader]:
    samples = [file.read_text() for file in sorted(CONF.glob("*.yml")) if file.name != "databricks.yml"]
    more = """
model: {uri: models:/a@b, allow: [s3://b/x, models:/a], params: {p: 1, q: [1.5, x]}, top_k: 3}
input: {sql: "SELECT * FROM t WHERE d = '${v}' AND n > ${n}", columns: {a: b}, key: [id], time_zone: Europe/Berlin}
output: {path: out/${v}, mode: replace_where, replace_where: {day: "${v}"}, partition_by: [day], columns: [a, b]}
errors: {threshold: 1%, quarantine: bad, detail: full}
audit: {min_rows: 1, null_ratio: 0.1, range: [0, 1], class_share: {a: [0, 1]}, expect: [prediction > 0]}
staging: {location: s, keep: 7d}
vars: {v: 2024-01-31, n: null}
"""

    def read(content: bytes) -> bool:
        file = folder / "job.yml"
        file.write_bytes(content)
        try:
            job = ScoringJob.from_yaml(file, variables={"n": "7"} if b"${n}" in content else {})
        except ConfigurationError as exc:
            return refused(exc, ConfigurationError)
        if job.model.script is None:
            assert len(job.fingerprint()) > 10
        assert ScoringJob.from_values(job.model_dump(mode="json"), source="itself") is not None
        return True

    return [*samples, more], read


def overrides(folder: Path) -> tuple[list[str | bytes], Reader]:
    def read(content: bytes) -> bool:
        try:
            given = pairs("--set", [content.decode("utf-8", "surrogateescape")])
            ScoringJob.from_options({"model.uri": "m", "input.path": "x", "output.path": "y", **given})
        except ConfigurationError as exc:
            return refused(exc, ConfigurationError)
        return True

    return ["output.mode=append", "input.columns={a: b}", "errors.threshold=1%", "audit.range=[0, 1]",
            "staging.keep=7d", "model.params={a: [1, 2.5]}", "output.replace_where={k: 2024-01-31}"], read  # fmt: skip


MLMODEL = """
artifact_path: model
flavors:
  python_function:
    env: {conda: conda.yaml, virtualenv: python_env.yaml}
    loader_module: mlflow.sklearn
    model_path: model.pkl
    predict_fn: predict
    python_version: 3.11.4
  sklearn: {code: null, pickled_model: model.pkl, serialization_format: cloudpickle, sklearn_version: 1.7.2}
mlflow_version: 3.4.0
model_id: m-0123456789abcdef0123456789abcdef
model_size_bytes: 1234
model_uuid: m-0123456789abcdef0123456789abcdef
run_id: 0123456789abcdef0123456789abcdef
saved_input_example_info: {artifact_path: input_example.json, type: dataframe}
signature:
  inputs: '[{"type": "double", "name": "a", "required": true},
    {"type": "array", "items": {"type": "long"}, "name": "b"}]'
  outputs: '[{"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1, 2]}}]'
  params: '[{"name": "p", "default": 1, "shape": null, "type": "long"}]'
type_hint_from_example: false
utc_time_created: '2026-01-31 12:00:00.000000'
metadata: {a: 1}
"""


def models(folder: Path) -> tuple[list[str | bytes], Reader]:
    def read(content: bytes) -> bool:
        (folder / "MLmodel").write_bytes(content)
        try:
            model = pin(ModelConfig(uri=str(folder)))
        except ModelError as exc:
            return refused(exc, ModelError)
        assert isinstance(model.is_spark_ml, bool)
        assert model.flavors
        return True

    return [MLMODEL], read


def signatures(folder: Path) -> tuple[list[str | bytes], Reader]:
    plain = """
inputs:
- {name: a, type: double}
- {name: b, type: array, items: {type: object, properties: {x: {type: long, required: true}}}}
- {name: c, type: map, values: {type: string}, required: false}
outputs: [{type: long}]
"""
    tensors = '{"inputs": [{"type": "tensor", "name": "t", "tensor-spec": {"dtype": "float32", "shape": [-1, 3]}}]}'

    def read(content: bytes) -> bool:
        file = folder / "signature.yml"
        file.write_bytes(content)
        try:
            signature = read_signature(str(file))
        except ConfigurationError as exc:
            return refused(exc, ConfigurationError)
        again = folder / "again.yml"
        again.write_text(signature_text(signature))
        assert read_signature(str(again)) == signature
        return True

    return [plain, tensors, MLMODEL], read


def requirements(folder: Path) -> tuple[list[str | bytes], Reader]:
    text = """mlflow==3.4.0
scikit-learn>=1.5,<2 ; python_version < "3.13" and (platform_system == "Linux" or extra == 'x')
package[extra,other] @ https://user:hunter2@host/x-1.0-py3-none-any.whl  # a comment
-r more.txt
--extra-index-url https://host/simple
./local/path
torch==2.4.0+cpu; sys_platform != 'win32'
numpy~=2.0
"""

    def read(content: bytes) -> bool:
        lines = content.decode("utf-8", "replace").splitlines()
        return all(str(difference) for difference in differences(lines))

    return [text], read


def manifests(folder: Path) -> tuple[list[str | bytes], Reader]:
    manifest = Manifest("models:/a/1", "3.11", "linux-x86_64", ("mlflow==3.4.0",), {"mlflow": "3.4.0", "numpy": "2.1"})
    text = manifest.to_json()

    def archive(content: bytes) -> bytes:
        stream = io.BytesIO()
        with tarfile.open(fileobj=stream, mode="w:gz") as tar:
            entry = tarfile.TarInfo(MANIFEST)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
        return stream.getvalue()

    packed = archive(text.encode())

    def read(content: bytes) -> bool:
        file = folder / "env.tar.gz"
        file.write_bytes(content if content.startswith(b"\x1f\x8b") else archive(content))
        try:
            manifest = read_manifest(str(file))
        except ConfigurationError as exc:
            return refused(exc, ConfigurationError)
        differences(manifest.requirements, manifest.installed)
        return True

    return [text, text, packed, gzip.decompress(packed)], read


CSV = 'id,name,amount\r\n1,"say ""hi"" now",1.5\r\n2,"two\nlines",\r\n3,C:\\data,NA\r\n'
DIALECTS = [
    Dialect(),
    Dialect(";", nulls=("NA",)),
    Dialect("\t", "", ""),
    Dialect(escape="\\"),
    Dialect("||", "'", "'", line_end="any"),
    Dialect(header=False, encoding="latin-1"),
    Dialect(encoding="utf-16"),
    Dialect(line_end="\r\n"),
]


def files(content: bytes, path: str) -> Iterator[Any]:
    return iter([pa.RecordBatch.from_pydict({"path": [path], "content": [content]})])


def plain(message: str) -> None:
    assert message
    assert len(message) < 1_500
    message.encode()
    assert fuzz.SECRET not in message


def delimited(folder: Path) -> tuple[list[str | bytes], Reader]:
    samples: list[str | bytes] = [CSV, CSV.replace(",", ";"), CSV.replace(",", "\t"), CSV.replace('""', '\\"')]
    samples += [CSV.encode("utf-16"), gzip.compress(CSV.encode()), CSV.replace(",", "||").replace('"', "'")]
    turns = itertools.cycle(DIALECTS)

    def read(content: bytes) -> bool:
        dialect = next(turns)
        for end in (content[:40], content):
            try:
                header = header_of(end, "a.csv", dialect, whole=end is content)
            except MalformedFile as exc:
                plain(str(exc))
                header = None
            except EOFError:
                assert end is not content
        if header is None:
            header = ["id", "name", "amount"]
        names = [f"c{number}" for number, _ in enumerate(header)]
        layout = Layout(pa.schema([(name, pa.string()) for name in names]), header, ())
        (faults,) = faults_of(dialect, layout)(files(content, "a.csv"))
        said = [f"a.csv: {fault['message']}" for fault in faults.to_pylist()]
        try:
            list(rows_of(dialect, layout)(files(content, "a.csv")))
        except ScoringFailedError as exc:
            raised = [exc.failure.message]
        else:
            raised = []
        assert said == raised
        for message in said:
            plain(message)
        return not said

    return samples, read


def json_files(folder: Path) -> tuple[list[str | bytes], Reader]:
    text = '{"id": 1, "name": "a", "nested": {"x": [1.5, null]}}'

    def read(content: bytes) -> bool:
        (told,) = many_documents(files(content, "a.json"))
        for fault in told.to_pylist():
            plain(fault["message"])
        return told.num_rows == 0

    return [text, f"[{text},\n {text}]", f"{text}\n{text}\n", gzip.compress(text.encode())], read


def packed_files(folder: Path) -> tuple[list[str | bytes], Reader]:
    body = CSV.encode() * 20
    zstd = pa.BufferOutputStream()
    with pa.CompressedOutputStream(zstd, "zstd") as stream:
        stream.write(body)
    samples = [gzip.compress(body), bz2.compress(body), lzma.compress(body), zstd.getvalue().to_pybytes()]

    def read(content: bytes) -> bool:
        for path in ("a", "a.deflate"):
            for whole in (True, False):
                try:
                    unpack(content, path, whole=whole)
                except MalformedFile as exc:
                    plain(str(exc))
                    return False
        return True

    return [*samples], read


def footers(folder: Path) -> tuple[list[str | bytes], Reader]:
    frame = pd.DataFrame({"a": [1, None], "t": pd.to_datetime(["2024-01-31", None]), "s": ["x", "y"]})
    frame["l"] = [[1.5], [2.5, None]]
    samples = []
    for compression in ("snappy", None):
        stream = io.BytesIO()
        frame.to_parquet(stream, compression=compression)
        samples.append(stream.getvalue())

    def read(content: bytes) -> bool:
        (rows,) = columns_of(files(content, "a.parquet"))
        return all(row["problem"] is None for row in rows.to_pylist())

    return [*samples], read


VALUES = {"v": "2024-01-31", "n": "7", "x": "it's", "id": "id", "store": "007"}


def lookup(name: str) -> Variable:
    if name not in VALUES:
        raise ConfigurationError("no such variable", code="unset_variable", remedy="give it")
    return Variable(name, VALUES[name], is_typed=True)


def sql(folder: Path) -> tuple[list[str | bytes], Reader]:
    samples: list[str | bytes] = [
        "SELECT a, `b c`, 'it''s' FROM t JOIN ${v} ON x = ${n} WHERE d = '${v}' AND e = \"${x}\" -- ${n}\n /* ${v} */;",
        "id = ${n} AND r'\\d' = '${store}' AND t.${id} > 1.${n} OR `${id}` IS NULL",
        "SELECT /*+ hint */ map('a', 1)['${v}'], DATE '${v}', X'00' FROM schema_${n}.t TABLESAMPLE (${n} PERCENT);;",
    ]

    def read(content: bytes) -> bool:
        text = content.decode("utf-8", "surrogateescape")
        assert "".join(piece.text for piece in pieces(text)) == text
        without_ending(text)
        read = True
        fills: tuple[Callable[[], str], ...] = (
            lambda: fill_sql(text, lookup, "input.sql", "job.yml"),
            lambda: fill_name(text, lookup, "output.path", "job.yml"),
            lambda: fill_text(text, lookup),
        )
        for fill in fills:
            try:
                fill()
            except ConfigurationError as exc:
                read = refused(exc, ConfigurationError)
        return read

    return samples, read


def uris(folder: Path) -> tuple[list[str | bytes], Reader]:
    samples: list[str | bytes] = [
        "models:/flights@champion", "models:/flights/3", "models:/m-0123456789abcdef0123456789abcdef", "runs:/ab/model",
        "s3://bucket/a/b%20c?x=1#y", "http://user:hunter2@host.example:8080/x/../y", "dbfs:/models/x", "file:///a/b c",
        "/a/b", "./a",
        "models://reg/x/1", "abfss://c@acc.dfs.example/x", "http://[::1]:80/x", "mlflow-artifacts:/1/x",
    ]  # fmt: skip
    entries = ["http://good.example", "s3://good", "models:/reg", "models:/reg@a", "/a", "file:///a", str(folder)]

    def read(content: bytes) -> bool:
        text = content.decode("utf-8", "surrogateescape")
        local_folder(text)
        fine = True
        try:
            registered_name(text)
        except ModelError as exc:
            fine = refused(exc, ModelError)
        for entry in (*entries, text, text.rpartition("/")[0]):
            try:
                is_allowed(text, entry)
            except ModelError as exc:
                fine = refused(exc, ModelError)
        return fine

    return samples, read


def commits(folder: Path) -> tuple[list[str | bytes], Reader]:
    metadata = RunMetadata(
        run_id="nightly", attempt="a1", job="f1", model_id="flights/3", digest="sha256:00", input="t", input_version=3,
        scored_at=1_769_817_600_000_000,
    )  # fmt: skip
    text = metadata.to_json()
    covering = json.dumps({**json.loads(text), "covers": {"table": "t", "version": 3}, "predictions": ["p"], "rows": 2})

    def read(content: bytes) -> bool:
        said = RunMetadata.from_json(content.decode("utf-8", "replace"))
        if said is None:
            return False
        assert dataclasses.asdict(said)
        assert said.is_of_same_job(said)
        assert said.transaction_id
        return RunMetadata.from_json(said.to_json()) is not None

    return [text, covering], read


def indexes(folder: Path) -> tuple[list[str | bytes], Reader]:
    job = ScoringJob.from_options({"model.uri": "m", "input.path": "x", "output.path": "y"})
    text = json.dumps(job.model_dump(mode="json", exclude_defaults=True))
    tables = json.dumps([{"run_id": "nightly", "runs_table": "a.b"}, {"run_id": "r", "runs_table": "/x/y"}])

    def read(content: bytes) -> bool:
        local_index.remember("nightly", "/y", {})
        (file,) = local_index._files("nightly")
        file.write_bytes(content)
        (local_index._FOLDER / local_index._TABLES).write_bytes(content)
        last = local_index.last_table()
        assert last is None or isinstance(last, str)
        try:
            local_index.recall("nightly")
        except ConfigurationError as exc:
            return refused(exc, ConfigurationError)
        return True

    return [text, tables], read


def scripts(folder: Path) -> tuple[list[str | bytes], Reader]:
    source = '''"""Scores."""
import pandas as pd

model = None

def init():
    global model
    model = 1

def run(batch: pd.DataFrame, *, scale: float = 1.0) -> pd.Series:
    if batch.empty:
        return [x * 2 for x in batch["a"]]
    with open("f") as f, open("g") as g:
        return lambda: f"{batch!r:>{scale}}"
'''

    def read(content: bytes) -> bool:
        file = folder / "score.py"
        file.write_bytes(content)
        try:
            read_script(str(file))
        except ConfigurationError as exc:
            return refused(exc, ConfigurationError)
        return True

    return [source], read


class RaisedError(Exception):
    """What Spark raised, as far as its text goes."""


def failures(folder: Path) -> tuple[list[str | bytes], Reader]:
    marked = ScoringFailedError("row", RowFailure("cast_failed", "input", "the column a"))
    samples: list[str | bytes] = [
        f"Job aborted due to stage failure: Task 0 in stage 1.0 failed 4 times\n{marked}\n\tat org.X.y(Z.java:1)",
        '[CAST_INVALID_INPUT] The value \'patient s50\' of the type "STRING" cannot be cast to "INT".\n== SQL ==',
        "[FAILED_READ_FILE.NO_HINT] Encountered error while reading file file:///a/b.parquet. SQLSTATE: KD001\nCaused",
        'PythonException: Traceback (most recent call last):\n  File "a.py", line 1\nValueError: x\n',
        "Python worker exited unexpectedly (crashed)",
        "No module named 'xgboost'",
    ]

    def read(content: bytes) -> bool:
        text = content.decode("utf-8", "replace")
        exc = RaisedError(text)
        refused(scoring_failure(exc), ScoringError)
        read_failure(text)
        for said in (first_line(exc), message_of(exc), redact(text), printable(text)):
            said.encode("utf-8", "surrogatepass")
        return True

    return samples, read


PARSERS = {
    "a job file": job_files,
    "an option's value": overrides,
    "an MLmodel file": models,
    "a signature file": signatures,
    "requirements": requirements,
    "an archive's manifest": manifests,
    "delimited text": delimited,
    "a JSON file": json_files,
    "a packed file": packed_files,
    "a Parquet footer": footers,
    "SQL with variables": sql,
    "a model's URI": uris,
    "a commit's metadata": commits,
    "the index of runs": indexes,
    "a scoring script": scripts,
    "what Spark raised": failures,
}


def read_each(name: str, folder: Path, documents: Iterator[bytes]) -> int:
    _, read = PARSERS[name](folder)
    good = 0
    for number, content in enumerate(documents):
        before = time.process_time()
        try:
            good += read(content)
        except BaseException as exc:
            raise AssertionError(f"document {number}: {content[:3_000]!r}") from exc
        assert time.process_time() - before < PATIENCE, f"document {number}: {content[:3_000]!r}"
    return good


@pytest.mark.parametrize("name", PARSERS)
def test_a_damaged_document_is_read_or_told(name, tmp_path):
    samples, _ = PARSERS[name](tmp_path)
    assert read_each(name, tmp_path, itertools.islice(damaged(1, samples), 80)) > 0


@pytest.mark.full
@pytest.mark.timeout(SECONDS + 300)
@pytest.mark.parametrize("name", PARSERS)
def test_ten_minutes_of_damaged_documents(name, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    samples, _ = PARSERS[name](tmp_path)
    count = itertools.count()
    end = time.monotonic() + SECONDS
    seed = time.time_ns()

    def until() -> Iterator[bytes]:
        for content in damaged(seed, samples):
            if time.monotonic() > end:
                return
            next(count)
            yield content

    try:
        assert read_each(name, tmp_path, until()) > 0
    except AssertionError as exc:
        raise AssertionError(f"seed {seed}: {exc}") from exc
    logging.getLogger(__name__).info("%s: %d documents in %d s, seed %d", name, next(count), SECONDS, seed)
