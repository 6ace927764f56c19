"""Cases that MLflow's own libraries of models need no package for, or only small ones."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
from mlflow.models import infer_signature
from mlflow.pyfunc.model import PythonModel

from tests.flavors.case import Case
from tests.flavors.rows import ARRAY, CODES, FEATURES, LABELS, MIXED, NUMBERS, TARGET


def sklearn(make: Callable[[], Any], data: Any, target: Any, **options: Any) -> Callable[[str], str]:
    def save(folder: str) -> str:
        model = make().fit(data, target)
        predict = getattr(model, options.get("pyfunc_predict_fn", "predict"))
        signature = infer_signature(data, predict(data))
        mlflow.sklearn.save_model(model, folder, signature=signature, pip_requirements=[], **options)
        return folder

    return save


def _linear() -> Any:
    from sklearn.linear_model import LinearRegression

    return LinearRegression()


def _logistic() -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression()


def _forest() -> Any:
    from sklearn.ensemble import RandomForestRegressor

    return RandomForestRegressor(n_estimators=5, random_state=0)


def _isolation_forest() -> Any:
    from sklearn.ensemble import IsolationForest

    return IsolationForest(n_estimators=5, random_state=0)


def _calibrated() -> Any:
    from sklearn.calibration import CalibratedClassifierCV

    return CalibratedClassifierCV(_logistic(), cv=2)


def _pipeline() -> Any:
    from sklearn.compose import ColumnTransformer
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    columns = ColumnTransformer([("text", OneHotEncoder(), ["carrier"]), ("numbers", StandardScaler(), ["x", "seats"])])
    return Pipeline([("columns", columns), ("classify", _logistic())])


def _xgb_classifier() -> Any:
    import xgboost

    return xgboost.XGBClassifier(n_estimators=3, max_depth=2)


def _xgb_regressor() -> Any:
    import xgboost

    return xgboost.XGBRegressor(n_estimators=3, max_depth=2)


def _lgb_classifier() -> Any:
    import lightgbm

    return lightgbm.LGBMClassifier(n_estimators=3, num_leaves=4, verbose=-1)


def _lgb_regressor() -> Any:
    import lightgbm

    return lightgbm.LGBMRegressor(n_estimators=3, num_leaves=4, verbose=-1)


def boosted(flavor: str, make: Callable[[], Any], data: Any, target: Any) -> Callable[[str], str]:
    def save(folder: str) -> str:
        model = make().fit(data, target)
        signature = infer_signature(data, model.predict(data))
        getattr(mlflow, flavor).save_model(model, folder, signature=signature, pip_requirements=[])
        return folder

    return save


def autologged(flavor: str, train: Callable[[], Any]) -> Callable[[str], str]:
    """Trains under autolog, and fetches the model that it logged."""

    def save(folder: str) -> str:
        before = mlflow.get_tracking_uri()
        mlflow.set_tracking_uri(f"sqlite:///{Path(folder).parent}/mlflow.db")
        module = import_module(f"mlflow.{flavor}")
        module.autolog(silent=True)
        try:
            client = mlflow.MlflowClient()
            experiment = client.create_experiment(f"autolog {folder}", artifact_location=f"{folder}/artifacts")
            with mlflow.start_run(experiment_id=experiment) as run:
                train()
            return str(mlflow.artifacts.download_artifacts(f"runs:/{run.info.run_id}/model", dst_path=f"{folder}/out"))
        finally:
            module.autolog(disable=True, silent=True)
            mlflow.set_tracking_uri(before)

    return save


def _train_xgboost() -> None:
    import xgboost

    xgboost.train({"max_depth": 2}, xgboost.DMatrix(NUMBERS, TARGET), 3)


def _train_lightgbm() -> None:
    import lightgbm

    lightgbm.train({"num_leaves": 4, "verbose": -1}, lightgbm.Dataset(NUMBERS, TARGET), 3)


def onnx(make: Callable[[], Any], target: Any, data: Any) -> Callable[[str], str]:
    def save(folder: str) -> str:
        import onnxruntime
        from skl2onnx import to_onnx

        model = make().fit(ARRAY, target)
        converted = to_onnx(model, ARRAY[:1], options={"zipmap": False} if hasattr(model, "classes_") else None)
        session = onnxruntime.InferenceSession(converted.SerializeToString(), providers=["CPUExecutionProvider"])
        names = [output.name for output in session.get_outputs()]
        result = dict(zip(names, session.run(names, {"X": ARRAY}), strict=True))
        if isinstance(data, pd.DataFrame):
            result = pd.DataFrame({name: values.reshape(-1) for name, values in result.items()})
        signature = infer_signature(data, result)
        mlflow.onnx.save_model(converted, folder, signature=signature, pip_requirements=[])
        return folder

    return save


def _least_squares(data: Any) -> Callable[[str], str]:
    def save(folder: str) -> str:
        import statsmodels.api as sm

        model = sm.OLS(TARGET if isinstance(data, pd.DataFrame) else TARGET.to_numpy(), data).fit()
        signature = infer_signature(data, model.predict(data))
        mlflow.statsmodels.save_model(model, folder, signature=signature, pip_requirements=[])
        return folder

    return save


def python_model(
    make: Callable[[Path], Any], data: Any, result: Callable[[Any], Any], **options: Any
) -> Callable[[str], str]:
    """Saves a PythonModel that `make` makes in a folder of its own, beside whatever it needs there."""

    def save(folder: str) -> str:
        beside = Path(f"{folder} sources")
        beside.mkdir()
        model = make(beside)
        files = {key: value(beside) for key, value in options.items()}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # MLflow recommends type hints and examples
            mlflow.pyfunc.save_model(
                folder, python_model=model, signature=infer_signature(data, result(data)), pip_requirements=[], **files
            )
        return folder

    return save


def _weighted(_: Path) -> Any:
    # Made in here, so that it is saved by value: workers know nothing of these tests.
    class Weighted(PythonModel):
        """Weighs by an artifact and by code that travels with it; also a classifier of its own kind."""

        classes_ = ("light", "heavy")

        def load_context(self, context):
            self.weights = json.loads(Path(context.artifacts["weights"]).read_text())

        def predict(self, context, model_input, params=None):
            from weighing_of_flights import weigh

            return weigh(model_input["x"], model_input["y"], self.weights)

        def predict_proba(self, context, model_input):
            heavy = 1 / (1 + 2.0 ** -self.predict(context, model_input))
            return pd.DataFrame({"heavy": heavy, "light": 1 - heavy})

    return Weighted()


def _write(name: str, text: str) -> Callable[[Path], str]:
    def write(folder: Path) -> str:
        (folder / name).write_text(text)
        return str(folder / name)

    return write


def _weights(folder: Path) -> dict[str, str]:
    return {"weights": _write("weights.json", '{"x": 2.5, "y": -1.0}')(folder)}


def _own_code(folder: Path) -> list[str]:
    return [
        _write("weighing_of_flights.py", "def weigh(x, y, weights):\n    return weights['x'] * x + weights['y'] * y\n")(
            folder
        )
    ]


def _sum(_: Path) -> Any:
    def add_up(model_input):
        return model_input["x"] + model_input["y"]

    return add_up


_SCRIPT = """
import mlflow
import pandas as pd

class Describes(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return pd.DataFrame({"label": model_input["carrier"].str.lower(), "seats": model_input["seats"] * 2})

mlflow.models.set_model(Describes())
"""


def _described(data: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame({"label": data["carrier"].str.lower(), "seats": data["seats"] * 2})


def _named(data: dict[str, Any]) -> dict[str, Any]:
    return {"sum": data["image"].sum(axis=(1, 2)), "image": data["image"] * data["factor"][:, None, None]}


def _scales(_: Path) -> Any:
    class Scales(PythonModel):
        """Takes named tensors and returns others."""

        def predict(self, context, model_input, params=None):
            image, factor = model_input["image"], model_input["factor"]
            return {"sum": image.sum(axis=(1, 2)), "image": image * factor[:, None, None]}

    return Scales()


_IMAGES = {
    "image": np.arange(5 * 2 * 3, dtype=np.float32).reshape(5, 2, 3) / 7,
    "factor": np.array([1, 2, 3, 4, 5], dtype=np.int64),
}
_PROBABILITIES = ("predict_proba", "top_k")

CASES = [
    Case("scikit-learn", "regression, skops", sklearn(_linear, NUMBERS, TARGET), NUMBERS),
    Case(
        "scikit-learn",
        "Pipeline of strings and numbers, three classes, skops",
        sklearn(_pipeline, MIXED[FEATURES], LABELS),
        MIXED[FEATURES],
        (*_PROBABILITIES, "predict_log_proba", "decision_function"),
    ),
    Case(
        "scikit-learn",
        "Pipeline with two classes that are booleans, cloudpickle",
        sklearn(_pipeline, MIXED[FEATURES], MIXED["late"], serialization_format="cloudpickle"),
        MIXED[FEATURES],
        (*_PROBABILITIES, "decision_function"),
    ),
    Case(
        "scikit-learn",
        "CalibratedClassifierCV, cloudpickle",
        sklearn(_calibrated, NUMBERS, CODES, serialization_format="cloudpickle"),
        NUMBERS,
        _PROBABILITIES,
    ),
    Case(
        "scikit-learn",
        "logged with pyfunc_predict_fn: predict_proba",
        sklearn(_logistic, NUMBERS, LABELS, pyfunc_predict_fn="predict_proba"),
        NUMBERS,
    ),
    Case(
        "scikit-learn",
        "IsolationForest, cloudpickle",
        sklearn(_isolation_forest, NUMBERS, None, serialization_format="cloudpickle"),
        NUMBERS,
        ("decision_function", "score_samples"),
    ),
    Case(
        "scikit-learn",
        "RandomForestRegressor, cloudpickle",
        sklearn(_forest, ARRAY, TARGET, serialization_format="cloudpickle"),
        ARRAY,
    ),
    Case(
        "scikit-learn",
        "three classes, skops",
        sklearn(_logistic, ARRAY, LABELS),
        ARRAY,
        (*_PROBABILITIES, "decision_function"),
    ),
    Case(
        "scikit-learn",
        "autolog",
        autologged("sklearn", lambda: _logistic().fit(NUMBERS, LABELS)),
        NUMBERS,
        _PROBABILITIES,
    ),
    Case(
        "XGBoost",
        "XGBRegressor",
        boosted("xgboost", _xgb_regressor, NUMBERS, TARGET),
        NUMBERS,
        needs=("xgboost",),
    ),
    Case(
        "XGBoost",
        "XGBClassifier",
        boosted("xgboost", _xgb_classifier, ARRAY, CODES),
        ARRAY,
        _PROBABILITIES,
        needs=("xgboost",),
    ),
    Case("XGBoost", "Booster, autolog", autologged("xgboost", _train_xgboost), NUMBERS, needs=("xgboost",)),
    Case(
        "LightGBM",
        "LGBMClassifier, three classes",
        boosted("lightgbm", _lgb_classifier, NUMBERS, LABELS),
        NUMBERS,
        _PROBABILITIES,
        needs=("lightgbm",),
    ),
    Case(
        "LightGBM",
        "LGBMRegressor",
        boosted("lightgbm", _lgb_regressor, ARRAY, TARGET),
        ARRAY,
        needs=("lightgbm",),
    ),
    Case("LightGBM", "Booster, autolog", autologged("lightgbm", _train_lightgbm), NUMBERS, needs=("lightgbm",)),
    Case(
        "ONNX",
        "regression, onnxruntime",
        onnx(_linear, TARGET, NUMBERS),
        NUMBERS,
        needs=("onnx", "onnxruntime", "skl2onnx"),
    ),
    Case(
        "ONNX",
        "classifier with labels and probabilities, onnxruntime",
        onnx(_logistic, CODES, {"X": ARRAY}),
        {"X": ARRAY},
        needs=("onnx", "onnxruntime", "skl2onnx"),
    ),
    Case("statsmodels", "OLS", _least_squares(NUMBERS), NUMBERS, needs=("statsmodels",)),
    Case("statsmodels", "OLS", _least_squares(ARRAY), ARRAY, needs=("statsmodels",)),
    Case(
        "PythonModel",
        "class, with code_paths and artifacts",
        python_model(_weighted, NUMBERS, lambda data: data["x"], artifacts=_weights, code_paths=_own_code),
        NUMBERS,
        _PROBABILITIES,
    ),
    Case("PythonModel", "function", python_model(_sum, NUMBERS, lambda data: data["x"]), NUMBERS),
    Case(
        "PythonModel",
        "models from code, several named outputs",
        python_model(_write("describes.py", _SCRIPT), MIXED[FEATURES], _described),
        MIXED[FEATURES],
    ),
    Case("PythonModel", "class, named tensors in and out", python_model(_scales, _IMAGES, _named), _IMAGES),
]
