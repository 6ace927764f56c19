"""Which model a job scores with, and how it is called."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from pydantic import (
    Field,
    SerializerFunctionWrapHandler,
    field_serializer,
    field_validator,
    model_serializer,
    model_validator,
)

from spark_scoring.jobs.parts import ENV_NAME, READ_AT_START, Part, holds_numpy
from spark_scoring.worker.arguments import readable

# In seconds: some eleven days. A timer takes no much longer ones.
LONGEST_TIMEOUT = 1_000_000


class ModelConfig(Part):
    """Which model scores, and how it is called."""

    uri: str = Field(min_length=1)
    tracking_uri: str | None = None
    registry_uri: str | None = None
    digest: str | None = Field(default=None, pattern=r"^sha256:[0-9a-f]{64}$")
    allow: tuple[str, ...] = ()
    input_signature: str | None = None
    result_type: str | None = None
    env_manager: Literal["local", "uv", "virtualenv", "conda"] = "local"
    requirements: Literal["warn", "match", "ignore"] = "warn"
    method: str = Field(default="predict", pattern=r"^[A-Za-z]\w*$")
    top_k: int | None = Field(default=None, ge=1, strict=True)
    script: str | None = Field(default=None, min_length=1)
    params: dict[str, Any] = Field(default_factory=dict)
    # pydantic keeps the name model_config to itself.
    loaded_with: dict[str, Any] = Field(default_factory=dict, alias="model_config")
    extra_env: dict[str, str] = Field(default_factory=dict)
    batch_size: int | None = Field(default=None, ge=1, strict=True)
    timeout: float | None = Field(default=None, gt=0, le=LONGEST_TIMEOUT, strict=True, allow_inf_nan=False)

    @property
    def registry(self) -> str | None:
        """The registry: the server that the job names for tracking, unless it names another.

        MLflow would prefer one that this process happens to be set to; on Databricks its choice is the right one.
        """
        if self.registry_uri or (self.tracking_uri or "").startswith("databricks"):
            return self.registry_uri
        return self.tracking_uri

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        for name, value in super().__repr_args__():
            yield name, dict.fromkeys(value, "***") if name == "extra_env" else value

    @field_serializer("params", "loaded_with", when_used="json")
    def _as_json(self, value: dict[str, Any]) -> Any:
        return readable(value) if holds_numpy(value) else value

    @model_serializer(mode="wrap")
    def _under_its_key(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        values: dict[str, Any] = dump(self)
        if "loaded_with" in values:
            values["model_config"] = values.pop("loaded_with")
        return values

    @field_validator("extra_env")
    @classmethod
    def _settable(cls, env: dict[str, str]) -> dict[str, str]:
        for name in env:
            if not ENV_NAME.match(name):
                raise ValueError(f"{name!r} is no name of an environment variable: write letters, digits and _")
            if READ_AT_START.match(name):
                raise ValueError(
                    f"{name} is read when a process starts, and the workers run already: set spark.executorEnv.{name} "
                    "for the whole session"
                )
        return env

    @model_validator(mode="after")
    def _script_loads_the_model_itself(self) -> ModelConfig:
        if self.script is not None and self.loaded_with:
            raise ValueError("script and model_config can't stand together: the script loads the model as it likes")
        return self

    @model_validator(mode="after")
    def _script_is_called_alone(self) -> ModelConfig:
        if self.script is not None and self.method != "predict":
            raise ValueError(f"script and method {self.method!r} can't stand together: the script calls what it likes")
        if self.script is not None and self.params:
            raise ValueError("script and params can't stand together: run(batch) takes none; write them in the script")
        return self

    @model_validator(mode="after")
    def _top_classes_are_probable(self) -> ModelConfig:
        if self.top_k is not None and self.method != "predict_proba":
            raise ValueError(f"top_k goes with method predict_proba, not with {self.method}")
        return self
