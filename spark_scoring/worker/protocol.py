"""What the driver sends the workers: one value, which travels as JSON inside the scoring model.

The driver writes it, the worker reads it, and nothing else spells its keys. It never outlives a run, and the code that
reads it travels with it; the format is there for whoever finds such a file.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

# The file's name in the scoring model's data folder, and its version.
SETTINGS = "settings.json"
FORMAT = 1


@dataclass(frozen=True)
class ModelFiles:
    """Where workers find the files of the user's model, and what they have to be.

    Attributes:
        digest: Of the files, which a worker verifies before it loads them.
        path: A folder that workers may see.
        copies: A folder for copies that the driver removes, where it is on this machine.
        embedded: A folder inside the scoring model's data folder.
        archive: The name of a zip that Spark distributes.
        requirements: Lines that are compared with the packages of the worker.
        match: Whether a difference is an error.
    """

    digest: str
    path: str | None = None
    copies: str | None = None
    embedded: str | None = None
    archive: str | None = None
    requirements: Sequence[str] = ()
    match: bool = False


@dataclass(frozen=True)
class ScriptFile:
    """A scoring script in the scoring model's data folder, by its relative path, and its sha256 as ``sha256:HEX``."""

    file: str
    digest: str


@dataclass(frozen=True)
class Call:
    """How the model is loaded, and what of it is called with each batch.

    Attributes:
        method: The method's name.
        keywords: For any other method than ``predict``: its keyword arguments.
        classes: The names of the classes, in the order of the outputs, or None where the result stays as it is.
        top_k: How many of the most probable classes are wanted, or None for all.
        model_config: What replaces values that the model was logged with, see `arguments.pack`; or None.
        extra_env: Environment variables that the model sees while it is loaded and called; or None.
        script: The scoring script that is called in the model's place, or None.
        batch_size: How many rows it gets at once at most, or None for all of a batch of Spark's.
        timeout: After how many seconds a call is given up, or None for never.
    """

    method: str = "predict"
    keywords: Mapping[str, Any] = field(default_factory=dict)
    classes: Sequence[str] | None = None
    top_k: int | None = None
    model_config: Mapping[str, Any] | None = None
    extra_env: Mapping[str, str] | None = None
    script: ScriptFile | None = None
    batch_size: int | None = None
    timeout: float | None = None

    @classmethod
    def from_json(cls, text: str) -> "Call":
        """Reads what `to_json` wrote."""
        return cls._of(json.loads(text))

    def to_json(self) -> str:
        """Returns the same text for the same call."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def _of(cls, values: Mapping[str, Any]) -> "Call":
        script = values["script"]
        return cls(**{**values, "script": None if script is None else ScriptFile(**script)})


# Stands for a null among the numbers of a key.
NO_NUMBER = -(2**63)
PREDICT = Call()


@dataclass(frozen=True)
class InputColumn:
    """A column of the model's input: its name, or its label in a signature of numbers, and its type's spec."""

    name: str | int
    spec: Mapping[str, Any]


@dataclass(frozen=True)
class OutputColumn:
    """An output that the contract declares.

    Attributes:
        name: Its name, or None.
        spec: The type of one row's value.
        shape: Of a tensor, or None.
        required: Whether a result may lack it (False), or a row of a result by rows may (None).
    """

    name: str | None
    spec: Mapping[str, Any]
    shape: Sequence[int] | None = None
    required: bool | None = True


@dataclass(frozen=True)
class Settings:
    """What a scoring model needs to know.

    Attributes:
        model: Where the user's model is.
        columns: The columns of its input, in the order of Spark's.
        form: What they become, see `frames.build_input`.
        outputs: What the contract declares.
        checks: ``code``, ``stage`` and ``message`` of the failures that Spark found before scoring, by number from 1.
        call: What is called.
        params: The parameters of ``predict``, see `arguments.pack`.
        time_zone: Whose wall clock a datetime is.
        on_error: Whether a failed row ends the job.
        detail: ``full`` where messages may hold the exception's text.
        end_after: The number of failed rows beyond which a task ends the job, or -1.
        key: The names of the columns behind all others that hold the row's key, for the failure that ends the job.
        served: Whether this runs behind MLflow's scoring server, which would lose what is raised.
    """

    model: ModelFiles
    columns: Sequence[InputColumn]
    form: str
    outputs: Sequence[OutputColumn]
    checks: Sequence[Sequence[str]] = ()
    call: Call = PREDICT
    params: Any = None
    time_zone: str = "UTC"
    on_error: Literal["raise", "collect"] = "raise"
    detail: Literal["code", "full"] = "code"
    end_after: int = -1
    served: bool = False
    key: Sequence[str] = ()

    @classmethod
    def from_json(cls, text: str) -> "Settings":
        """Reads what `to_json` wrote.

        Raises:
            ValueError: If another version of this package wrote it.
        """
        values = json.loads(text)
        if values.pop("format", None) != FORMAT:
            raise ValueError(f"{SETTINGS} has another format than {FORMAT}")
        return cls(
            **{
                **values,
                "model": ModelFiles(**values["model"]),
                "columns": tuple(InputColumn(**column) for column in values["columns"]),
                "outputs": tuple(OutputColumn(**output) for output in values["outputs"]),
                "call": Call._of(values["call"]),
            }
        )

    def to_json(self) -> str:
        """Returns all of it as one JSON object."""
        return json.dumps({"format": FORMAT, **asdict(self)})
