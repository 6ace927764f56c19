"""Which method of a model is called, and what it returns, known before anything runs.

``predict`` returns what the signature declares. Of any other method the signature says nothing: what it returns comes
from ``model.result_type``, or from the model itself, which is then loaded once, on the driver.
"""

from __future__ import annotations

import difflib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pyspark.sql import SparkSession

from spark_scoring.contract import DeclaredOutputs, Output, outputs_of_classes, top_classes
from spark_scoring.contract.hints import HintedSignature, Hints
from spark_scoring.errors import ConfigurationError, ModelError
from spark_scoring.jobs.model_config import ModelConfig
from spark_scoring.models.own_files import own_files
from spark_scoring.models.pinned import LocalModel, PinnedModel, fetch
from spark_scoring.scoring import spark_ml
from spark_scoring.scoring.scoring_model import copy_worker
from spark_scoring.spark.scratch import scratch_folder
from spark_scoring.worker.arguments import pack
from spark_scoring.worker.failures import RowFailure
from spark_scoring.worker.methods import CLASS_METHODS
from spark_scoring.worker.protocol import Call

_NAMED = "model.result_type: struct<CLASS: double, …>, with the model's classes in their order"
# No model has a module of this name.
_OURS = "spark_scoring_worker"
_DESCRIBE = "import sys; sys.path.insert(0, sys.argv[1]); from {package}.methods import main; main(*sys.argv[2:])"
_REMEDIES = {
    "unsupported_method": "write one of them into model.method",
    "unknown_param": "remove it from model.params",
    "several_targets": "score with a PythonModel that returns what you need of each target",
    "model_not_loadable": f"make the model's requirements available here, or say what it returns: {_NAMED}",
}
# What models returned before in this process, by digest and question: each takes seconds.
_descriptions: dict[tuple[str, str, str], dict[str, Any]] = {}


class Called(NamedTuple):
    """What is called with the rows, and what that returns.

    Attributes:
        model: The model, with its files in a local folder if they were needed.
        how: The call, as it is sent to the workers.
        result: The outputs in place of the signature's, or None.
    """

    model: PinnedModel
    how: Call
    result: DeclaredOutputs | None


def resolve_method(
    spark: SparkSession | None, model: PinnedModel, config: ModelConfig, declared: DeclaredOutputs | None
) -> Called:
    """Decides what is called with the rows.

    For a method other than ``predict``, and without ``model.result_type``, the model's files are fetched and verified,
    and it is loaded: by a Python process of its own, so that none of its modules stays in this one.

    Args:
        spark: The session; None where there is none, and the model is no Spark ML pipeline.
        model: The pinned model.
        config: Which method, with which parameters.
        declared: What ``model.result_type`` declares, or None.

    Raises:
        ModelError: If the model can't be loaded here, has no such method, or does not say what it returns.
        ConfigurationError: If the method does not take the job's parameters.
    """
    if model.is_spark_ml and spark is not None:
        spark_ml.refuse_where_impossible(spark, model, config)
    loading = _loading(model, config)
    if config.method == "predict":
        return Called(_with_defaults(model, config, loading), loading, declared)
    _refuse_unsendable(config)
    how = replace(loading, method=config.method, keywords=dict(config.params), top_k=config.top_k)
    if declared is None:
        local = fetch(model, config)
        classes, result = _describe_result(spark, local, how)
        model = local
    else:
        classes, result = _declared_classes(config, declared[0]), declared
    if config.top_k is not None:
        result = top_classes()
    return Called(model, replace(how, classes=classes), result)


def _loading(model: PinnedModel, config: ModelConfig) -> Call:
    """Returns a call of ``predict`` that says how the model is loaded otherwise than it was logged.

    Raises:
        ConfigurationError: If ``model_config``, ``extra_env``, ``batch_size`` or ``timeout`` would have no effect.
    """
    unused = {
        "model_config": config.loaded_with,
        "extra_env": config.extra_env,
        "batch_size": config.batch_size,
        "timeout": config.timeout,
    }
    key = next((name for name, value in unused.items() if value), None)
    if model.is_spark_ml and key is not None:
        raise ConfigurationError(
            f"{model.pinned_uri} is a Spark ML pipeline, which Spark itself runs: model.{key} would have no effect",
            code="bad_value",
            remedy=f"leave model.{key} out",
        )
    own = model.metadata.flavors["python_function"].get("config") or {}
    unknown = [name for name in config.loaded_with if name not in own]
    if unknown:
        near = difflib.get_close_matches(unknown[0], list(own), 1)
        raise ConfigurationError(
            f"model.model_config: {model.pinned_uri} was logged without {', '.join(unknown)}, and MLflow takes values "
            "only for what a model was logged with",
            code="unknown_model_config",
            available=", ".join(own) or "nothing",
            remedy=f"did you mean {near[0]}?" if near else f"remove {unknown[0]}, or log the model with model_config=…",
        )
    return Call(
        model_config=_packed(config.loaded_with) if config.loaded_with else None,
        extra_env=dict(config.extra_env) if config.extra_env else None,
        batch_size=config.batch_size,
        timeout=config.timeout,
    )


def _packed(values: Mapping[str, Any]) -> Any:
    for name, value in values.items():
        try:
            pack(value)
        except TypeError as exc:
            raise ConfigurationError(
                f"model.model_config.{name} is, or holds, {exc}, which can't be sent to the workers",
                code="bad_value",
                remedy="write text, a number, true or false, a date, or lists and mappings of them",
            ) from None
    return pack(values)


def _with_defaults(model: PinnedModel, config: ModelConfig, loading: Call) -> PinnedModel:
    """Returns the model with a signature that can look up the defaults of its type hints' fields."""
    signature = model.signature
    if signature is None or not Hints.of(signature).hinted or config.script is not None:
        return model

    def read_defaults() -> list[str]:
        described = _describe_in_subprocess(fetch(model, config), "fields", loading)
        return list(described.get("fields", ()))

    return replace(model, signature=HintedSignature(signature, read_defaults))


def _refuse_unsendable(config: ModelConfig) -> None:
    for name, value in config.params.items():
        try:
            json.dumps(value)
        except (TypeError, ValueError):
            raise ConfigurationError(
                f"model.params.{name} is a {type(value).__name__}, which {config.method} can't be sent",
                code="bad_value",
                remedy="write text, a number, true or false, or a list of them",
            ) from None


def _declared_classes(config: ModelConfig, outputs: Sequence[Output]) -> list[str] | None:
    names = [output.name for output in outputs if output.name is not None]
    if len(outputs) == 1 and len(outputs[0].spec.get("of", ())) == 1 and outputs[0].spec["type"] == "object":
        names = list(outputs[0].spec["of"])
    if config.method in CLASS_METHODS and names:
        return names
    if config.top_k is not None:
        raise ConfigurationError(
            "model.result_type names no classes, which model.top_k needs",
            code="classes_unknown",
            remedy=f"{_NAMED}; or leave it out, where the model knows them",
        )
    return None


def _describe_result(
    spark: SparkSession | None, model: LocalModel, how: Call
) -> tuple[list[str] | None, DeclaredOutputs]:
    described = (
        spark_ml.describe_method(spark, model, how)
        if model.is_spark_ml and spark is not None
        else _describe_in_subprocess(model, "method", how)
    )
    if "failure" in described:
        raise _refusal(model, RowFailure(*described["failure"]))
    if described["result"] == "one":
        return None, ((Output(None, {"type": "double"}),), [])
    if described["result"] == "classes" and described["classes"]:
        return list(described["classes"]), outputs_of_classes(described["classes"])
    if described["result"] == "classes":
        raise ModelError(
            f"{how.method} returns a column for each class, and {model.pinned_uri} does not tell its classes",
            code="classes_unknown",
            remedy=_NAMED,
        )
    raise ModelError(
        f"only the model's author knows what {how.method} of {model.pinned_uri} returns",
        code="result_unknown",
        remedy="model.result_type: double, or array<double>, or whatever it returns for a row",
    )


def _refusal(model: PinnedModel, failure: RowFailure) -> ModelError | ConfigurationError:
    kind = ConfigurationError if failure.code == "unknown_param" else ModelError
    return kind(f"{model.pinned_uri}: {failure.message}", code=failure.code, remedy=_REMEDIES.get(failure.code, _NAMED))


def _describe_in_subprocess(model: LocalModel, question: Literal["method", "fields"], how: Call) -> dict[str, Any]:
    """Loads the model in a process of its own, and returns what `worker.methods.main` writes there."""
    files = own_files(model)
    arguments = (question, how.to_json())
    key = (model.digest, *arguments)
    if key not in _descriptions:
        packages = os.pathsep.join(path for path in sys.path if path)
        with tempfile.TemporaryDirectory(dir=scratch_folder()) as folder:
            # Alone in a folder: beside it, our other modules would stand before those of the model.
            code = Path(folder) / "code" / _OURS
            copy_worker(code)
            answer = os.path.join(folder, "answer.json")
            process = subprocess.run(
                [
                    sys.executable,
                    "-c",
                    _DESCRIBE.format(package=code.name),
                    str(code.parent),
                    files,
                    *arguments,
                    answer,
                ],
                env={
                    **os.environ,
                    **(how.extra_env or {}),
                    "PYTHONPATH": packages,
                    "PYTHONDONTWRITEBYTECODE": "1",
                },
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
            )
            if not os.path.isfile(answer):
                last = process.stderr.strip().split("\n")[-1][:300]
                message = f"the process that loads it ended with {process.returncode}: {last}"
                return {"failure": RowFailure("model_not_loadable", "load", message)}
            _descriptions[key] = json.loads(Path(answer).read_text(encoding="utf-8"))
    return _descriptions[key]
