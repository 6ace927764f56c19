"""Raises for a negative `a`, with the row's own values in the exception's text, as libraries do."""

import mlflow


class Tattles(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        for row in model_input.to_dict("records"):
            if row["a"] < 0:
                raise ValueError(f"no price for the patient {row}, born on 12 May 1971")
        return model_input.sum(axis=1)


mlflow.models.set_model(Tattles())
