"""The contract: whether a table's schema satisfies a model's signature, decided before anything runs."""

from spark_scoring.contract.check import check_contract
from spark_scoring.contract.outputs import (
    DeclaredOutputs,
    Output,
    outputs_of_classes,
    outputs_of_type,
    read_outputs,
    top_classes,
)
from spark_scoring.contract.proposal import Proposal, propose_signature
from spark_scoring.contract.terms import Terms
from spark_scoring.contract.verdicts import BoundColumn, Contract, Verdict

__all__ = [
    "BoundColumn",
    "Contract",
    "DeclaredOutputs",
    "Output",
    "Proposal",
    "Terms",
    "Verdict",
    "check_contract",
    "outputs_of_classes",
    "outputs_of_type",
    "propose_signature",
    "read_outputs",
    "top_classes",
]
