"""Sums up its columns, unless b says how to hang, to crash or to raise; it takes what interrupts it for nothing."""

import ctypes
import time

import mlflow


class Hangs(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        for how in model_input["b"]:
            if how == 1:
                swallow()
            if how == 2:
                ctypes.CDLL(None).sleep(1000)
            if how == 3:  # and no other thread can run
                ctypes.PyDLL(None).sleep(1000)
            if how == 4:
                ctypes.string_at(0)
            if how == 5:
                raise ValueError
        return model_input.sum(axis=1)


def swallow():
    while True:
        try:
            time.sleep(1000)
        except BaseException:
            continue


mlflow.models.set_model(Hangs())
