"""Tells by a file that it was called, and then takes five minutes."""

import time
from pathlib import Path

import mlflow


class Waits(mlflow.pyfunc.PythonModel):
    def load_context(self, context):
        self.marker = context.model_config["marker"]

    def predict(self, context, model_input, params=None):
        Path(self.marker).touch()
        time.sleep(300)
        return model_input.sum(axis=1)


mlflow.models.set_model(Waits())
