"""The contract: whether a table's schema satisfies a model's signature, decided before anything runs."""

from spark_scoring.contract.check import check_contract
from spark_scoring.contract.terms import Terms
from spark_scoring.contract.verdicts import BoundColumn, Contract, Verdict

__all__ = ["BoundColumn", "Contract", "Terms", "Verdict", "check_contract"]
