"""The job file's JSON schema, which editors complete and check job files by."""

from __future__ import annotations

import json
from typing import Any

from spark_scoring.jobs.config import ScoringJob
from spark_scoring.jobs.descriptions import DESCRIPTIONS

# The file beside a job file, and the line at its top by which an editor finds it.
SCHEMA_FILE = "job.schema.json"
EDITOR_LINE = f"# yaml-language-server: $schema={SCHEMA_FILE}"
# A variable may stand for any value; it is checked once it is filled.
_VARIABLE = {"type": "string", "pattern": r"\$\{"}
_PERCENT = {"type": "string", "pattern": r"^\d+(\.\d+)? ?%$"}


def job_schema() -> dict[str, Any]:
    """Returns the schema of a job file."""
    schema = ScoringJob.model_json_schema()
    parts = schema.pop("$defs")
    properties = {key: _section(key, value, parts) for key, value in schema["properties"].items()}
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "A job of spark-scoring",
        "type": "object",
        "properties": properties,
        "required": schema["required"],
        "additionalProperties": False,
    }


def schema_text() -> str:
    """Returns the schema as a file holds it."""
    return json.dumps(job_schema(), indent=2, ensure_ascii=False) + "\n"


def _section(key: str, value: dict[str, Any], parts: dict[str, Any]) -> dict[str, Any]:
    name = next((name for name in parts if f'"#/$defs/{name}"' in json.dumps(value)), None)
    description = DESCRIPTIONS[key]
    if name is None:
        return {**_plain(value), "description": description}
    part = parts[name]
    keys = {inner: _key(f"{key}.{inner}", shape) for inner, shape in part["properties"].items()}
    section = {"type": "object", "properties": keys, "additionalProperties": False}
    if key in ("model", "input"):
        return {"description": description, **section, **({"required": part["required"]} if "required" in part else {})}
    # All keys of a section may be commented out.
    return {"description": description, "anyOf": [section, {"type": "null"}]}


def _key(dotted: str, shape: dict[str, Any]) -> dict[str, Any]:
    plain = _plain(shape)
    default = {"default": plain.pop("default")} if "default" in plain else {}
    kinds = plain.get("anyOf", [plain])
    more = [_PERCENT] if dotted == "errors.threshold" else []
    return {"description": DESCRIPTIONS[dotted], **default, "anyOf": [*kinds, *more, _VARIABLE]}


def _plain(shape: Any) -> Any:
    """Returns a shape without pydantic's titles, and with draft 7's word for an array of fixed places."""
    if isinstance(shape, dict):
        kept = {name: _plain(value) for name, value in shape.items() if name != "title"}
        if "prefixItems" in kept:
            kept["items"] = kept.pop("prefixItems")
        return kept
    return [_plain(value) for value in shape] if isinstance(shape, list) else shape
