"""A tracking server that MLflow knows by a plugin alone: its URIs are taken, and what to install is said."""

from __future__ import annotations

import pytest

from spark_scoring.errors import ConfigurationError
from spark_scoring.models.pinned import pin

WORKSPACE = "azureml://eastus.api.azureml.ms/mlflow/v1.0/subscriptions/1/resourceGroups/g/workspaces/w"


@pytest.mark.parametrize(
    ("model", "package"),
    [
        ({"uri": "models:/flights/3", "tracking_uri": WORKSPACE}, "azureml-mlflow"),
        ({"uri": "models:/flights@champion", "tracking_uri": WORKSPACE, "registry_uri": WORKSPACE}, "azureml-mlflow"),
        ({"uri": f"runs:/{'a' * 32}/model", "tracking_uri": WORKSPACE}, "azureml-mlflow"),
        ({"uri": "azureml://artifacts/model"}, "azureml-mlflow"),
        (
            {"uri": "models:/flights/3", "tracking_uri": "arn:aws:sagemaker:x:1:mlflow-tracking-server/y"},
            "sagemaker-mlflow",
        ),
    ],
)
def test_a_missing_plugin_is_named_with_the_line_to_install_it(job, model, package):
    config = job({f"model.{key}": value for key, value in model.items()}).model
    assert config.uri == model["uri"]
    with pytest.raises(ConfigurationError) as caught:
        pin(config)
    assert (caught.value.code, caught.value.remedy) == ("no_package", f"pip install {package}")


def test_a_tracking_uri_of_azure_s_is_no_path(write):
    from spark_scoring.jobs.config import ScoringJob

    text = f"model: {{uri: 'models:/flights/3', tracking_uri: '{WORKSPACE}'}}\ninput: {{table: a}}\n"
    assert ScoringJob.from_yaml(write(text)).model.tracking_uri == WORKSPACE
