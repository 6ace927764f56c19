"""The first steps: help, `init`, the job file's schema, the job file that is found, and what a shell completes."""

import ast
import gzip
import json
import lzma
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, Schema

from spark_scoring.cli import asking, console, main
from spark_scoring.jobs.config import ScoringJob
from spark_scoring.jobs.descriptions import DESCRIPTIONS
from spark_scoring.jobs.schema import EDITOR_LINE, SCHEMA_FILE, job_schema, schema_text
from spark_scoring.jobs.yaml_file import read_yaml
from spark_scoring.starter.csv_options import csv_options
from spark_scoring.starter.files import format_of
from tests.unit.programs import environment

ROOT = Path(__file__).parents[2]
JOB_FILES = [file for file in sorted((ROOT / "conf").glob("*.yml")) if file.name != "databricks.yml"]


@pytest.fixture
def cli(monkeypatch, capsys, tmp_path):
    """Runs the command line in an empty folder; returns its exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["spark-scoring", *words])
        monkeypatch.setattr(console, "quiet", lambda: None)
        code = main()
        return (code, *capsys.readouterr())

    return run


def wrong(value, shape, place="job"):
    """Returns where a value does not fit a schema; of draft 7 only the words that ours has."""
    if "anyOf" in shape:
        return [] if any(not wrong(value, one, place) for one in shape["anyOf"]) else [place]
    kinds: dict = {
        "string": str,
        "integer": int,
        "number": (int, float),
        "boolean": bool,
        "object": dict,
        "array": list,
    }
    kinds["null"] = type(None)
    if "type" in shape and not isinstance(value, kinds[shape["type"]]):
        return [place]
    found = [place] if "enum" in shape and value not in shape["enum"] else []
    if "pattern" in shape and not re.search(shape["pattern"], value):
        found.append(place)
    if isinstance(value, dict):
        found += [f"{place}.{key}" for key in shape.get("required", ()) if key not in value]
        for key, inner in value.items():
            other = shape.get("additionalProperties", {})
            one = shape.get("properties", {}).get(key, other)
            found += [f"{place}.{key}"] if one is False else wrong(inner, {} if one is True else one, f"{place}.{key}")
    if isinstance(value, list) and isinstance(shape.get("items"), dict):
        found += [problem for inner in value for problem in wrong(inner, shape["items"], f"{place}[]")]
    return found


def test_no_words_at_all_are_help(cli):
    code, out, err = cli()
    assert (code, err) == (0, "")
    assert "Usage: spark-scoring" in out
    assert "--verbose" in out


def test_every_key_of_a_job_file_is_described_and_no_other():
    keys = {key for key, shape in job_schema()["properties"].items()}
    for key, section in job_schema()["properties"].items():
        part = section if "properties" in section else next((one for one in section.get("anyOf", ())), {})
        keys |= {f"{key}.{name}" for name in part.get("properties", ())}
    assert keys == set(DESCRIPTIONS)


@pytest.mark.parametrize("file", JOB_FILES, ids=lambda file: file.name)
def test_the_examples_satisfy_the_schema_that_their_first_line_names(file):
    text = file.read_text(encoding="utf-8")
    assert text.splitlines()[0] == EDITOR_LINE
    assert wrong(read_yaml(text, file.name), job_schema()) == []


def test_the_schema_beside_the_examples_is_this_one(cli):
    assert (ROOT / "conf" / SCHEMA_FILE).read_text(encoding="utf-8") == schema_text(), "spark-scoring schema prints it"
    code, out, _ = cli("schema")
    assert (code, out) == (0, schema_text())
    assert json.loads(cli("schema", "--json")[1]) == job_schema()


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ("model: {uri: m}\ninput: {table: t}\noutput: {table: s, mode: apend}\n", ["job.output"]),
        ("model: {uri: m}\ninput: {table: t, wehre: a}\n", ["job.input.wehre"]),
        ("model: {}\ninput: {table: t}\n", ["job.model.uri"]),
        ("model: {uri: m}\ninput: {table: t, version: 1.5}\n", ["job.input.version"]),
        ("model: {uri: m}\ninput: {table: t}\nerrors:\naudit:\nvars: {day: null}\n", []),
        ("model: {uri: m}\ninput: {table: t, version: '${v}'}\nerrors: {threshold: 1%, inline: true}\n", []),
    ],
)
def test_the_schema_tells_what_is_wrong(change, place):
    assert wrong(read_yaml(change, "job"), job_schema()) == place


@pytest.fixture
def model(adds, tmp_path):
    os.symlink(adds, tmp_path / "model")
    return "./model"


def test_init_writes_a_job_that_is_the_one_of_the_options(cli, model, tmp_path):
    (tmp_path / "in.csv").write_text("id,a,b\n1,2,3\n")
    words = ("--input", "in.csv", "--output", "./scored", "--key", "id", "--mode", "append")
    code, out, _ = cli("init", "--model", model, *words, "--json")
    assert (code, json.loads(out)) == (0, {"files": ["job.yml", SCHEMA_FILE]})
    job = ScoringJob.from_yaml(tmp_path / "job.yml")
    assert job.model.uri == str(tmp_path / "model")
    assert (job.input.path, job.input.format, job.input.key) == (str(tmp_path / "in.csv"), "csv", ("id",))
    assert (job.output.path, job.output.mode) == (str(tmp_path / "scored"), "append")
    text = (tmp_path / "job.yml").read_text()
    assert text.splitlines()[0] == EDITOR_LINE
    assert str(tmp_path) not in text, "the folder may be moved"
    assert "'a': double" in text
    assert not [key for key in DESCRIPTIONS if "." in key and f" {key.partition('.')[2]}: " not in text]
    assert wrong(read_yaml(text, "job.yml"), job_schema()) == []


def test_each_commented_key_of_that_file_shows_its_default(cli, model, tmp_path):
    cli("init", "--model", model, "--input", "numbers", "--output", "scores")
    lines = (tmp_path / "job.yml").read_text().splitlines()
    whole = [re.sub(r"^  # (\w+: .*?)  +# .*", r"  \1", line) for line in lines]
    kept = [line for line in whole if not re.match(r"  (table|sql|path): null", line)]
    filled = ScoringJob.from_values(read_yaml("\n".join(kept), "job.yml"), source="job.yml")
    written = ScoringJob.from_yaml(tmp_path / "job.yml")
    assert filled.model_copy(update={"model": written.model}) == written


def test_init_writes_over_nothing(cli, model, tmp_path):
    (tmp_path / "job.yml").write_text("mine")
    words = ("init", "--model", model, "--input", "numbers", "--output", "scores")
    code, _, err = cli(*words)
    assert code == 2
    assert "there is job.yml already" in err
    assert (tmp_path / "job.yml").read_text() == "mine"
    assert cli(*words, "--force")[0] == 0
    assert cli("init", "flights.yml", *words[1:])[0] == 0


def test_init_writes_a_notebook_and_a_bundle(cli, model, tmp_path):
    words = ("--input", "numbers", "--output", "scores", "--notebook", "--bundle")
    assert cli("init", "jobs/sums.yml", "--model", model, *words)[0] == 0
    notebook = json.loads((tmp_path / "jobs" / "sums.ipynb").read_text())
    code = "\n".join("".join(cell["source"]) for cell in notebook["cells"])
    ast.parse(code)
    assert "ScoringJob.from_yaml('sums.yml')" in code
    bundle = read_yaml((tmp_path / "jobs" / "databricks.yml").read_text(), "databricks.yml")
    tasks = {task["task_key"]: task for task in bundle["resources"]["jobs"]["score"]["tasks"]}
    words = tasks["score"]["python_wheel_task"]["parameters"]
    assert words[:3] == ["score", "${workspace.file_path}/sums.yml", "--run-id={{job.run_id}}"]
    watched = {"runs": "scoring_runs", "scored": "scores", "prediction": "prediction"}
    assert tasks["monitor"]["notebook_task"] == {"notebook_path": "./monitor.py", "base_parameters": watched}
    assert (tmp_path / "jobs" / "monitor.py").read_text() == (ROOT / "notebooks" / "monitor.py").read_text()
    job = ScoringJob.from_yaml(tmp_path / "jobs" / "sums.yml")
    assert job.output is not None
    assert job.output.mode == "append", "the second night finds a target"


def test_init_s_bundle_installs_what_the_model_needs(cli, adds, tmp_path):
    shutil.copytree(adds, tmp_path / "own")
    (tmp_path / "own" / "requirements.txt").write_text("mlflow==3.1\nscikit-learn==1.9.1\n")
    assert cli("init", "--model", "./own", "--input", "numbers", "--output", "scores", "--bundle")[0] == 0
    text = (tmp_path / "databricks.yml").read_text()
    assert (text.count("scikit-learn==1.9.1"), text.count("mlflow==")) == (2, 0)


def test_a_text_with_a_variables_mark_stays_text(cli, model, tmp_path):
    cli("init", "--model", model, "--input", "./a${b}.csv", "--output", "scores")
    assert ScoringJob.from_yaml(tmp_path / "job.yml").input.path == str(tmp_path / "a${b}.csv")


def test_without_a_terminal_init_names_what_is_missing(cli, model):
    code, _, err = cli("init", "--model", model)
    assert code == 2
    assert "--input, --output are missing" in err


def test_on_a_terminal_init_asks_for_it(cli, model, tmp_path, monkeypatch):
    answers = {"--input": "numbers", "--output": " scores "}
    monkeypatch.setattr(asking, "_is_terminal", lambda: True)
    questions = {question: option for option, question in asking._QUESTIONS.items()}
    monkeypatch.setattr("typer.prompt", lambda question, err: answers[questions[question]])
    assert cli("init", "--model", model)[0] == 0
    assert ScoringJob.from_yaml(tmp_path / "job.yml").output.table == "scores"


def test_init_of_a_model_that_is_not_there_writes_nothing(cli, tmp_path):
    assert cli("init", "--model", "./none", "--input", "numbers", "--output", "scores")[0] == 4
    assert not (tmp_path / "job.yml").exists()


@pytest.mark.parametrize(
    ("name", "text", "delimiter"),
    [
        ("in.csv", "id;a;b\n1;2.5;3.5\n", ";"),
        ("in.csv", "id\ta\tb\n1\t2\t3\n", "\t"),
        ("in.tsv", "id\ta\tb\n1\t2\t3\n", "\t"),
        ("in.csv", "id|a|b\n1|2|3\n", "|"),
        ("in.csv", "id,a,b\n1,2,3\n", None),
        ("in.csv", "id,note; a,b\n1,x; y,3\n", None),
        ("in.csv", 'id,"x;y;z;w",b\n1,2,3\n', None),
        ("in.csv", "name, first;a, b;c, d;e\nx;1,5;2;3\ny;1;2,5;3\n", ";"),
        ("in.csv", "id\n1\n", None),
        ("in.csv", "", None),
    ],
)
def test_init_writes_the_delimiter_that_the_first_lines_have(cli, model, tmp_path, name, text, delimiter):
    wanted = {} if delimiter is None else {"delimiter": delimiter}
    encodings = {
        "": str.encode,
        ".gz": lambda text: gzip.compress(text.encode()),
        ".xz": lambda t: lzma.compress(t.encode()),
    }
    for ending, packed in encodings.items():
        (tmp_path / f"{name}{ending}").write_bytes(packed(text))
        assert cli("init", "--force", "--model", model, "--input", f"{name}{ending}", "--output", "./scored")[0] == 0
        assert ScoringJob.from_yaml(tmp_path / "job.yml").input.options == wanted


def test_the_delimiter_of_a_folder_is_that_of_its_first_file(tmp_path):
    (tmp_path / "day=1").mkdir()
    (tmp_path / "_SUCCESS").touch()
    (tmp_path / "day=1" / "x.csv").write_text("\ufeffid;a\r\n1;2\r\n", encoding="utf-16")
    assert csv_options(str(tmp_path)) == {"delimiter": ";"}
    (tmp_path / "day=1" / "a.csv.gz").write_bytes(b"damaged")
    assert csv_options(str(tmp_path)) == {}
    assert csv_options(str(tmp_path / "none.csv")) == {}


@pytest.mark.parametrize(
    ("values", "options"),
    [
        (["2,5", "3,25"], {"decimal": ","}),
        (["1.234,5", "2"], {"decimal": ",", "thousands": "."}),
        (["1 234,5", ""], {"decimal": ",", "thousands": " "}),
        (["1.234,5", "1 234,5"], {"decimal": ","}),
        (["2,5", "2.5"], {}),  # of both kinds: nobody can tell
        (["1,234", "2,345"], {}),  # as likely thousands
        (["1,234", "2,34"], {"decimal": ","}),
        (["1.5", "2"], {}),
        (["a,b", "2"], {}),
        ([], {}),
    ],
)
def test_init_sees_the_marks_in_a_model_s_numbers(tmp_path, values, options):
    signature = ModelSignature(Schema([ColSpec("double", "Spend"), ColSpec("string", "note")]))
    rows = "".join(f"{value};7,5\n" for value in values)
    (tmp_path / "in.csv").write_text(f"spend;note\n{rows}", encoding="utf-8")
    assert csv_options(str(tmp_path / "in.csv"), signature) == {"delimiter": ";"} | options
    assert csv_options(str(tmp_path / "in.csv")) == {"delimiter": ";"}


def test_init_leaves_a_file_that_it_can_not_read_to_who_reads_all_of_it(tmp_path):
    # More than Python's csv takes for one value, packed into fewer bytes than are looked at.
    (tmp_path / "in.csv.gz").write_bytes(gzip.compress(b"a\n" + b"x" * 200_000 + b"\n"))
    assert csv_options(str(tmp_path / "in.csv.gz")) == {}


@pytest.mark.parametrize(
    ("names", "kind"),
    [
        (["x.csv"], "csv"),
        (["x.csv.gz"], "csv"),
        (["part/_SUCCESS", "part/day=1/x.parquet"], "parquet"),
        (["t/_delta_log/0.json", "t/x.parquet"], None),
        (["x.jsonl"], "json"),
        (["x.bin"], None),
        ([], None),
    ],
)
def test_the_format_is_read_off_the_names(tmp_path, names, kind):
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert format_of(str(tmp_path / names[0].split("/")[0] if names else "./nothing")) == kind


def test_the_job_file_in_the_working_directory_is_the_one_that_is_not_named(cli, tmp_path, monkeypatch):
    jobs = []

    def score(job, **_):
        jobs.append(job)
        raise RuntimeError

    monkeypatch.setattr("spark_scoring.runs.run.score", score)
    (tmp_path / "job.yml").write_text("model: {uri: 'models:/a/1'}\ninput: {table: t}\noutput: {table: s}\n")
    cli("score")
    cli("score", "--set", "output.mode=append")
    cli("score", "--model", "models:/b/1", "--input", "t", "--output", "s")
    assert [(job.model.uri, job.output.mode) for job in jobs] == [
        ("models:/a/1", "error"),
        ("models:/a/1", "append"),
        ("models:/b/1", "error"),
    ]


@pytest.mark.parametrize(
    ("words", "offered"), [("sco", ["score"]), ("jars ", ["fetch"]), ("score --repl", ["--replay"])]
)
def test_a_shell_completes_commands_and_options(words, offered):
    line = f"spark-scoring {words}"
    shell = {
        "_SPARK_SCORING_COMPLETE": "complete_bash",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(line.split(" ")) - 1),
    }
    program = "import sys; sys.argv = ['spark-scoring']; from spark_scoring.cli import main; sys.exit(main())"
    done = subprocess.run([sys.executable, "-c", program], env=environment(**shell), capture_output=True, text=True)
    assert (done.returncode, done.stdout.split(), done.stderr) == (0, offered, "")
