"""Drops every axis of one, as `squeeze` does; raises for a batch with a negative `a`; or returns one number alone."""

import mlflow


class Squeezes(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        if (model_input["a"] < 0).any():
            raise ValueError("negative")
        if (context.model_config or {}).get("constant"):
            return 5.0
        return model_input[["a"]].to_numpy().squeeze()


mlflow.models.set_model(Squeezes())
