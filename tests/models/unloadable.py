"""Needs a library that no machine has."""

import os

import mlflow


class Unloadable(mlflow.pyfunc.PythonModel):
    def load_context(self, context):
        if "A_MODEL_IS_SAVED" not in os.environ:  # at which MLflow 2 loads it
            import a_library_that_nobody_has  # noqa: F401

    def predict(self, context, model_input, params=None):
        return model_input.sum(axis=1)


mlflow.models.set_model(Unloadable())
