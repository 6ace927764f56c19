"""Kills the Python worker, or the executor above it, in the first batch that it is given; later it adds.

With ``tattles`` it raises for a negative `a`.
"""

import os
import signal
import subprocess

import mlflow


class DiesOnce(mlflow.pyfunc.PythonModel):
    def load_context(self, context):
        self.marker = context.model_config["marker"]
        self.victim = context.model_config["victim"]

    def predict(self, context, model_input, params=None):
        if self._is_first():
            if self.victim == "executor":
                os.kill(_parent(os.getppid()), signal.SIGKILL)  # above this process is Spark's Python daemon
            os._exit(1)
        if context.model_config.get("tattles") and (model_input["a"] < 0).any():
            raise ValueError("no price for a negative a")
        return model_input.sum(axis=1)

    def _is_first(self):
        try:
            os.close(os.open(self.marker, os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return False
        return True


def _parent(pid):
    parent = int(subprocess.check_output(["ps", "-o", "ppid=", "-p", str(pid)]))
    command = subprocess.check_output(["ps", "-o", "args=", "-p", str(parent)], text=True)
    assert "ExecutorBackend" in command, command
    return parent


mlflow.models.set_model(DiesOnce())
