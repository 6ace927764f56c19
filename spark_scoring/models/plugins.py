"""MLflow's plugins: what to install where a URI's scheme is one that MLflow itself does not know."""

from __future__ import annotations

import re

from spark_scoring.errors import ConfigurationError

# The package of each scheme.
_PLUGINS = {"azureml": "azureml-mlflow", "arn": "sagemaker-mlflow"}
# How MLflow says that it knows no store, or no place of files, of a scheme.
_UNKNOWN = re.compile(r"(?:unsupported URI '|registered artifact repository for: )([A-Za-z][\w+.-]*):")


def missing_plugin(cause: BaseException) -> ConfigurationError | None:
    """Returns the error for a scheme whose plugin is not installed, or None where that is not what MLflow said."""
    unknown = _UNKNOWN.search(str(cause)[:2_000])
    scheme = unknown.group(1).lower() if unknown is not None else ""
    if scheme not in _PLUGINS:
        return None
    package = _PLUGINS[scheme]
    return ConfigurationError(
        f"MLflow knows {scheme}: URIs by its plugin {package}, which is not installed here",
        code="no_package",
        remedy=f"pip install {package}",
    )
