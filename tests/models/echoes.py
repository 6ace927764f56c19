"""Returns what it was given, so that whatever is lost on the way is seen."""

import mlflow


class Echoes(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return model_input


mlflow.models.set_model(Echoes())
