"""What a packaged job says to the code that answers requests: one value, which travels as JSON inside the package."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from ..payload.requests import Reading
from ..protocol import Settings

# The file's name in the package's data folder, and its version.
ONLINE = "online.json"
FORMAT = 1


@dataclass(frozen=True)
class Online:
    """What answering requests needs to know.

    Attributes:
        scoring: What the scoring model needs to know.
        reading: How requests are read.
        inputs: The model's names of the inputs, or their positions as text, as the scoring model's columns are ordered.
        never_null: Those of them in which a null fails its row.
        predictions: What the predictions are called in an answer: one name, or one for each output.
        model_id: What each answer says of the model.
    """

    scoring: Settings
    reading: Reading
    inputs: Sequence[str]
    never_null: Sequence[str]
    predictions: Sequence[str]
    model_id: str

    @classmethod
    def from_json(cls, text: str) -> "Online":
        """Reads what `to_json` wrote.

        Raises:
            ValueError: If another version of this package wrote it.
        """
        values = json.loads(text)
        if values.pop("format", None) != FORMAT:
            raise ValueError(f"{ONLINE} has another format than {FORMAT}")
        scoring, reading = Settings.from_json(values.pop("scoring")), Reading(**values.pop("reading"))
        return cls(scoring, reading, **values)

    def to_json(self) -> str:
        """Returns all of it as one JSON object."""
        values = {
            "format": FORMAT,
            **asdict(self),
            "scoring": self.scoring.to_json(),
            "reading": self.reading._asdict(),
        }
        return json.dumps(values)
