"""A batch deployment of Azure ML becomes a job file, and nothing of it is lost silently."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from spark_scoring.errors import ConfigurationError
from spark_scoring.importing import azure
from spark_scoring.importing.azure import convert
from spark_scoring.importing.document import Document
from spark_scoring.importing.mapping import Conversion
from spark_scoring.jobs.config import ScoringJob

PAGE = (Path(__file__).parents[2] / "docs" / "azure.md").read_text(encoding="utf-8")
MODEL = "model: azureml:flights:3\n"
OLD = """\
$schema: https://azuremlschemas.azureedge.net/latest/batchDeployment.schema.json
name: blue
endpoint_name: arrivals
description: late or not
tags: {team: a}
model: azureml:flights@latest
code_configuration:
  code: src
  scoring_script: score.py
environment:
  image: mcr.microsoft.com/azureml/minimal:latest
  conda_file: env.yml
compute: azureml:cpu
resources: {instance_count: 4, instance_type: Standard_DS3_v2, shm_size: 2g}
mini_batch_size: 5
error_threshold: -1
output_action: summary_only
output_file_name: rows.csv
retry_settings: {max_retries: 1, timeout: 300}
max_concurrency_per_instance: 2
logging_level: warning
environment_variables: {MODE: fast, LEVEL: 3, ON: true, PYTHONHASHSEED: 0, KEY: $KEY}
"""


def converted(text: str, folder: Path = Path("/jobs")) -> Conversion:
    return convert(Document.of_text(text, "deployment.yml"), folder)


def refusal(text: str) -> ConfigurationError:
    with pytest.raises(ConfigurationError) as caught:
        converted(text)
    assert caught.value.code == "import_refused"
    assert caught.value.remedy
    return caught.value


def became(conversion: Conversion) -> dict[str, tuple[str, str | None]]:
    return {one.key: (one.status, one.to) for one in conversion.mapping}


def test_every_key_of_the_older_form_is_converted_or_named():
    conversion = converted(OLD)
    assert conversion.title == "arrivals blue"
    assert conversion.values == {
        "model": {
            "uri": "models:/flights/latest",
            "script": "/jobs/src/score.py",
            "batch_size": 5,
            "timeout": 300,
            "extra_env": {"MODE": "fast", "LEVEL": "3", "ON": "true", "KEY": "$KEY"},
        },
        "errors": {"threshold": -1},
        "output": {"mode": "append"},
    }
    told = became(conversion)
    assert told["mini_batch_size"] == ("differs", "model.batch_size")
    assert told["code_configuration.scoring_script"] == ("differs", "model.script")
    assert told["retry_settings.max_retries"] == ("elsewhere", "--conf spark.task.maxFailures=2")
    assert told["environment_variables.PYTHONHASHSEED"][0] == "elsewhere"
    assert told["resources.instance_count"] == ("elsewhere", "--num-executors 4")
    assert told["logging_level"] == ("elsewhere", "--log-level warning")
    top = {key.partition(".")[0] for key in told}
    assert top == set(Document.of_text(OLD, "").values)
    lines = {one.key: one.line for one in conversion.mapping}
    assert (lines["mini_batch_size"], lines["code_configuration.scoring_script"]) == (15, 9)


def test_settings_below_their_own_key_are_the_same():
    text = (
        f"type: model\n{MODEL}settings:\n  mini_batch_size: 2\n  retry_settings: {{timeout: 9}}\n  error_threshold: 0\n"
    )
    conversion = converted(text)
    assert conversion.values["model"] == {"uri": "models:/flights/3", "batch_size": 2, "timeout": 9}
    assert "errors" not in conversion.values
    assert became(conversion)["settings.retry_settings.timeout"] == ("differs", "model.timeout")


def test_defaults_that_are_others_here_are_told():
    absent = {key: to for key, (status, to) in became(converted(MODEL)).items() if status == "absent"}
    assert absent == {
        "error_threshold": "errors.threshold",
        "mini_batch_size": "model.batch_size",
        "retry_settings.timeout": "model.timeout",
    }


WORKSPACE = "/subscriptions/1/resourceGroups/g/providers/Microsoft.MachineLearningServices/workspaces/w"


@pytest.mark.parametrize(
    ("written", "uri"),
    [
        ("azureml:flights:3", "models:/flights/3"),
        ("flights:3", "models:/flights/3"),
        ("azureml:flights", "models:/flights/latest"),
        ("azureml:flights@latest", "models:/flights/latest"),
        ("azureml:flights@prod", "models:/flights@prod"),
        ("azureml://registries/r/models/flights/versions/3", "models:/flights/3"),
        ("azureml://registries/r/models/flights/labels/latest", "models:/flights/latest"),
        (f"azureml:{WORKSPACE}/models/flights/versions/3", "models:/flights/3"),
        (f"azureml:/{WORKSPACE}/models/flights/versions/3", "models:/flights/3"),
        ("{path: model, type: mlflow_model}", "/jobs/model"),
        ("{path: ../model, name: m}", "/model"),
        ("{name: flights, version: 3}", "models:/flights/3"),
        ("{path: 'azureml:flights:3'}", None),
        ("{path: 'runs:/0123/model'}", "runs:/0123/model"),
        ("./model", "/jobs/model"),
        ("azureml://jobs/j/outputs/o/paths/model", None),
        ("azureml://datastores/d/paths/model", None),
        ("{path: model, type: triton_model}", None),
        ("{type: mlflow_model}", None),
        ("{name: flights}", None),
        ("azureml:flights:v3", None),
        ("'azureml:'", None),
        ("[a]", None),
        ("3", None),
    ],
)
def test_a_reference_to_a_model_is_mlflow_s_or_refused(written, uri):
    text = f"model: {written}\n"
    if uri is None:
        assert "deployment.yml, line 1: model" in refusal(text).message
    else:
        assert converted(text).values["model"]["uri"] == uri


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("name: a\n", None, "model is missing"),
        (f"{MODEL}mini_batch_sise: 3\n", 2, "did you mean mini_batch_size?"),
        (f"{MODEL}settings:\n  mini_batch_sise: 3\n", 3, "did you mean mini_batch_size?"),
        (f"{MODEL}settings: 3\n", 2, "holds no keys"),
        (f"{MODEL}mini_batch_size: 3\nsettings:\n  mini_batch_size: 3\n", 4, "stands twice"),
        (f"{MODEL}mini_batch_size: 0\n", 2, "from 1 on"),
        (f"{MODEL}mini_batch_size: many\n", 2, "from 1 on"),
        (f"{MODEL}mini_batch_size: true\n", 2, "from 1 on"),
        (f"{MODEL}error_threshold: -2\n", 2, "from -1 on"),
        (f"{MODEL}error_threshold: 1.5\n", 2, "whole number"),
        (f"{MODEL}retry_settings: {{timeout: PT30S}}\n", 2, "whole number"),
        (f"{MODEL}retry_settings: {{tries: 3}}\n", 2, "max_retries, timeout"),
        (f"{MODEL}retry_settings: [3]\n", 2, "holds no keys"),
        (f"{MODEL}output_action: append\n", 2, "append_row, summary_only"),
        (f"{MODEL}logging_level: loud\n", 2, "debug, info, warning"),
        (f"{MODEL}environment_variables: [A]\n", 2, "holds no names"),
        (f"{MODEL}environment_variables: {{'A B': 1}}\n", 2, "letters, digits"),
        (f"{MODEL}environment_variables: {{A: [1]}}\n", 2, "write text"),
        (f"{MODEL}resources: {{cores: 3}}\n", 2, "no key"),
        (f"{MODEL}code_configuration: {{scoring_script: 3}}\n", 2, "write text"),
        (f"{MODEL}code_configuration: {{code: 'azureml:c:1', scoring_script: a.py}}\n", 2, "name the folder"),
        (f"type: pipeline\n{MODEL}", 1, "deployment of a pipeline"),
        ("component: azureml:c:1\n", 1, "deployment of a pipeline"),
        ("type: other\n", 1, "write one of model"),
        ("$schema: https://x/latest/managedOnlineDeployment.schema.json\n", 1, "another document"),
    ],
)
def test_what_is_no_batch_deployment_is_refused_with_its_line(text, line, said):
    error = refusal(text)
    assert said in f"{error} {error.available}"
    assert error.message.startswith("deployment.yml, line " if line else "deployment.yml: ")
    assert line is None or error.message.startswith(f"deployment.yml, line {line}: ")


@pytest.mark.parametrize("text", ["", "- a\n", "just text\n"])
def test_a_document_that_is_no_mapping_is_refused(text):
    refusal(text)


def test_the_page_s_command_makes_of_the_page_s_file_a_job_that_is_valid(cli):
    deployment = re.search(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    command = re.search(r"```\n(spark-scoring import azure .*)\n```", PAGE)
    variables = re.search(r"spark-scoring check job.yml (.*)\n", PAGE)
    assert deployment is not None
    assert command is not None
    assert variables is not None
    Path("deployment.yml").write_text(deployment[1])
    code, out, _ = cli(*shlex.split(command[1])[1:])
    assert code == 0, out
    given = dict(word.split("=") for word in shlex.split(variables[1]) if "=" in word)
    job = ScoringJob.from_yaml("job.yml", variables=given)
    assert (job.model.uri, job.model.batch_size, job.model.timeout) == ("models:/flights/latest", 10, 60.0)
    assert job.model.extra_env == {"MODE": "fast"}
    assert (job.errors.threshold, job.errors.quarantine) == (100, "./failed")
    assert (job.output.mode, Path(job.output.path).name) == ("append", "scores")
    for told in ("settings.mini_batch_size", "--num-executors 2", "--log-level info", "not in the job file"):
        assert told in out
    assert cli(*shlex.split(command[1])[1:])[0] == 2  # a file that is there is not written over


def test_the_page_names_every_key():
    for key in (*azure._TOP, *azure._SETTINGS, *azure._PIPELINE):
        assert key == "settings" or f"`{key}" in PAGE, key


def test_input_and_output_may_stand_in_the_file(cli, tmp_path):
    Path("deployment.yml").write_text(f"{MODEL}error_threshold: 3\n")
    words = ("import", "azure", "deployment.yml", "--input", "./in", "--output", "main.scores", "--format", "csv")
    code, out, _ = cli(*words, "--tracking-uri", "azureml://x/y", "--json")
    assert code == 0, out
    told = json.loads(out)
    assert told["file"] is None
    (tmp_path / "shown.yml").write_text(told["job"])
    job = ScoringJob.from_yaml("shown.yml")
    assert (job.input.format, job.output.table, job.errors.quarantine) == ("csv", "main.scores", "main.scores_failed")
    assert job.model.tracking_uri == "azureml://x/y"
    assert {"key": "model", "line": 1, "status": "converted", "to": "model.uri", "note": ""} in told["mapping"]


def test_a_dollar_of_the_deployment_is_no_variable_of_the_job(cli):
    Path("deployment.yml").write_text(
        f"{MODEL}environment_variables: {{A: '${{input}}', B: '$${{x}}'}}\nerror_threshold: 0\n"
    )
    code, out, _ = cli("import", "azure", "deployment.yml", "-o", "job.yml")
    assert code == 0, out
    job = ScoringJob.from_yaml("job.yml", variables={"input": "./a", "output": "./b"})
    assert job.model.extra_env == {"A": "${input}", "B": "$${x}"}


def test_a_refusal_is_json_too(cli):
    Path("deployment.yml").write_text("name: a\n")
    code, out, _ = cli("import", "azure", "deployment.yml", "--json")
    told = json.loads(out)
    assert (code, told["error"]["code"], told["mapping"]) == (2, "import_refused", [])
    assert cli("import", "azure", "absent.yml")[0] == 2
