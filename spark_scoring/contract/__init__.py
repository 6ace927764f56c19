"""The contract: whether a table's schema satisfies a model's signature, decided before anything runs."""

from spark_scoring.contract.check import Terms, check_contract
from spark_scoring.contract.verdicts import BoundColumn, Contract, Verdict

__all__ = ["BoundColumn", "Contract", "Terms", "Verdict", "check_contract"]
