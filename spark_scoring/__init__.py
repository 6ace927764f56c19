"""Score tables with MLflow models on Spark: checked before it runs, written to Delta exactly once.

from spark_scoring import ScoringJob, score

result = score(ScoringJob.from_yaml("conf/flights.yml"))
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spark_scoring.contract import Contract
    from spark_scoring.errors import ScoringError
    from spark_scoring.jobs.config import ScoringJob
    from spark_scoring.record.result import RunResult
    from spark_scoring.runs.plan import check
    from spark_scoring.runs.run import score
    from spark_scoring.scoring.scorer import Scorer, load_scorer
    from spark_scoring.spark.session import get_session

__all__ = [
    "Contract",
    "RunResult",
    "Scorer",
    "ScoringError",
    "ScoringJob",
    "check",
    "get_session",
    "load_scorer",
    "score",
]

_HOMES = {
    "Contract": "contract",
    "RunResult": "record.result",
    "Scorer": "scoring.scorer",
    "ScoringError": "errors",
    "ScoringJob": "jobs.config",
    "check": "runs.plan",
    "get_session": "spark.session",
    "load_scorer": "scoring.scorer",
    "score": "runs.run",
}


def __getattr__(name: str) -> Any:
    # Looked up when first used: MLflow and PySpark take seconds to import, and `spark-scoring --help` needs neither.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    except ModuleNotFoundError as exc:
        from spark_scoring.spark.packages import missing_package

        raise missing_package(exc) or exc from None


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
