"""Returns what the test names, in each of the forms in which models return things."""

import datetime as dt

import mlflow
import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix

NAN, INF = float("nan"), float("inf")
MOMENT = dt.datetime(2024, 1, 1, 0, 0, 0, 1)

# What three rows get; fewer rows get the first of them.
CASES = {
    "series": lambda: pd.Series([0.5, NAN, -INF], index=[7, 8, 9]),
    "list": lambda: [0.5, None, NAN],
    "column": lambda: np.array([[1], [2], [3]]),
    "nullable": lambda: pd.Series([1, None, 2**53 + 1], dtype="Int64"),
    "boolean": lambda: [True, None, False],
    "text": lambda: ["", None, "\x1anan"],
    "bytes": lambda: [b"\x00\xff", None, b""],
    "moments": lambda: pd.Series([MOMENT, None, MOMENT]),
    "matrix": lambda: np.array([[0.0, NAN, INF], [1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]),
    "sparse": lambda: csr_matrix(np.eye(3)),
    "cube": lambda: np.arange(12).reshape(3, 2, 2),
    "frame": lambda: pd.DataFrame({"b": ["x", None, "z"], "a": [1.0, NAN, INF]}),
    "dict": lambda: {"a": np.array([1.0, NAN, INF]), "b": ["x", None, "z"]},
    "objects": lambda: [{"label": "a", "tags": ["x", None]}, {"label": None, "tags": []}, {"label": "c"}],
    "odd names": lambda: [{"it's": MOMENT, "on time": 1.5, "a`b": "x", "c:d": 1, "ü": True}, {}, {"it's": None}],
    "maps": lambda: [{"a": 1.5, "b": NAN}, {}, {"c": None}],
    "records": lambda: [{"a": 2**53 + 1, "b": 0.5}, {"a": None, "b": 1}, {"a": -1, "b": None}],
    "tuples": lambda: [(2**53 + 1, 0.5), (None, 1), (-1, None)],
    "pairs": lambda: [{"x": {"a": 1, "b": True}}, {"x": (2, None)}, {"x": None}],
    "instants": lambda: pd.Series([MOMENT, None, MOMENT]).dt.tz_localize("UTC").dt.tz_convert("Asia/Tokyo"),
    "mixed": lambda: [2**63, 2**53 + 1, True],
    "misfits": lambda: [{"x": {"a": 1, "b": 1}}, {"x": ["a"]}, "text"],
    "maps that are none": lambda: [[("a", 1.5)], "a", {"a": 1.5}],
    "floats": lambda: np.array([1.5, 2.5, 3.5]),
    "doubles": lambda: np.array([0.1, 0.5, NAN]),
    "reserved": lambda: np.array([-6510615555426900571, 1, 2]),
}


class Returns(mlflow.pyfunc.PythonModel):
    def load_context(self, context):
        self.case = context.model_config["case"]

    def predict(self, context, model_input, params=None):
        rows = model_input["id"].to_numpy()
        if self.case == "too few":
            return np.zeros(len(rows) - 1)
        if self.case == "one":
            return 1.5
        whole = CASES[self.case]()
        if isinstance(whole, pd.DataFrame):
            return whole.iloc[rows]
        if isinstance(whole, pd.Series):
            return whole.iloc[rows]
        if isinstance(whole, dict):
            return {name: [values[row] for row in rows] for name, values in whole.items()}
        return [whole[row] for row in rows] if isinstance(whole, list) else whole[rows]


mlflow.models.set_model(Returns())
