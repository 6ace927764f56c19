"""Returns a - b, so that swapped columns are noticed."""

import mlflow


class Subtracts(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return model_input["a"] - model_input["b"]


mlflow.models.set_model(Subtracts())
