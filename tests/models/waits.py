"""Tells by a file that it was called, and then takes five minutes, or as many `seconds` as are set."""

import time
from pathlib import Path

import mlflow


class Waits(mlflow.pyfunc.PythonModel):
    def load_context(self, context):
        self.marker = context.model_config["marker"]
        self.seconds = context.model_config.get("seconds", 300)

    def predict(self, context, model_input, params=None):
        Path(self.marker).touch()
        time.sleep(self.seconds)
        return model_input.sum(axis=1)


mlflow.models.set_model(Waits())
