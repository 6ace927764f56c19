"""Azure ML's references to a model as MLflow's."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from spark_scoring.importing.document import Document
from spark_scoring.importing.mapping import Mapped

_NAME = r"(?P<name>[A-Za-z0-9][\w.-]*)"
_WHICH = rf"{_NAME}(?:/(?:versions/)?(?P<version>[^/@]+)|/labels/(?P<slash_label>[^/]+)|@(?P<label>[^/]+))?"
# azureml:NAME:3, azureml:NAME@latest; the same without azureml: is what the SDK writes.
_SHORT = re.compile(rf"(?:azureml:)?{_NAME}(?::(?P<version>[^:@/]+)|@(?P<label>[^:@/]+))?")
_IN_REGISTRY = re.compile(rf"azureml://registries/(?P<registry>[^/]+)/models/{_WHICH}/?")
_IN_WORKSPACE = re.compile(
    rf"azureml:/{{1,2}}subscriptions/[^/]+/resource[gG]roups/[^/]+/(?:providers/[^/]+/)?workspaces/[^/]+/models/{_WHICH}/?"
)
_OUTPUT = re.compile(r"azureml://(?:jobs|datastores|subscriptions|locations)/.+")
_REGISTRY_FORM = "azureml://registries/REGISTRY/models/NAME/versions/VERSION"
_FORMS = f"write azureml:NAME:VERSION, azureml:NAME@LABEL, {_REGISTRY_FORM}, or path"
_KEYS = frozenset(
    {
        "name", "version", "path", "type", "description", "tags", "properties", "stage", "flavors", "datastore", "id",
        "creation_context", "utc_time_created", "job_name", "latest_version", "system_metadata",
        "default_deployment_template", "allowed_deployment_templates", "intellectual_property",
    }
)  # fmt: skip
_MUST_BE_MLFLOW = "the folder needs an MLmodel file: any other model has to be logged with MLflow first"


def model_uri(document: Document, folder: Path) -> tuple[str, list[Mapped]]:
    """Returns the MLflow URI of a deployment's model, and what became of its keys.

    Args:
        document: The deployment.
        folder: Where its relative paths start.

    Raises:
        ConfigurationError: If it names no model, or one that can't be found from outside of Azure ML.
    """
    model = document.values.get("model")
    if model is None:
        raise document.refusal("model", "is missing", f"name the model: {_FORMS}")
    if isinstance(model, dict):
        return _of_mapping(document, model, folder)
    text = document.text("model", model)
    uri, note = _of_text(document, "model", text, folder)
    return uri, [Mapped("model", document.lines.get("model"), "converted", "model.uri", note)]


def _of_mapping(document: Document, model: Mapping[str, Any], folder: Path) -> tuple[str, list[Mapped]]:
    document.section("model", _KEYS)
    line = document.lines.get
    path, name = model.get("path"), model.get("name")
    if path is not None:
        uri, note = _of_text(document, "model.path", document.text("model.path", path), folder)
        named = "model.path"
    elif name is not None:
        version = model.get("version")
        if version is None:
            raise document.refusal("model.name", "stands without a version or a path", _FORMS)
        uri, note = f"models:/{document.text('model.name', name)}/{version}", ""
        named = "model.name"
    else:
        raise document.refusal("model", "has neither path nor name", f"name the model: {_FORMS}")
    kind = model.get("type")
    if kind is not None:
        kind = document.one_of("model.type", kind, ("mlflow_model", "custom_model", "triton_model"))
    if kind == "triton_model":
        raise document.refusal("model.type", "is triton_model, which MLflow can't load", "log the model with MLflow")
    mapped = []
    for key in model:
        dotted = f"model.{key}"
        if dotted == named:
            mapped.append(Mapped(dotted, line(dotted), "converted", "model.uri", note))
        elif key == "type":
            known = Mapped(dotted, line(dotted), "ignored")
            mapped.append(known if kind == "mlflow_model" else replace(known, status="differs", note=_MUST_BE_MLFLOW))
        elif key == "version" and named == "model.name":
            mapped.append(Mapped(dotted, line(dotted), "converted", "model.uri"))
        else:
            mapped.append(Mapped(dotted, line(dotted), "ignored"))
    return uri, mapped


def _of_text(document: Document, key: str, text: str, folder: Path) -> tuple[str, str]:
    """Returns a model's URI, and what to know of it."""
    for pattern in (_IN_REGISTRY, _IN_WORKSPACE):
        match = pattern.fullmatch(text)
        if match is not None:
            parts = match.groupdict()
            label = parts["label"] or parts["slash_label"]
            where = f"; set model.tracking_uri to the registry {parts['registry']}'s" if "registry" in parts else ""
            uri, note = _registered(document, key, parts["name"], parts["version"], label)
            return uri, (note + where).removeprefix("; ")
    if _OUTPUT.fullmatch(text):
        raise document.refusal(
            key,
            "is a path of Azure ML's own, which is no place for MLflow",
            "register the model (az ml model create), and name it azureml:NAME:VERSION; or download it, and name the "
            "folder",
        )
    match = _SHORT.fullmatch(text)
    if key == "model" and match is not None and not (folder / text).exists():
        return _registered(document, key, match["name"], match["version"], match["label"])
    if text.startswith("azureml:"):
        raise document.refusal(key, "is no reference to a model", _FORMS)
    if "://" in text or text.startswith(("models:/", "runs:/")):
        return text, ""
    return os.path.abspath(folder / text), _MUST_BE_MLFLOW


def _registered(document: Document, key: str, name: str, version: str | None, label: str | None) -> tuple[str, str]:
    if version is not None:
        if not version.isdecimal():
            raise document.refusal(key, "has a version that is no number, and MLflow's are", _FORMS)
        return f"models:/{name}/{version}", ""
    if label in (None, "latest"):
        return f"models:/{name}/latest", "the newest version when a run starts, as on Azure ML; a number pins it"
    return (
        f"models:/{name}@{label}",
        f"{label} has to be an alias in MLflow's registry; a version's number always works",
    )
