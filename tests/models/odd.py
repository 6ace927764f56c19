"""Misbehaves as its setting says: it returns too few rows, keeps state, or kills its process, for a negative `a`."""

import os
import signal

import mlflow


class Odd(mlflow.pyfunc.PythonModel):
    def load_context(self, context):
        self.kind = context.model_config["kind"]
        self.calls = 0

    def predict(self, context, model_input, params=None):
        self.calls += 1
        bad = bool((model_input["a"] < 0).any())
        if bad and self.kind == "segfaults":
            os.kill(os.getpid(), signal.SIGSEGV)
        result = model_input["a"] + model_input["b"]
        if self.kind == "counts":
            model_input["a"] = 1000.0  # changes what it was given, too
            if bad:
                raise ValueError("negative")
        return result.head(len(result) - 1) if bad and self.kind == "too_few" else result


mlflow.models.set_model(Odd())
