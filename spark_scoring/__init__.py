"""Score tables with MLflow models on Spark: checked before it runs, written to Delta exactly once.

from spark_scoring import ScoringJob, score

result = score(ScoringJob.from_yaml("conf/flights.yml"))
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spark_scoring.config import ScoringJob
    from spark_scoring.contract import Contract
    from spark_scoring.errors import ScoringError
    from spark_scoring.job import score
    from spark_scoring.plan import check
    from spark_scoring.result import RunResult
    from spark_scoring.scorer import Scorer, load_scorer
    from spark_scoring.session import get_session

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
    "RunResult": "result",
    "Scorer": "scorer",
    "ScoringError": "errors",
    "ScoringJob": "config",
    "check": "plan",
    "get_session": "session",
    "load_scorer": "scorer",
    "score": "job",
}


def __getattr__(name: str) -> Any:
    # Looked up when first used: MLflow and PySpark take seconds to import, and `spark-scoring --help` needs neither.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
