"""Says which scikit-learn scores, and what a model fitted with it predicts: twice its input."""

import mlflow
import sklearn
from sklearn.linear_model import LinearRegression


class OlderLibrary(mlflow.pyfunc.PythonModel):
    def load_context(self, context):
        self.fitted = LinearRegression().fit([[0.0], [1.0]], [0.0, 2.0])

    def predict(self, context, model_input, params=None):
        return [f"{sklearn.__version__} {y:.3f}" for y in self.fitted.predict(model_input[["a"]].to_numpy())]


mlflow.models.set_model(OlderLibrary())
