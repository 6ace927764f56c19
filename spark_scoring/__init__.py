"""Score tables with MLflow models on Spark: checked before it runs, written to Delta exactly once.

from spark_scoring import ScoringJob, score

result = score(ScoringJob.from_yaml("conf/flights.yml"))
"""

from spark_scoring.config import ScoringJob
from spark_scoring.contract import Contract
from spark_scoring.errors import ScoringError
from spark_scoring.job import check, score
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
